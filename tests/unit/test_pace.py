"""No domain and no relay is sent more notices a minute than it can take."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from countermand.orders.pace import Pace, spread

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def test_without_a_limit_nothing_waits() -> None:
    assert spread(["a@x.example"] * 100, begin=NOW, limits={}) == [NOW] * 100


@given(
    st.lists(st.sampled_from(["x.example", "y.example", "z.example"]), max_size=120),
    st.integers(1, 40),
    st.integers(1, 40),
)
def test_no_minute_holds_more_than_the_limits(domains: list[str], one: int, relay: int) -> None:
    addresses = [f"p{n}@{domain.upper()}" for n, domain in enumerate(domains)]
    due = spread(addresses, begin=NOW, limits={"x.example": one, "*": relay})

    assert all(at >= NOW for at in due)
    for begin in due:
        within = [d for d, at in zip(domains, due, strict=True) if begin <= at < begin + MINUTE]
        assert len(within) <= relay
        assert Counter(within)["x.example"] <= one


def test_a_slow_domain_holds_up_nobody_else() -> None:
    pace = Pace({"x.example": 1})
    for _ in range(10):
        pace.due("a@x.example", NOW)

    assert pace.due("b@y.example", NOW) == NOW
    assert pace.due("b@x.example", NOW) == NOW + 10 * MINUTE
