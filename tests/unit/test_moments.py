from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from countermand.notices.moments import day, listed, moment

AT = datetime(2020, 7, 10, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "language", "said"),
    [
        ("Asia/Kolkata", "en", "Friday 10 July 2020, 18:00 (India Standard Time)"),
        ("Asia/Kolkata", "hi", "शुक्रवार, 10 जुलाई 2020, शाम 6:00 बजे (भारतीय मानक समय)"),
        ("Asia/Calcutta", "en", "Friday 10 July 2020, 18:00 (India Standard Time)"),
        ("Europe/Berlin", "en", "Friday 10 July 2020, 14:30 (Central European Summer Time)"),
        ("Pacific/Auckland", "en", "Saturday 11 July 2020, 00:30 (New Zealand Standard Time)"),
        ("Nowhere/Land", "en", "Friday 10 July 2020, 12:30 (Coordinated Universal Time)"),
    ],
)
def test_a_moment_names_weekday_date_hour_and_zone(zone: str, language: str, said: str) -> None:
    assert moment(AT, zone, language) == said


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        moment(AT.replace(tzinfo=None), "UTC", "en")


def test_a_day_is_the_day_where_the_person_is() -> None:
    assert day(AT, "Pacific/Auckland", "en") == "11 July 2020"
    assert day(date(2020, 7, 10), "Pacific/Auckland", "hi") == "10 जुलाई 2020"


def test_names_are_joined_as_people_say_them() -> None:
    assert listed(("a", "b", "c"), "en") == "a, b and c"
    assert listed(("a", "b"), "hi") == "a और b"


def test_irish_summer_is_named_as_people_there_name_it() -> None:
    summer = moment(datetime(2020, 7, 10, 7, tzinfo=UTC), "Europe/Dublin", "en")
    winter = moment(datetime(2020, 1, 10, 7, tzinfo=UTC), "Europe/Dublin", "en")

    assert summer.endswith("08:00 (Irish Standard Time)")
    assert winter.endswith("07:00 (Greenwich Mean Time)")
