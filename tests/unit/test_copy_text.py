"""Instants and days come out of COPY's text as what they were."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from countermand.copy_text import NULL, moment


@pytest.mark.parametrize(
    "at",
    [
        datetime(2026, 11, 22, 19, 41, tzinfo=UTC),
        datetime(2026, 11, 22, 19, 41, 7, 250, tzinfo=UTC),
        datetime(2026, 11, 22, 19, 41, tzinfo=timezone(timedelta(hours=5, minutes=30))),
    ],
)
def test_an_instant_keeps_its_zone(at: datetime) -> None:
    read = datetime.fromisoformat(moment(at))

    assert read == at
    assert read.tzinfo is not None


def test_a_day_is_a_day_and_none_is_none() -> None:
    assert moment(date(2026, 11, 22)) == "2026-11-22"
    assert moment(None) == NULL
