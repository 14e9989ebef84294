"""The campaign: real processes, killed and frozen over and over; the mail server's record judges.

    make campaign KILLS=1000 SEED=1

goes on where an earlier run with the same seed stopped (`build/campaign`), and ends with one line
of JSON. WITHOUT=fence|permit|barrier leaves a part of the design out: then it has to turn red.
POWER=n plays n more rounds in which the machine loses its power (root and a loop device).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from simulation.campaign_judge import MUST_BE_ZERO
from simulation.campaign_round import Outcome, Round
from simulation.campaign_stage import Stage, build, number_of
from simulation.power import PowerDisk

_SUMMED: Final = ("accepted", "precautionary", *MUST_BE_ZERO)
_VACUUM_EVERY: Final = 100
FOLDER: Final = Path("build/campaign")


@dataclass(frozen=True, slots=True)
class Journal:
    """What was played already: one line a round, so that a broken run loses one round at most."""

    path: Path

    def lines(self) -> Iterator[dict[str, Any]]:
        """Yield every whole line."""
        if self.path.exists():
            for line in self.path.read_bytes().split(b"\n")[:-1]:
                yield json.loads(line)

    def add(self, line: dict[str, Any]) -> None:
        """Write one line."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            file.write(json.dumps(line, sort_keys=True).encode() + b"\n")


def play(
    stage: Stage,
    journal: Journal,
    *,
    seed: int,
    world: int,
    without: str,
    counting: str,
    until: int,
) -> None:
    """Play rounds until this journal counts `until` of what `counting` names."""
    done = list(journal.lines())
    counted = sum(line[counting] for line in done)
    number = number_of(stage)
    index = len(done)
    while counted < until:
        begun = time.monotonic()
        outcome = Round(stage, number, f"{seed}:{world}:{index}", without=without).play()
        line = _line(outcome, index, time.monotonic() - begun)
        journal.add(line)
        counted += line[counting]
        if outcome.verdict.is_red():
            print(f"round {seed}:{world}:{index}: {outcome.verdict.why[:5]}", file=sys.stderr)
        index += 1
        if index % _VACUUM_EVERY == 0:
            stage.vacuum()


def _line(outcome: Outcome, index: int, took_s: float) -> dict[str, Any]:
    return {
        "round": index,
        "kills": outcome.kills,
        "faults": dict(outcome.faults),
        "power_losses": outcome.power_losses,
        "took_s": round(took_s, 3),
        **outcome.verdict.as_dict(),
    }


def summary(journals: list[Journal]) -> dict[str, Any]:
    """Add up everything that was played."""
    lines = [line for journal in journals for line in journal.lines()]
    points: Counter[str] = Counter()
    for line in lines:
        points.update(line["faults"])
    counted = {name: sum(line[name] for line in lines) for name in _SUMMED}
    return {
        "kills": sum(line["kills"] for line in lines),
        "faults": sum(points.values()),
        "accepted": counted["accepted"],
        "missed": counted["missed"],
        "stray": counted["stray"],
        "precautionary": counted["precautionary"],
        "after_correction": counted["after_correction"],
        "untrue": counted["untrue"],
        "unpermitted": counted["unpermitted"],
        "denied": counted["denied"],
        "unlike": counted["unlike"],
        "after_stop": counted["after_stop"],
        "stuck": counted["stuck"],
        "rounds": len(lines),
        "power_losses": sum(line["power_losses"] for line in lines),
        "points": dict(sorted(points.items())),
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--worlds", type=int, default=1, help="stages side by side")
    parser.add_argument("--world", type=int, default=-1, help=argparse.SUPPRESS)
    parser.add_argument("--power", type=int, default=0, help="rounds that lose the power, too")
    parser.add_argument("--without", choices=("", "fence", "permit", "barrier"), default="")
    parser.add_argument("--fresh", action="store_true", help="forget what was played before")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    return parser.parse_args()


def _journal(given: argparse.Namespace, world: int) -> Journal:
    without = f"-without-{given.without}" if given.without else ""
    return Journal(given.folder / f"seed-{given.seed}{without}" / f"world-{world}.jsonl")


def _play_world(given: argparse.Namespace, world: int) -> None:
    loses_power = world == given.worlds
    stage = build(with_power=loses_power)
    try:
        play(
            stage,
            _journal(given, world),
            seed=given.seed,
            world=world,
            without=given.without,
            counting="power_losses" if loses_power else "kills",
            until=given.power if loses_power else -(-given.kills // given.worlds),
        )
    finally:
        stage.close()


def _worlds(given: argparse.Namespace) -> list[int]:
    """Return the stages to play on: the one after the last is the one that loses its power."""
    worlds = list(range(given.worlds))
    if given.power and not PowerDisk.can_be_made():
        print("NOT RUN: losing the power needs root, ext4 and a loop device", file=sys.stderr)
    elif given.power:
        worlds.append(given.worlds)
    return worlds


def main() -> int:
    """Play, sum up, and say in the exit status whether a promise was broken."""
    given = _arguments()
    if given.world >= 0:
        _play_world(given, given.world)
        return 0
    worlds = _worlds(given)
    journals = [_journal(given, world) for world in worlds]
    if given.fresh:
        for journal in journals:
            journal.path.unlink(missing_ok=True)
    begun = time.monotonic()
    before = sum(line["kills"] for journal in journals for line in journal.lines())
    command = [sys.executable, "-m", "simulation.campaign", *sys.argv[1:]]
    command = [word for word in command if word != "--fresh"]
    players = [
        subprocess.Popen([*command, "--world", str(world)], env=os.environ.copy())
        for world in worlds
    ]
    broken = [player.wait() for player in players]
    found = summary(journals)
    found["kills_a_second"] = round((found["kills"] - before) / (time.monotonic() - begun), 2)
    print(json.dumps(found, sort_keys=False))
    return 1 if any(broken) or any(found[name] for name in MUST_BE_ZERO) else 0


if __name__ == "__main__":
    sys.exit(main())
