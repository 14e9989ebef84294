"""A deadline on a day off is told with the name of the day, country by country."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from countermand.domain.schedule import next_working_day
from countermand.orders import days_off

DIWALI = datetime(2026, 11, 8, 11, 30, tzinfo=UTC)  # a Sunday
REPUBLIC_DAY = datetime(2027, 1, 26, 11, 30, tzinfo=UTC)  # a Tuesday
WORKDAY = datetime(2026, 12, 10, 11, 30, tzinfo=UTC)


def test_a_working_day_is_no_warning() -> None:
    assert days_off.days_off([("IN", "Asia/Kolkata", WORKDAY)]) == {"days": [], "unknown": []}


def test_a_public_holiday_is_named_in_both_languages_and_only_where_it_is_kept() -> None:
    people = [("IN", "Asia/Kolkata", REPUBLIC_DAY)] * 3 + [("GB", "Europe/London", REPUBLIC_DAY)]
    (day,) = days_off.days_off(people)["days"]

    assert (day["country"], day["day"], day["people"]) == ("IN", "2027-01-26", 3)
    assert day["holiday"] == {"en": "Republic Day", "hi": "गणतंत्र दिवस"}
    assert not day["weekend"]


def test_the_weekend_is_that_of_the_country() -> None:
    friday, sunday = date(2026, 12, 11), date(2026, 12, 13)

    assert days_off.is_weekend("SA", friday)
    assert not days_off.is_weekend("SA", sunday)
    assert days_off.is_weekend("GB", sunday)
    assert not days_off.is_weekend("GB", friday)


def test_the_day_is_that_of_the_clock_where_somebody_lives() -> None:
    late = datetime(2026, 12, 11, 20, 0, tzinfo=UTC)  # Saturday in Kolkata, Friday in London

    found = days_off.days_off([("IN", "Asia/Kolkata", late), ("GB", "Europe/London", late)])

    assert [(day["country"], day["day"]) for day in found["days"]] == [("IN", "2026-12-12")]


def test_a_country_without_a_calendar_is_named() -> None:
    assert days_off.days_off([("XX", "UTC", WORKDAY)])["unknown"] == ["XX"]


@pytest.mark.parametrize(
    ("hours", "people"),
    [
        ("08:00-20:00", 1),  # New York: it is half past six there
        ("08:00-17:00", 2),  # in Kolkata it is 17:00 on the dot
        ("08:00-17:01", 1),
        ("22:00-06:00", 2),
        ("", 0),
    ],
)
def test_a_deadline_when_nobody_can_help_is_counted_by_the_clock_of_each(
    hours: str, people: int
) -> None:
    deadlines = [("Asia/Kolkata", WORKDAY), ("America/New_York", WORKDAY)]

    found = days_off.outside_hours(deadlines, hours)

    assert found == {"hours": hours, "people": people}


@pytest.mark.parametrize(
    ("country", "last_day_off", "back"),
    [
        ("", date(2026, 12, 4), date(2026, 12, 7)),  # not known: Monday to Friday
        ("XX", date(2026, 12, 4), date(2026, 12, 7)),
        ("DE", date(2026, 12, 24), date(2026, 12, 28)),  # Christmas, then a weekend
        ("AE", date(2026, 12, 1), date(2026, 12, 4)),  # two national days
        ("EG", date(2026, 12, 3), date(2026, 12, 6)),  # Friday and Saturday are the weekend
        ("IL", date(2026, 12, 3), date(2026, 12, 6)),
        ("IR", date(2026, 12, 10), date(2026, 12, 12)),  # Friday alone
        ("IN", date(2026, 1, 25), date(2026, 1, 27)),  # Republic Day
    ],
)
def test_after_a_leave_comes_the_first_day_on_which_people_work_there(
    country: str, last_day_off: date, back: date
) -> None:
    assert next_working_day(last_day_off, days_off.works_on(country)) == back
