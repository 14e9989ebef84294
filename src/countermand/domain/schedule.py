"""Everybody has an own instant: when they must have acted, when they are told, when they are not.

Nothing here sleeps or remembers: every instant follows from stored ones, so it does not matter
how late or how often somebody looks.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

from countermand.domain.order_parts import (
    LATEST_ZONE,
    Deadline,
    EachPersonsClock,
    Send,
    TimedStep,
    zone_or_latest,
)

# On each person's own clock; reminders wait, corrections never do.
QUIET_FROM: Final = time(21)
QUIET_UNTIL: Final = time(7)
_SATURDAY: Final = 5
_ONE_DAY: Final = timedelta(days=1)
_LONGEST_REST: Final = timedelta(days=31)  # no calendar gives so many days off in a row


def is_weekday(day: date) -> bool:
    """Tell whether a day is from Monday to Friday: where no calendar is known, these are worked."""
    return day.weekday() < _SATURDAY


def own_deadline(
    deadline: Deadline,
    zone: str,
    *,
    told_at: datetime | None = None,
    own_notice: timedelta | None = None,
    absent_until: date | None = None,
    extension_until: datetime | None = None,
    works_on: Callable[[date], bool] = is_weekday,
) -> datetime:
    """Return the instant at which this person must have acted, in UTC; never before the order's.

    `own_notice` is what a late joiner gets from the instant of being told; `absent_until` is the
    last day of an absence, after which one working day is given, at the hour of the deadline;
    `extension_until` was granted to this person. `works_on` tells working days where they live.
    """
    instants = [deadline.in_zone(zone)]
    if told_at is not None and own_notice is not None:
        instants.append(told_at + own_notice)
    if absent_until is not None:
        instants.append(_after_absence(deadline, zone, next_working_day(absent_until, works_on)))
    if extension_until is not None:
        instants.append(extension_until)
    return max(instants).astimezone(UTC)


def _after_absence(deadline: Deadline, zone: str, first_day: date) -> datetime:
    local = deadline.in_zone(zone).astimezone(zone_or_latest(zone))
    return EachPersonsClock(first_day, local.time()).in_zone(zone)


def with_notice(
    own: datetime,
    deadline: Deadline,
    zone: str,
    *,
    told_at: datetime,
    least: timedelta,
    works_on: Callable[[date], bool] = is_weekday,
) -> datetime:
    """Return the own deadline, or a later one when less than the promised notice would be left.

    The later one is the first working day on which, at the hour of the deadline, `least` has gone
    by since the person is told: no mail names a time that comes too soon. In UTC.
    """
    if own - told_at >= least:
        return own
    place = zone_or_latest(zone)
    hour = deadline.in_zone(zone).astimezone(place).time()
    day = (told_at + least).astimezone(place).date() - _ONE_DAY
    while True:
        day = next_working_day(day, works_on)
        later = EachPersonsClock(day, hour).in_zone(zone)
        if later - told_at >= least:
            return max(later, own).astimezone(UTC)


def next_working_day(day: date, works_on: Callable[[date], bool] = is_weekday) -> date:
    """Return the first working day after this one; after a month without any, the first weekday."""
    following = day + _ONE_DAY
    while not works_on(following):
        following += _ONE_DAY
        if following - day > _LONGEST_REST:
            return next_working_day(day)
    return following


def is_quiet(at: datetime, zone: str) -> bool:
    """Tell whether it is night (21:00 to 07:00) on this person's clock."""
    hour = at.astimezone(zone_or_latest(zone)).time()
    return hour >= QUIET_FROM or hour < QUIET_UNTIL


def outside_quiet_hours(at: datetime, zone: str, *, before: datetime) -> datetime:
    """Return the instant itself by day; by night the next morning, or else the evening before.

    The morning counts only if it comes an hour or more before `before`.
    """
    if not is_quiet(at, zone):
        return at
    place = zone_or_latest(zone)
    local = at.astimezone(place)
    day = local.date() if local.time() < QUIET_UNTIL else local.date() + _ONE_DAY
    morning = datetime.combine(day, QUIET_UNTIL, place).astimezone(UTC)
    if morning <= before - timedelta(hours=1):
        return morning
    evening = datetime.combine(day - _ONE_DAY, QUIET_FROM, place) - timedelta(minutes=1)
    return evening.astimezone(UTC)


def step_at(step: TimedStep, own: datetime, zone: str) -> datetime:
    """Return when a step is due for somebody whose own deadline is `own`, in UTC.

    A reminder waits for the day; the last notice and the door keep their instant.
    """
    at = own.astimezone(UTC) - step.before
    return outside_quiet_hours(at, zone, before=own) if step.send is Send.REMINDER else at


@dataclass(frozen=True, slots=True)
class DueStep:
    """A step that is due for one person; `place` is its place in the order's list, from 1."""

    place: int
    step: TimedStep
    at: datetime


def due_steps(
    steps: Iterable[TimedStep],
    *,
    own: datetime,
    zone: str,
    told_at: datetime,
    now: datetime,
    done: Collection[int] = (),
) -> tuple[DueStep, ...]:
    """Return the steps whose instant is over and which are not done, the earliest first.

    A reminder whose instant was over when the person was told is left out: the notice itself has
    just said it. So is a reminder after the deadline.
    """
    due = [
        DueStep(place, step, step_at(step, own, zone))
        for place, step in enumerate(steps, start=1)
        if place not in done
    ]
    return tuple(
        sorted(
            (each for each in due if each.at <= now and not _is_stale(each, own, told_at, now)),
            key=lambda each: (each.at, each.place),
        )
    )


def next_step_at(
    steps: Iterable[TimedStep], *, own: datetime, zone: str, now: datetime
) -> datetime | None:
    """Return the first instant after `now` at which a step of this person is due, None if none."""
    instants = (step_at(step, own, zone) for step in steps)
    return min((at for at in instants if at > now), default=None)


def _is_stale(due: DueStep, own: datetime, told_at: datetime, now: datetime) -> bool:
    return due.step.send is Send.REMINDER and (due.at <= told_at or now >= own)


def end_of_day(day: date) -> datetime:
    """Return the instant at which this day is over everywhere on earth, in UTC.

    After the day on which an order is looked at again nothing of it may leave any more.
    """
    return datetime.combine(day + _ONE_DAY, time(0), LATEST_ZONE).astimezone(UTC)
