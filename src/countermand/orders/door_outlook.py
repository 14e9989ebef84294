"""What doors would do at a deadline, and how much mail is read through doors that can do it.

By the very function by which doors decide (`domain.verdict`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from countermand.domain import door_share, verdict
from countermand.domain.phases import Enforcement
from countermand.domain.verdict import LOCK_NOTICE_LEAD, OrderStateFacts
from countermand.enforcement import door_counts
from countermand.orders.cells import Cell

_LATELY: Final = timedelta(days=7)


def states_at_deadline(number: str, enforcement: Enforcement) -> dict[str, OrderStateFacts]:
    """Return the state in which doors may close, as it will be once the order is enforcing."""
    return {
        number: OrderStateFacts(
            number=number,
            phase="enforcing",
            enforcement=enforcement.value,
            epoch=1,
            stopped_epoch=0,
            withdrawn=False,
            valid=True,
        )
    }


def would_lose_mail(
    cell: Cell, number: str, states: Mapping[str, OrderStateFacts], now: datetime
) -> bool:
    """Tell whether this door would shut if the deadline were now and everybody had been told."""
    told = now - verdict.MINIMUM_NOTICE
    entry = cell.entry(
        number, closes_at=now, noticed_at=told, lock_accepted_at=now - LOCK_NOTICE_LEAD
    )
    return verdict.decide([entry], states, now).closed


def doors_that_know(now: datetime) -> dict[str, Any]:
    """Return how much mail was read lately, and how much through doors that know the device."""
    share = door_share.share_of(door_counts.in_all(since=now - _LATELY))
    return {
        "days": _LATELY.days,
        "reading": share.reading,
        "known": share.known,
        "per_cent": share.per_cent,
    }
