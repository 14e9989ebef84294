"""How much of a time somebody listened: silence says something only about what was listened to.

That a mail was not returned is known as far as returned mails were read. They were read in
stretches; between two of them nobody could, and the mailbox itself may have been out of reach for
those who return mails.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class HeardStretch:
    """A time in which everything that came back was read, up to `ended_at`."""

    began_at: datetime
    ended_at: datetime


def heard_for(span: timedelta, stretches: Iterable[HeardStretch], *, now: datetime) -> datetime:
    """Return the latest instant since which `span` of listening has gone by.

    `stretches` come newest first, and are asked for no further than needed. Before the oldest one
    nothing is known to have been missed; without any, nobody ever failed to listen.
    """
    earliest, missing = now, span
    for each in stretches:
        heard_until = min(each.ended_at, now)
        began_at = min(each.began_at, heard_until)
        if heard_until - began_at >= missing:
            return heard_until - missing
        missing -= heard_until - began_at
        earliest = began_at
    return earliest - missing
