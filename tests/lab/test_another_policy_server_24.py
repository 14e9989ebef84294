"""The other policy server behind the gate again, under Dovecot 2.4."""

from collections.abc import Iterator

import pytest

from lab import mailbox
from lab.dovecot import WEBMAIL, recipe
from lab.dovecot24 import LIMITED_BY_GROUPS24, ROOT, dovecot24_that_asks
from lab.ground import until
from lab.oauth import MECHANISMS, TOKEN_OF_ASHA, token_server
from lab.people import ASHA, LAPTOP, PHONE
from tests.policy_world import Site, says, site

# What comes from the webmail's machine counts as the webmail's.
BY_GROUPS = LIMITED_BY_GROUPS24.replace("{from_webmail}", f"{WEBMAIL}/32")
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


def test_oauth_and_a_master_user_who_fill_no_field_are_counted() -> None:
    masters = ROOT / "etc" / "lab-masters-counted"
    masters.write_text("team:{PLAIN}of-the-team\n", encoding="utf-8")
    masters.chmod(0o644)
    where = {"/etc/dovecot/master-users": "/etc/lab-masters-counted"}
    recipes = recipe("passdbs-master.conf", where, of="2.4")
    try:
        with (
            token_server() as tokens,
            site(
                dovecot24_that_asks,
                passdbs=recipes + tokens.passdb24 + BY_GROUPS,
                more=MECHANISMS,
            ) as made,
        ):
            made.other_says(says(0))
            port = made.with_us.port
            assert mailbox.token_login(port, ASHA.login, TOKEN_OF_ASHA) == "OK"
            assert mailbox.token_login(port, ASHA.login, "a guess") != "OK"
            assert mailbox.login(port, f"{ASHA.login}*team", "of-the-team") == "OK"
            assert made.login(made.with_us, OF_LAPTOP) == "OK"

            said = {"oauth": 1, "main_password": 1, "device_password_unknown": 1}
            until("all are counted", lambda: made.counted() == said)
    finally:
        masters.unlink()
