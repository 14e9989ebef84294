"""Instants as tables and sentences of the command line show them: by the clock of the house.

The zone stands beside each of them. What programs read (JSON) is in UTC, always.
"""

from __future__ import annotations

from contextvars import ContextVar
from datetime import datetime
from typing import Final

_zone: Final = ContextVar("zone", default="UTC")


def use(zone: str) -> None:
    """Show every later instant by the clock of this IANA zone."""
    _zone.set(zone)


def zone() -> str:
    """Return the zone by whose clock instants are shown."""
    return _zone.get()


def local(at: datetime) -> datetime:
    """Return an instant on the clock of the house."""
    from zoneinfo import ZoneInfo

    return at.astimezone(ZoneInfo(_zone.get()))


def instant(at: datetime | str | None) -> str:
    """Return an instant to the minute, with the zone's name; a dash if there is none."""
    if at is None:
        return "–"
    moment = datetime.fromisoformat(at) if isinstance(at, str) else at
    return f"{local(moment):%Y-%m-%d %H:%M} {_zone.get()}"
