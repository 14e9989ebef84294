"""Weekends and public holidays where somebody lives: deadlines on them are told before release.

That is a warning, never a refusal: only people know which days count in their house. A country
that the library does not know is named as such, so that no warning is not taken for a good day.
The day after a leave, and a day that was put off, are working days where the person lives.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import date, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from countermand.domain.order_parts import zone_or_latest

if TYPE_CHECKING:
    import holidays

_MOST_NAMED: Final = 50
_LANGUAGES: Final = ("en", "hi")


def days_off(deadlines: Iterable[tuple[str, str, datetime]]) -> dict[str, Any]:
    """Count the people whose own deadline falls on a day off, out of country, zone and deadline.

    `days` names each such day once a country, `unknown` the countries without a calendar.
    """
    found: Counter[tuple[str, date]] = Counter(
        (country, at.astimezone(zone_or_latest(zone)).date()) for country, zone, at in deadlines
    )
    days = [
        {
            "country": country,
            "day": day.isoformat(),
            "people": people,
            "weekend": is_weekend(country, day),
            "holiday": holiday_names(country, day),
        }
        for (country, day), people in sorted(found.items())
        if is_weekend(country, day) or holiday_names(country, day)
    ]
    return {
        "days": days[:_MOST_NAMED],
        "unknown": sorted({country for country, day in found if _is_unknown(country, day)}),
    }


def outside_hours(deadlines: Iterable[tuple[str, datetime]], hours: str) -> dict[str, Any]:
    """Count the people whose own deadline comes when nobody can help, out of zone and deadline.

    `hours` are such as 08:00-20:00, by the clock where somebody lives; empty for at any time. At
    the last of them nobody is there any more, and after midnight may come before it.
    """
    begin, _, end = hours.partition("-")
    clocks = (f"{at.astimezone(zone_or_latest(zone)):%H:%M}" for zone, at in deadlines)
    if begin < end:
        people = sum(not begin <= clock < end for clock in clocks)
    else:
        people = sum(end <= clock < begin for clock in clocks)
    return {"hours": hours, "people": people}


def _is_unknown(country: str, day: date) -> bool:
    return bool(country) and _calendar(country, day.year, "en") is None


def is_known(country: str) -> bool:
    """Tell whether there is a calendar of this country (ISO 3166, two letters)."""
    return country in _countries()


def is_weekend(country: str, day: date) -> bool:
    """Tell whether nobody works on this weekday there; Saturday and Sunday where nothing is known.

    In some countries it is Friday and Saturday.
    """
    calendar = _calendar(country, day.year, "en")
    return day.weekday() in (calendar.weekend if calendar is not None else {5, 6})


def works_on(country: str) -> Callable[[date], bool]:
    """Return what tells whether people work on a day there: no weekend and no public holiday.

    From Monday to Friday where the country, or its calendar of that year, is not known.
    """

    def works(day: date) -> bool:
        calendar = _calendar(country, day.year, "en")
        return not is_weekend(country, day) and (calendar is None or day not in calendar)

    return works


def holiday_names(country: str, day: date) -> dict[str, str]:
    """Return what a public holiday is called, by language; empty on any other day.

    A holiday that only a part of the country keeps is not among them.
    """
    found = {}
    for language in _LANGUAGES:
        calendar = _calendar(country, day.year, language)
        name = calendar.get(day) if calendar is not None else None
        if name:
            found[language] = str(name)
    return found


@lru_cache(maxsize=1)
def _countries() -> frozenset[str]:
    import holidays  # noqa: PLC0415  (all calendars of the world: only for who plans)

    return frozenset(holidays.list_supported_countries(include_aliases=False))


@lru_cache(maxsize=256)
def _calendar(country: str, year: int, language: str) -> holidays.HolidayBase | None:
    if not is_known(country):
        return None
    import holidays  # noqa: PLC0415

    known = holidays.list_localized_countries(include_aliases=False).get(country, [])
    offered = [tag for tag in known if tag.split("_")[0] == language]
    spoken = offered[0] if offered else None
    with warnings.catch_warnings(record=True) as doubts:
        warnings.simplefilter("always")
        calendar = holidays.country_holidays(country, years=year, language=spoken)
    # Days that follow the moon are known for some years only; half a calendar is none.
    return None if doubts else calendar
