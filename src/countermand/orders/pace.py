"""No relay and no domain gets more notices a minute than it can take: their instants are spread.

Every instant is stored with its mail, so it does not matter who sends and how often somebody
looks. Corrections are never spread: they leave as fast as they can.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from countermand.domain.address import ascii_domain

EVERY_DOMAIN: Final = "*"
_MINUTE_US: Final = 60_000_000


@dataclass
class Pace:
    """Gives each mail of a mailing the first free instant of its domain and of the relay.

    `limits` are mails a minute by domain; `*` is the relay as a whole. No limit, no delay.
    """

    limits: Mapping[str, int]
    _free_at: dict[str, datetime] = field(default_factory=dict)

    def due(self, address: str, wanted: datetime) -> datetime:
        """Return when a mail to this address may leave, not before `wanted`; take the place."""
        names = [name for name in self._names(address) if name in self.limits]
        at = max([wanted, *(self._free_at.get(name, wanted) for name in names)])
        for name in names:
            self._free_at[name] = at + _apart(self.limits[name])
        return at

    def _names(self, address: str) -> Iterator[str]:
        yield EVERY_DOMAIN
        yield ascii_domain(address.rpartition("@")[2].lower())


def _apart(limit: int) -> timedelta:
    """Return the distance of two mails, rounded up: a minute never holds one too many."""
    return timedelta(microseconds=-(-_MINUTE_US // limit))


def spread(
    addresses: Iterable[str], *, begin: datetime, limits: Mapping[str, int]
) -> list[datetime]:
    """Return the instant of each mail that is due at `begin`."""
    pace = Pace(limits)
    return [pace.due(address, begin) for address in addresses]
