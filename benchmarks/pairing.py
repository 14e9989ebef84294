"""Paired rounds: two things are measured right after each other, and only their ratio is believed.

Other work on the machine comes and goes, and hits both halves of a pair alike. A pair in which the
floor itself moved far from its median says more about the machine than about us: it is left out,
and counted.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

# A floor this many times off its own median was disturbed.
_DISTURBED: Final = 2.0


@dataclass(frozen=True, slots=True)
class Pairs:
    """What both sides did in each round, in the same unit (more is better)."""

    ours: tuple[float, ...]
    floor: tuple[float, ...]

    @property
    def kept(self) -> tuple[tuple[float, float], ...]:
        """The pairs whose floor was not disturbed."""
        usual = statistics.median(self.floor)
        return tuple(
            (mine, floor)
            for mine, floor in zip(self.ours, self.floor, strict=True)
            if usual / _DISTURBED <= floor <= usual * _DISTURBED
        )

    @property
    def ratio(self) -> float:
        """The median, over the kept pairs, of ours to the floor."""
        return statistics.median(mine / floor for mine, floor in self.kept)

    @property
    def facts(self) -> dict[str, float | int]:
        """How the rounds went, for the report above the last line."""
        return {
            "ours_per_s": round(statistics.median(self.ours)),
            "floor_per_s": round(statistics.median(self.floor)),
            "ratio": round(self.ratio, 3),
            "lowest": round(min(mine / floor for mine, floor in self.kept), 3),
            "highest": round(max(mine / floor for mine, floor in self.kept), 3),
            "pairs": len(self.kept),
            "disturbed": len(self.ours) - len(self.kept),
        }


def in_pairs(rounds: int, ours: Callable[[], float], floor: Callable[[], float]) -> Pairs:
    """Measure both in turn, `rounds` times; who goes first alternates."""
    mine: list[float] = []
    theirs: list[float] = []
    for number in range(rounds):
        for each in (ours, floor) if number % 2 else (floor, ours):
            (mine if each is ours else theirs).append(each())
    return Pairs(tuple(mine), tuple(theirs))


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` (0 to 1) of all values do not exceed: one that was measured."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
