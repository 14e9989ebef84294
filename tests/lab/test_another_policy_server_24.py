"""The other policy server behind the gate again, under Dovecot 2.4."""

from collections.abc import Iterator

import pytest

from lab.dovecot24 import dovecot24_that_asks
from lab.people import ASHA, LAPTOP, PHONE
from tests.policy_world import Site, says, site

OF_PHONE, OF_LAPTOP = ASHA.devices[PHONE], ASHA.devices[LAPTOP]


@pytest.fixture(scope="module")
def world() -> Iterator[Site]:
    with site(dovecot24_that_asks) as made:
        yield made


@pytest.mark.parametrize(("password", "questions"), [(OF_LAPTOP, 3), ("a guess", 2)])
def test_it_hears_before_after_and_the_report_as_it_would_without_us(
    world: Site, password: str, questions: int
) -> None:
    world.other_says(says(0))
    without_us = world.heard(world.without_us, password, questions)
    with_us = world.heard(world.with_us, password, questions)

    assert with_us == without_us
    assert len(with_us) == questions
    assert len(with_us[0][1]["pwhash"]) == 4
    assert with_us[-1][1]["success"] is (password == OF_LAPTOP)


def test_its_refusal_and_ours_both_come_to_the_person(world: Site) -> None:
    world.other_says(says(-1, "Too many guesses from your network."))
    assert world.login(world.with_us, OF_LAPTOP) == "[ALERT] Too many guesses from your network."

    world.other_says(says(0))
    assert world.login(world.with_us, OF_LAPTOP) == "OK"
    assert "Mail is paused on this device." in world.login(world.with_us, OF_PHONE)


def test_silent_or_odd_it_leaves_our_own_answer(world: Site) -> None:
    for status, body in ((500, b""), (200, b"no JSON")):
        world.other_says(body, status)

        assert world.login(world.with_us, OF_LAPTOP) == "OK"
        assert "Mail is paused on this device." in world.login(world.with_us, OF_PHONE)
