"""How many mails have to go wrong before an order pauses: held against exact chances."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import pytest

from countermand.orders import health


def chance(at_least: int, of_all: int, share: Fraction) -> Fraction:
    """Add up the chances of each number, exactly."""
    return sum(
        (
            comb(of_all, each) * share**each * (1 - share) ** (of_all - each)
            for each in range(at_least, of_all + 1)
        ),
        Fraction(0),
    )


@pytest.mark.parametrize(("per_cent", "handful"), [(2.0, 7), (0.5, 30)])
def test_two_pause_a_handful_where_that_is_no_chance_and_three_pause_beyond_the_share(
    per_cent: float, handful: int
) -> None:
    share = Fraction(str(per_cent)) / 100

    for of_all in range(2, 250):
        pauses = [health._is_too_many(some, of_all, per_cent) for some in range(of_all + 1)]

        assert not any(pauses[:2])  # one may always be somebody who left
        assert pauses[2] == (chance(2, of_all, share) < Fraction(1, 100)) == (of_all <= handful)
        for some in range(3, of_all + 1):
            assert pauses[some] == (some > of_all * share)
