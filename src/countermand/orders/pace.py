"""When each of many notices will leave, by the limits of the relay and of domains.

Deadlines are counted from this instant, which is stored with the mail. That no minute holds more
than its limit, whatever else leaves, is the ledger's business as mails are claimed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from countermand.domain.address import ascii_domain
from countermand.domain.mail_limits import EVERY_DOMAIN, apart


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
            self._free_at[name] = at + apart(self.limits[name])
        return at

    def _names(self, address: str) -> Iterator[str]:
        yield EVERY_DOMAIN
        yield ascii_domain(address.rpartition("@")[2].lower())
