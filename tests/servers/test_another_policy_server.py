"""Another policy server stands behind the gate: Dovecot and it notice nothing of us."""

import time
from collections.abc import Iterator

import pytest

from lab import mailbox
from lab.dovecot import ASKS_ANOTHER_FIRST, PASSDBS, dovecot_that_asks
from lab.ground import until
from lab.oauth import MECHANISMS, TOKEN_OF_ASHA, token_server
from lab.people import ASHA, LAPTOP, PHONE
from tests.policy_world import Site, says, site

NO = "Mail is paused on this device."
GUESSED = "Too many guesses from your network."
OF_PHONE, OF_LAPTOP = ASHA.devices[PHONE], ASHA.devices[LAPTOP]
# A site may have added fields of its own; %m is the mechanism.
MORE = {"passed=%{passdb:nodelay}": "passed=%{passdb:nodelay} mechanism=%m local=%l"}


@pytest.fixture(scope="module")
def world() -> Iterator[Site]:
    with site(dovecot_that_asks, changes=MORE, more="auth_failure_delay = 0") as made:
        yield made


@pytest.fixture(autouse=True)
def kind(world: Site) -> None:
    world.other_says(says(0))


@pytest.mark.parametrize(("password", "questions"), [(OF_LAPTOP, 3), ("a guess", 2)])
def test_it_hears_before_after_and_the_report_as_it_would_without_us(
    world: Site, password: str, questions: int
) -> None:
    without_us = world.heard(world.without_us, password, questions)
    with_us = world.heard(world.with_us, password, questions)

    assert with_us == without_us
    assert len(with_us) == questions
    path, fields = with_us[0]
    assert path == "POST /policy?command=allow HTTP/1.1"
    assert fields["mechanism"] == "PLAIN"
    assert len(fields["pwhash"]) == 4
    assert fields["local"] == "127.0.0.1"
    path, fields = with_us[-1]
    assert path == "POST /policy?command=report HTTP/1.1"
    assert fields["success"] is (password == OF_LAPTOP)


def test_what_it_lets_in_the_gate_still_judges(world: Site) -> None:
    assert world.login(world.with_us, OF_LAPTOP) == "OK"
    refusal = world.login(world.with_us)

    assert refusal.startswith(f"[ALERT] {NO}")
    assert "passed" in world.other.asked[-1]


def test_its_refusal_comes_to_the_person_in_its_own_words(world: Site) -> None:
    world.other_says(says(-1, GUESSED))

    assert world.login(world.with_us, OF_LAPTOP) == f"[ALERT] {GUESSED}"
    assert world.login(world.without_us, OF_LAPTOP) == f"[ALERT] {GUESSED}"


def test_its_delay_is_waited_for(world: Site) -> None:
    world.other_says(says(2))
    began = time.monotonic()

    said = world.login(world.with_us, OF_LAPTOP)

    assert said == "OK"
    assert time.monotonic() - began >= 2.0  # at least: a busy machine may take longer


@pytest.mark.parametrize(
    ("status", "body"), [(500, b""), (204, b""), (200, b"no JSON"), (403, says(-1, "no"))]
)
def test_whatever_else_it_says_the_gate_answers_alone(
    world: Site, status: int, body: bytes
) -> None:
    world.other_says(body, status)

    assert world.login(world.with_us, OF_LAPTOP) == "OK"
    assert NO in world.login(world.with_us, OF_PHONE)


def test_a_login_by_oauth_is_counted_and_a_guess_is_not() -> None:
    with (
        token_server() as tokens,
        site(dovecot_that_asks, passdbs=tokens.passdb + PASSDBS, more=MECHANISMS) as made,
    ):
        made.other_says(says(0))
        assert mailbox.token_login(made.with_us.port, ASHA.login, TOKEN_OF_ASHA) == "OK"
        assert mailbox.token_login(made.with_us.port, ASHA.login, "a guess") != "OK"
        assert made.login(made.with_us, OF_LAPTOP) == "OK"

        said = {"oauth": 1, "device_password_unknown": 1}
        until("both are counted", lambda: made.counted() == said)


def test_a_device_whose_passdb_forgets_nodelay_is_refused_all_the_same() -> None:
    with site(dovecot_that_asks, script={', nodelay = "y"': ""}) as made:
        made.other_says(says(0))
        assert made.login(made.with_us, OF_LAPTOP) == "OK"

        assert NO in made.login(made.with_us, OF_PHONE)
        assert made.counted() == {"device_password": 1, "device_password_unknown": 1}


def test_with_a_dead_gate_both_are_silent_and_everybody_is_in() -> None:
    with dovecot_that_asks(1, shipped=ASKS_ANOTHER_FIRST) as dovecot:
        assert mailbox.login(dovecot.port, ASHA.login, OF_PHONE) == "OK"
