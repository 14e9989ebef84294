"""Instants and days come out of COPY's text as what they were."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countermand.copy_text import NULL, day, epoch

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


@given(
    st.datetimes(
        min_value=datetime(1900, 1, 1),  # noqa: DTZ001 - the zone comes beside it
        max_value=datetime(2106, 1, 1),  # noqa: DTZ001
        timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]),
    )
)
def test_an_instant_is_exact_to_the_microsecond(at: datetime) -> None:
    read = round(float(epoch(at)) * 1_000_000)  # as `to_timestamp` reads it

    assert _BEGINNING + timedelta(microseconds=read) == at


@pytest.mark.parametrize(("on", "text"), [(date(2026, 11, 22), "2026-11-22"), (None, NULL)])
def test_a_day_is_a_day_and_none_is_none(on: date | None, text: str) -> None:
    assert day(on) == text


def test_no_instant_is_null() -> None:
    assert epoch(None) == NULL
