"""What is no throughput: start, memory, and how soon a change is felt at every process."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Final

from benchmarks import gate_lines, gate_servers, gate_world
from benchmarks.gate_lines import Line, Watcher
from benchmarks.gate_servers import Server
from benchmarks.gate_world import ORDERS, TOKEN, Phone
from benchmarks.pairing import percentile
from countermand.data_folder import DataFolder
from countermand.domain.delivery import StopKind
from countermand.gate.table import Table
from countermand.stop.press import press

_WORKERS: Final = 2
_SHUT: Final = Phone(0)
_SHUT_EVERY: Final = 33
_CHANGES_PER_S: Final = 1_000
_PER_COMMIT: Final = 10


def starts(folder: DataFolder, times: int) -> dict[str, float]:
    """Return how long a gate takes from its start to the first right refusal, in seconds."""
    took: list[float] = []
    for _ in range(times):
        began = time.perf_counter()
        with gate_servers.starting_gate(folder, core=None, workers=1) as process:
            said = gate_servers.await_ready(folder, process)
            line = Line.to(said["port"])
            if not line.is_refused(_SHUT.question()):
                raise RuntimeError("a gate that has just started lets a phone in")
            took.append(time.perf_counter() - began)
            line.close()
    return {"ready_s": statistics.median(took)}


def memory(folder: DataFolder) -> dict[str, float]:
    """Return how much memory one further process of the gate takes, in MiB."""
    held: list[float] = []
    phones = gate_world.sample(gate_world.sample(1)[0].number + 1_000_000)[:15_000]
    for workers in (1, 1 + _WORKERS):
        with (
            gate_servers.gate(folder, workers=workers) as server,
            gate_lines.to_each_process(server, workers) as lines,
        ):
            for number, phone in enumerate(phones):
                lines[number % len(lines)].is_refused(phone.question())
            held.append(gate_servers.pss_mib(server.pids[0]))
    return {"mib_per_extra_worker": (held[1] - held[0]) / _WORKERS}


def changes(folder: DataFolder, times: int) -> dict[str, float]:
    """Return how long one device's change takes until every process answers by it, in ms.

    From before the follower's commit, which is on the disk, to the last process's answer.
    """
    took: list[float] = []
    table = Table(folder.gate / "table")
    os.sync()  # what ran before has left much to be written
    with (
        gate_servers.gate(folder, workers=_WORKERS) as server,
        gate_lines.to_each_process(server, _WORKERS) as lines,
    ):
        for turn in range(times):
            opened = turn % 2 == 0
            row = gate_world.shut_record(folder, _SHUT, attested=opened)
            place = table.place()
            began = time.perf_counter()
            table.apply([row], version=place.version + 1, row_id=1)
            gate_lines.until_all(lines, _SHUT, refused=not opened)
            took.append((time.perf_counter() - began) * 1000)
        table.apply(
            [gate_world.shut_record(folder, _SHUT, attested=False)],
            version=table.place().version + 1,
            row_id=1,
        )
    table.close()
    return {
        "change_visible_p99_ms": percentile(took, 0.99),
        "change_visible_p50_ms": statistics.median(took),
    }


def stops(many: DataFolder, few: DataFolder, times: int) -> dict[str, float]:
    """Return how long a take-back takes until every process lets in, in ms, for both sizes.

    From the press, through the fence on the disk, to the last process's answer; a watcher asks all
    the while. Each is of another order, since a take-back is for ever; both sizes take turns.
    """
    took: dict[str, list[_Stop]] = {"1k": [], "1m": []}
    os.sync()
    with (
        gate_servers.gate(few, workers=_WORKERS) as small,
        gate_servers.gate(many, workers=_WORKERS) as large,
        gate_lines.watched(small, _WORKERS) as small_watcher,
        gate_lines.watched(large, _WORKERS) as large_watcher,
    ):
        sides = {"1k": (few, small, small_watcher), "1m": (many, large, large_watcher)}
        # Some of the drawn numbers are the same, and an order ends once.
        phones = {gate_world.order_of(Phone(turn)): Phone(turn) for turn in range(1, ORDERS)}
        for phone in islice(phones.values(), times):
            for name, side in sides.items():
                took[name].append(_stop(*side, phone))
    both = [*took["1k"], *took["1m"]]
    visible = {name: [each.visible_ms for each in of] for name, of in took.items()}
    median = {name: statistics.median(of) for name, of in visible.items()}
    return {
        **_spread("countermand_on_disk", [each.durable_ms for each in both]),
        **_spread("countermand_after_disk", [each.visible_ms - each.durable_ms for each in both]),
        **_spread("countermand_acknowledged", [each.acknowledged_ms for each in both]),
        "countermand_visible_p50_ms": statistics.median(each.visible_ms for each in both),
        "countermand_visible_p99_ms_1k": percentile(visible["1k"], 0.99),
        "countermand_visible_p99_ms_1m": percentile(visible["1m"], 0.99),
        "countermand_ratio_1m_to_1k": median["1m"] / median["1k"],
    }


@dataclass(frozen=True, slots=True)
class _Stop:
    """One take-back, in ms from the press: on the disk, open everywhere, and said to be so."""

    durable_ms: float
    visible_ms: float
    acknowledged_ms: float


def _spread(name: str, values: list[float]) -> dict[str, float]:
    return {
        f"{name}_p50_ms": statistics.median(values),
        f"{name}_p99_ms": percentile(values, 0.99),
    }


def _stop(folder: DataFolder, server: Server, watcher: Watcher, phone: Phone) -> _Stop:
    """Take an order back as a person does."""
    watcher.watch(phone)
    began = time.monotonic()
    pressed = press(
        folder,
        gate_world.order_of(phone),
        StopKind.TAKE_BACK,
        by=1,
        because="a mistake",
        now=datetime.now(UTC),
        gates=[f"http://127.0.0.1:{server.control_port}"],
        token=TOKEN,
    )
    if not all(each.acknowledged for each in pressed.gates):
        raise RuntimeError(f"a gate did not take the stop over: {pressed.gates}")
    visible_ms = (watcher.opened_at() - began) * 1000
    return _Stop(pressed.durable_ms, visible_ms, pressed.took_ms)


@contextmanager
def churn(folder: DataFolder, *, core: int) -> Iterator[None]:
    """A thousand changes a second, written as the follower writes them, on the gate's own core."""
    command = ["taskset", "-c", str(core), sys.executable, "-m", "benchmarks.gate_probes"]
    process = subprocess.Popen([*command, str(folder.path)], stdout=subprocess.PIPE)
    try:
        if process.stdout is None or not process.stdout.readline():
            raise RuntimeError("nobody writes changes")
        yield
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _write_changes(folder: DataFolder) -> None:
    """Change devices until killed: ten a commit, a hundred commits a second, each on the disk."""
    table = Table(folder.gate / "table")
    place = table.place()
    rows = [
        gate_world.shut_record(folder, Phone((1 + n) * _SHUT_EVERY), attested=False)
        for n in range(_CHANGES_PER_S)
    ]
    print("writing", flush=True)
    due = time.perf_counter()
    turn = 0
    while True:
        first = turn * _PER_COMMIT % _CHANGES_PER_S
        turn += 1
        table.apply(rows[first : first + _PER_COMMIT], version=place.version + turn, row_id=1)
        due += _PER_COMMIT / _CHANGES_PER_S
        time.sleep(max(0.0, due - time.perf_counter()))


if __name__ == "__main__":
    _write_changes(DataFolder(Path(sys.argv[1])))
