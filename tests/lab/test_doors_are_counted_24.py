"""The doors of Dovecot 2.4 are told apart as those of 2.3 are, and guesses are slowed down."""

import json
import urllib.request
from collections.abc import Iterator

import pytest

from lab import mailbox
from lab.dovecot import WEBMAIL, Dovecot
from lab.dovecot24 import LIMITED_BY_GROUPS24, dovecot24_that_asks
from lab.gates import Entry, OddGate, RealGate, all_that_shuts, odd_gate, real_gate
from lab.ground import HERE, until
from lab.oauth import MECHANISMS, TOKEN_OF_ASHA, token_server
from lab.people import ASHA, PHONE

BY_GROUPS = LIMITED_BY_GROUPS24.replace("{from_webmail}", f"{WEBMAIL}/32")
OFFICE, ABROAD = "127.0.0.7", "127.0.0.8"


@pytest.fixture
def gate() -> Iterator[RealGate]:
    with real_gate([Entry(ASHA.login, PHONE, all_that_shuts(presence="absent"))]) as running:
        yield running


@pytest.fixture
def odd() -> Iterator[OddGate]:
    with odd_gate() as running:
        yield running


def test_each_way_to_read_mail_is_counted_at_its_own_door(gate: RealGate) -> None:
    with (
        token_server() as tokens,
        dovecot24_that_asks(
            gate.port, passdbs=tokens.passdb24 + BY_GROUPS, more=MECHANISMS
        ) as dovecot,
    ):
        words = ASHA.devices[PHONE]
        assert mailbox.login(dovecot.port, ASHA.login, words) == "OK"
        assert mailbox.pop3_login(dovecot.pop3, ASHA.login, words) == "OK"
        assert mailbox.login(dovecot.port, ASHA.login, ASHA.password, come_from=ABROAD) == "OK"
        assert mailbox.pop3_login(dovecot.pop3, ASHA.login, ASHA.password) == "OK"
        assert mailbox.login(dovecot.port, ASHA.login, ASHA.password, come_from=WEBMAIL) == "OK"
        assert mailbox.token_login(dovecot.port, ASHA.login, TOKEN_OF_ASHA) == "OK"

    address = f"http://{HERE}:{gate.control_port}/doors"
    with urllib.request.urlopen(address, timeout=60) as answer:
        counts = json.loads(answer.read())["counts"]
    assert {door: count for door, count in counts.items() if count} == {
        "device_password": 2,
        "main_password": 1,
        "pop3": 1,
        "behind_webmail": 1,
        "oauth": 1,
    }


def penalties(dovecot: Dovecot) -> set[str]:
    [[_, rows, _]] = dovecot.doveadm(["penalty", {}, "p"])
    return {row["IP"] for row in rows}


def test_a_refusal_slows_down_nobody_and_a_guess_does(odd: OddGate) -> None:
    with dovecot24_that_asks(odd.port) as dovecot:
        odd.refuse("Mail is paused on this device.")
        for word, address in ((ASHA.devices[PHONE], OFFICE), (ASHA.password, HERE)):
            assert "paused" in mailbox.login(dovecot.port, ASHA.login, word, come_from=address)
        assert mailbox.login(dovecot.port, ASHA.login, "a guess", come_from=ABROAD) != "OK"

        until("the penalty", lambda: penalties(dovecot) == {ABROAD})
