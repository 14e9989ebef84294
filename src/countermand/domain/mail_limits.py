"""How closely mails may follow each other, so that a minute never holds more than its limit.

Limits go by the domain of the address, in ASCII; `*` is the relay as a whole.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

EVERY_DOMAIN: Final = "*"
# A minute, and the second that the ledger lets a late claim catch up with (`ledger_keep_limits`).
_COUNTED_US: Final = 61_000_000


def apart(per_minute: int) -> timedelta:
    """Return the distance of two mails, rounded up."""
    return timedelta(microseconds=-(-_COUNTED_US // per_minute))
