"""How far back silence says something, when somebody could not always listen."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from countermand.domain.heard_time import HeardStretch, heard_for

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
DAY = timedelta(hours=24)


def ago(hours: float) -> datetime:
    return NOON - timedelta(hours=hours)


def stretches(*given: tuple[float, float]) -> Sequence[HeardStretch]:
    """The stretches that began and ended so many hours ago, newest first."""
    return [HeardStretch(ago(began), ago(ended)) for began, ended in given]


@pytest.mark.parametrize(
    ("given", "hours_ago"),
    [
        ((), 24),  # nobody ever failed to listen
        (((100, 0),), 24),
        (((5, 0),), 24),  # before the first failure nothing was missed
        (((100, 30),), 54),  # out of reach for 30 hours, and still is
        (((4, 0), (100, 34)), 54),  # it came back, and the 30 hours do not count
        (((1, 0), (3, 2), (9, 5), (99, 50)), 68),
        (((100, -3),), 24),  # the clock went back
        (((-2, -3), (100, 1)), 25),
    ],
)
def test_only_time_in_which_somebody_listened_counts(
    given: Sequence[tuple[float, float]], hours_ago: float
) -> None:
    assert heard_for(DAY, stretches(*given), now=NOON) == ago(hours_ago)
