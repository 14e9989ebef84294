"""The one place where ports meet their implementations.

Everything here is loaded when it is asked for: who needs the clock does not load Django.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from countermand import clock as clocks
from countermand.config import Settings
from countermand.ports import Clock


def clock(settings: Settings) -> Clock:
    """Return the clock of this installation."""
    return clocks.for_data(settings.folder)


@dataclass(frozen=True, slots=True)
class SweepStep:
    """One thing that every sweep looks after; a fault in one never keeps the others from theirs."""

    name: str
    run: Callable[[datetime], object]


def number_log(settings: Settings, now: datetime) -> None:
    """Enter in the log what was let out, then number and sign everything that waits."""
    from countermand.audit import jobs as audit  # noqa: PLC0415  (loads Django)
    from countermand.notices import actions as notices  # noqa: PLC0415
    from countermand.project import installation  # noqa: PLC0415

    while notices.log_permit_batches(now=now):
        pass
    audit.sequence(now, signer=installation.log_signer(settings.folder))


def complete_stops(settings: Settings, now: datetime) -> None:
    """Finish in the database what the files of stopped orders ask for."""
    del settings, now


def sweep_steps(settings: Settings) -> tuple[SweepStep, ...]:
    """Return what a sweep does, in order."""
    return (SweepStep("log.number", lambda now: number_log(settings, now)),)
