"""`make bench-gate`: the gate with a million devices beside nginx and beside its peers.

One gate process on one core, the load generator (wrk) on the other; every server runs all the
time, and they are measured in turn, round by round. Ratios are taken pair by pair, and medians of
them are printed. The last line is one JSON object. QUICK=1 takes most of a minute, and half a
minute more the first time, when the million devices are laid out.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from benchmarks import gate_probes, gate_servers, gate_world
from benchmarks.gate_servers import GATE_CORE, Server, Wrk
from countermand.data_folder import DataFolder

DEVICES: Final = 1_000_000
FEW: Final = 1_000
_PLACE: Final = Path("build/bench-gate")
# None: no bar, shown for what it says about the others.
_BARS: Final[dict[str, tuple[str, float] | None]] = {
    "ratio_nginx_204": (">=", 0.60),
    "cpu_ratio_nginx_204": ("<=", 1.8),
    "ratio_constant_python": None,
    "ratio_auth_request_static": (">=", 0.85),
    "ratio_opa": (">=", 5.0),
    "ratio_pg_per_request": (">=", 10.0),
    "p99_ratio_nginx": ("<=", 2.0),
    "change_visible_p99_ms": ("<=", 5.0),
    "countermand_visible_p99_ms": ("<=", 5.0),
    "countermand_ratio_1m_to_1k": ("<=", 1.2),
    "ready_s": ("<=", 0.3),
    "mib_per_extra_worker": ("<=", 40.0),
    "ratio_under_churn": (">=", 0.85),
}


@dataclass(frozen=True, slots=True)
class Pace:
    """How long and how often is measured."""

    rounds: int
    of_peers: int
    seconds: int
    probes: int
    starts: int

    @classmethod
    def chosen(cls) -> Pace:
        """Return the pace that was asked for."""
        quick = os.environ.get("QUICK", "") not in {"", "0"}
        return cls(3, 1, 1, 40, 3) if quick else cls(7, 5, 2, 250, 7)


@dataclass(slots=True)
class Figures:
    """What was measured: for each server, one run a round; and the figures of their own."""

    runs: dict[str, list[gate_servers.Run]] = field(default_factory=dict)
    single: dict[str, Any] = field(default_factory=dict)

    def ratio(
        self, ours: str, theirs: str, of: Callable[[gate_servers.Run], float]
    ) -> float | None:
        """Return the median, over the rounds, of ours to theirs.

        A round in which one of both answered nothing at all was disturbed, and is left out.
        """
        if ours not in self.runs or theirs not in self.runs:
            return None
        pairs = zip(self.runs[ours], self.runs[theirs], strict=False)  # peers have fewer rounds
        ratios = [of(mine) / of(other) for mine, other in pairs if of(mine) > 0 and of(other) > 0]
        return statistics.median(ratios) if ratios else None


def main() -> int:
    """Measure, and print; what cannot be measured on this machine is null, with a reason."""
    began = time.monotonic()
    missing = gate_servers.missing_programs()
    pace, figures = Pace.chosen(), Figures()
    _PLACE.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        if missing:
            figures.single["not_compared_because"] = missing
            _say(f"{missing}: speed is not compared, the rest is measured")
        else:
            _say("the same 1,000,000 devices for the OPA engine, a database and the gate")
        engine = None if missing else gate_servers.prepare_opa(_PLACE)
        peers = _begin_peers(stack, engine)
        many = gate_world.furnish((_PLACE / "many").absolute(), DEVICES)
        few = gate_world.furnish((_PLACE / "few").absolute(), FEW)
        # No time is taken here, so the peers may load meanwhile.
        figures.single |= gate_probes.memory(many)
        if engine is not None:
            if engine.why_not:
                figures.single["opa_missing_because"] = engine.why_not
            servers = {name: peer.ready() for name, peer in peers.items() if peer is not None}
            _rounds(many, pace, figures, servers)
    _say("start, and how soon a change is felt")
    figures.single |= gate_probes.starts(many, pace.starts)
    figures.single |= gate_probes.changes(many, pace.probes)
    figures.single |= gate_probes.stops(many, few, pace.probes)
    took_s = time.monotonic() - began
    result = _result(figures) | {"devices": DEVICES, "rounds": pace.rounds}
    result |= {"took_s": round(took_s, 1)}
    _show(figures, result)
    print(json.dumps(result))
    return 0


def _begin_peers(
    stack: ExitStack, engine: gate_servers.Opa | None
) -> dict[str, gate_servers.Peer | None]:
    """Have the peers load their devices, each for itself; none where nothing can be compared."""
    if engine is None:
        return {}
    return {
        "opa": stack.enter_context(engine.server(DEVICES)),
        "postgres": stack.enter_context(gate_servers.postgres(_PLACE, DEVICES)),
    }


def _rounds(folder: DataFolder, pace: Pace, figures: Figures, peers: dict[str, Server]) -> None:
    """Start the gate and nginx, and measure every server in turn."""
    scripts = gate_servers.scripts(_PLACE, gate_world.sample(DEVICES))
    wrk = Wrk(seconds=pace.seconds)
    with ExitStack() as stack:
        gate = stack.enter_context(gate_servers.gate(folder, core=GATE_CORE))
        nginx = stack.enter_context(gate_servers.nginx(_PLACE, gate))
        constant = stack.enter_context(gate_servers.constant())
        asked = {"nginx_204": nginx["plain"], "gate": gate, "constant_python": constant}
        behind = {"auth_request_static": nginx["to_static"], "auth_request_gate": nginx["to_gate"]}
        servers = {name: (each, scripts["question"]) for name, each in asked.items()}
        servers |= {name: (each, scripts["request"]) for name, each in behind.items()}
        slow = {name: (each, scripts["question"]) for name, each in peers.items()}
        _say(f"{pace.rounds} rounds of {len(servers) + 1} runs, and {pace.of_peers} of peers")
        wrk.run(gate, scripts["question"])  # nobody's first touch of a page is measured
        for number in range(pace.rounds):
            measured = servers | (slow if number < pace.of_peers else {})
            for name, (each, script) in measured.items():
                run = wrk.run(each, script)
                if not run.per_s:  # it touched its pages for the first time
                    run = wrk.run(each, script)
                figures.runs.setdefault(name, []).append(run)
            with gate_probes.churn(folder, core=GATE_CORE):
                figures.runs.setdefault("churn", []).append(wrk.run(gate, scripts["question"]))


def _result(figures: Figures) -> dict[str, Any]:
    def speed(run: gate_servers.Run) -> float:
        return run.per_s

    worst = max(
        figures.single["countermand_visible_p99_ms_1k"],
        figures.single["countermand_visible_p99_ms_1m"],
    )
    result = {
        "ratio_nginx_204": figures.ratio("gate", "nginx_204", speed),
        "cpu_ratio_nginx_204": figures.ratio("gate", "nginx_204", lambda run: run.cpu_us),
        "ratio_constant_python": figures.ratio("gate", "constant_python", speed),
        "ratio_auth_request_static": figures.ratio(
            "auth_request_gate", "auth_request_static", speed
        ),
        "ratio_opa": figures.ratio("gate", "opa", speed),
        "ratio_pg_per_request": figures.ratio("gate", "postgres", speed),
        "p99_ratio_nginx": figures.ratio("gate", "nginx_204", lambda run: run.p99_ms),
        "countermand_visible_p99_ms": worst,
        "ratio_under_churn": figures.ratio("churn", "gate", speed),
        **figures.single,
    }
    return {
        name: round(value, 3) if isinstance(value, float) else value
        for name, value in result.items()
    }


def _show(figures: Figures, result: dict[str, Any]) -> None:
    print(f"{'':22}{'per s':>9}{'CPU us':>9}{'p99 ms':>9}   (medians)")
    for name, runs in figures.runs.items():
        per_s = statistics.median(run.per_s for run in runs)
        cpu_us = statistics.median(run.cpu_us for run in runs)
        p99_ms = statistics.median(run.p99_ms for run in runs)
        print(f"{name:22}{per_s:9.0f}{cpu_us:9.1f}{p99_ms:9.2f}")
    for name, barred in _BARS.items():
        value = result[name]
        if value is None:
            print(f"{name:30} not measured: {_why_not(result)}")
            continue
        if barred is None:
            print(f"{name:30}{value:10.3f}")
            continue
        sign, bar = barred
        held = value >= bar if sign == ">=" else value <= bar
        print(f"{name:30}{value:10.3f}  {sign} {bar}  {'held' if held else 'MISSED'}")


def _why_not(result: dict[str, Any]) -> str:
    known = ("not_compared_because", "opa_missing_because")
    return next((str(result[each]) for each in known if each in result), "disturbed")


def _say(what: str) -> None:
    print(f"-- {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    if os.environ.get("ANEW"):
        shutil.rmtree(_PLACE, ignore_errors=True)
    sys.exit(main())
