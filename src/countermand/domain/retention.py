"""How long what names people is kept: by kind and by country, never too short and never too long.

Too short would leave nothing to correct or to prove; too long is nobody's business. The bounds of
a kind hold everywhere; a country may draw narrower ones, and what an organisation chose is brought
within them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Kind(StrEnum):
    """What is kept of people."""

    MAILS = "mails"
    ANSWERS = "answers"  # what people said of their devices
    FINDINGS = "findings"  # which ordered app a source saw on which device


@dataclass(frozen=True, slots=True)
class Bounds:
    """The fewest and the most days."""

    floor: int
    ceiling: int

    def hold(self, days: int) -> int:
        """Bring a number of days within the bounds."""
        return min(max(days, self.floor), self.ceiling)

    def allows(self, other: Bounds) -> bool:
        """Whether other bounds are real ones, and none of them lies outside of these."""
        return self.floor <= other.floor <= other.ceiling <= self.ceiling


BOUNDS: Final = MappingProxyType(
    {
        Kind.MAILS: Bounds(30, 1825),
        Kind.ANSWERS: Bounds(30, 1825),
        Kind.FINDINGS: Bounds(1, 365),
    }
)
BEGINS_AFTER: Final = timedelta(days=30)
"""The time begins so long after an order is over: until then evidence may come late."""

Countries = Mapping[str, Mapping[Kind, Bounds]]


@dataclass(frozen=True, slots=True)
class Period:
    """How long one kind is kept for people of these countries; of none: for everybody else."""

    days: int
    countries: tuple[str, ...] = ()

    @property
    def span(self) -> timedelta:
        """From the end of an order on."""
        return BEGINS_AFTER + timedelta(days=self.days)


@dataclass(frozen=True, slots=True)
class Retention:
    """What an organisation chose, in days by kind, and the bounds of countries."""

    days: Mapping[Kind, int]
    countries: Countries = field(default_factory=lambda: MappingProxyType({}))

    def periods(self, kind: Kind) -> tuple[Period, ...]:
        """Return how long a kind is kept, the rest of the world first; equal periods together."""
        chosen = BOUNDS[kind].hold(self.days[kind])
        by_days: dict[int, list[str]] = {}
        for country, kinds in sorted(self.countries.items()):
            if kind in kinds:
                by_days.setdefault(kinds[kind].hold(chosen), []).append(country)
        own = (Period(days, tuple(named)) for days, named in sorted(by_days.items()))
        return Period(chosen), *own

    def named_countries(self, kind: Kind) -> tuple[str, ...]:
        """Return the countries that have bounds of their own for a kind."""
        return tuple(each for each, kinds in sorted(self.countries.items()) if kind in kinds)


def read_countries(text: str) -> Countries:
    """Read `{"DE": {"answers": [30, 90]}}`: floor and ceiling. Raises ValueError."""
    told = json.loads(text or "{}")
    if not isinstance(told, dict):
        raise ValueError(text)  # noqa: TRY004  (a setting that cannot be read)
    return MappingProxyType({_country(name): _kinds(each) for name, each in told.items()})


def _country(name: str) -> str:
    if len(name) != 2 or not name.isascii() or not name.isupper():  # noqa: PLR2004  (alpha-2)
        raise ValueError(name)
    return name


def _kinds(told: object) -> Mapping[Kind, Bounds]:
    if not isinstance(told, dict):
        raise ValueError(told)  # noqa: TRY004  (a setting that cannot be read, whatever it holds)
    found = {}
    for name, pair in told.items():
        kind = Kind(name)
        if not isinstance(pair, list) or [type(each) for each in pair] != [int, int]:
            raise ValueError(pair)
        bounds = Bounds(*pair)
        if not BOUNDS[kind].allows(bounds):
            raise ValueError(pair)
        found[kind] = bounds
    return MappingProxyType(found)
