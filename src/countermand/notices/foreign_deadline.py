"""The deadline in anybody's mail: which moments are written in it, and how far ahead they lie.

What looks like a deadline and cannot be read for certain is left to a person, never called kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from typing import Final

from countermand.notices import copy_words
from countermand.notices.foreign_mail import SeenMail

MINIMUM_NOTICE: Final = timedelta(hours=72)
_HOUR: Final = timedelta(hours=1)
_LONGEST_LINE: Final = 400
_SHOWN: Final = 80
_WHOLE: Final = (copy_words.WEEKDAY, copy_words.DAY, copy_words.HOUR, copy_words.ZONE)
_END_OF_DAY: Final = time(23, 59)
_LEAP_YEARS: Final = 9  # from one 29 February to the next are at most eight years
_MIDDAY: Final = 12
_WHOLE_DAY: Final = 24
_FIRST_HOUR_OF_NIGHT: Final = 5
# Whoever names no zone that is known here may mean any on earth.
_EASTERNMOST: Final = timezone(timedelta(hours=14))
_WESTERNMOST: Final = timezone(timedelta(hours=-12))


@dataclass(frozen=True, slots=True)
class _Moment:
    """A clock that a mail names, and its zone where that is known."""

    clock: datetime
    zone: timezone | None

    def earliest(self) -> datetime:
        return self.clock.replace(tzinfo=self.zone or _EASTERNMOST)

    def latest(self) -> datetime:
        return self.clock.replace(tzinfo=self.zone or _WESTERNMOST)


def judge(mail: SeenMail) -> Iterator[tuple[str, str]]:
    """Yield the ways in which a demand breaks the rule of the deadline, or leaves it in doubt."""
    lines = [line[:_LONGEST_LINE] for line in mail.text.splitlines()]
    whole = [line for line in lines if all(part.search(line) for part in _WHOLE)]
    if whole:
        yield from _ahead(mail.sent_at, lines, whole)
    elif any(part.search(f"{mail.subject}\n{mail.text}") for part in _WHOLE[:3]):
        yield "deadline_incomplete", ""
    else:
        yield "deadline_missing", ""


def _ahead(
    sent_at: datetime | None, lines: list[str], whole: list[str]
) -> Iterator[tuple[str, str]]:
    if sent_at is None:
        yield "date_not_read", ""
        return
    found: list[_Moment] = []
    doubtful = [match[0] for line in lines if (match := copy_words.VAGUE.search(line))]
    for line in lines:
        for read in _moments(line, sent_at, is_whole=line in whole):
            if isinstance(read, str):
                doubtful.append(read)
            else:
                found.append(read)
    ahead = [each for each in found if each.latest() > sent_at] or found
    if ahead and all(each.latest() - sent_at < MINIMUM_NOTICE for each in ahead):
        last = max(ahead, key=_Moment.latest)
        left = last.clock.replace(tzinfo=last.zone or sent_at.tzinfo) - sent_at
        yield "notice_too_short", str(max(left // _HOUR, 0))
    elif doubtful:
        yield "deadline_not_read", doubtful[0].strip()[:_SHOWN]
    elif not ahead or any(each.earliest() - sent_at < MINIMUM_NOTICE for each in ahead):
        yield "deadline_not_read", whole[0].strip()[:_SHOWN]


def _moments(line: str, sent_at: datetime, *, is_whole: bool) -> Iterator[_Moment | str]:
    """Yield each moment of a line, or its words where they cannot be read.

    Of a line in which not all of a moment stands, only days count that somebody has to keep to.
    """
    days = list(copy_words.DAY.finditer(line))
    clocks = copy_words.DAY.sub(lambda match: " " * len(match[0]), line)
    for before, day, after in zip(
        [0, *(each.end() for each in days)],
        days,
        [*(each.start() for each in days[1:]), len(line)],
        strict=False,
    ):
        following = copy_words.HOUR.search(clocks, day.end(), after)
        hours = [*copy_words.HOUR.finditer(clocks, before, day.start()), *filter(None, [following])]
        is_limit = bool(
            copy_words.LIMIT_BEFORE.search(line[before : day.start()])
            or copy_words.LIMIT_AFTER.match(line[day.end() : after])
        )
        if not (is_limit or (is_whole and hours)):
            continue
        on = _day(day, line[before : day.start()], sent_at)
        clock = _clock(hours[-1]) if hours else (_END_OF_DAY, 0)
        if on is None or clock is None:
            yield line[before:after]
        else:
            at, later = clock
            zone = _zone(line[(following or day).end() : after]) or _zone(line[before:after])
            yield _Moment(datetime.combine(on, at) + timedelta(days=later), zone)


def _day(match: re.Match[str], before: str, sent_at: datetime) -> date | None:
    """Return the day of a match; one without a year is the next such day after the mail."""
    parts = {name[:-1]: text for name, text in match.groupdict().items() if text}
    weekday = copy_words.WEEKDAY_BEFORE.search(before)
    try:
        day, month = int(parts["day"]), _month(parts["month"])
        if "year" in parts:
            found = date(int(parts["year"]), month, day)
        else:
            found = _next_such_day(month, day, sent_at.date())
    except (KeyError, ValueError):
        return None
    named = copy_words.weekday(weekday["weekday"]) if weekday else found.weekday()
    return found if named == found.weekday() else None


def _month(text: str) -> int:
    if text.isdecimal():
        return int(text)
    return copy_words.month(text)


def _next_such_day(month: int, day: int, sent_on: date) -> date:
    for year in range(sent_on.year, sent_on.year + _LEAP_YEARS):
        try:
            found = date(year, month, day)
        except ValueError:
            continue
        if found >= sent_on:
            return found
    raise ValueError(day)


def _clock(match: re.Match[str]) -> tuple[time, int] | None:
    """Return the clock time of a match and the days to add to its day; None where in doubt."""
    if match["word"]:
        return (time(_MIDDAY), 0) if match["word"].lower() == "noon" else None
    hour, minute = int(match["hour"]), int(match["minute"] or 0)
    half = (match["half"] or match["half2"] or "").lower()
    part = match["part"] or match["part_after"] or ""
    if hour <= _MIDDAY and half:
        hour = hour % _MIDDAY + (_MIDDAY if half == "p" else 0)
    elif hour <= _MIDDAY and match["o_clock"]:
        read = _hour_in_hindi(hour, part)
        if read is None:
            return None
        hour = read
    days, hour = divmod(hour, _WHOLE_DAY)
    try:
        return time(hour, minute), days
    except ValueError:
        return None


def _hour_in_hindi(hour: int, part: str) -> int | None:
    """Return the hour on a clock of 24; which night “रात 12 बजे” is, nobody can say."""
    if part in {"सुबह", "सवेरे"} and hour < _MIDDAY:
        return hour
    if part == "दोपहर":
        return hour if hour >= _MIDDAY - 1 else hour + _MIDDAY
    if part == "शाम" and hour < _MIDDAY:
        return hour + _MIDDAY
    if part == "रात" and _FIRST_HOUR_OF_NIGHT < hour < _MIDDAY:
        return hour + _MIDDAY
    return None


def _zone(text: str) -> timezone | None:
    offset = copy_words.OFFSET.search(text)
    if offset:
        hours = timedelta(hours=int(offset[2] or 0), minutes=int(offset[3] or 0))
        return timezone(-hours if offset[1] == "-" else hours) if hours < 24 * _HOUR else None
    for pattern, minutes in copy_words.KNOWN_ZONES:
        if pattern.search(text):
            return timezone(timedelta(minutes=minutes))
    return None
