"""Every way to read mail is counted at its own door, as the servers tell it with what is shipped.

Which share of the reading comes through a door that knows the device is what a deadline is worth:
so a phone's main password must not pass for the webmail's, nor OAuth for a password.
"""

import http.client
import json
import urllib.request
from collections.abc import Iterator

import pytest

from countermand.domain.door_share import share_of
from lab import mailbox
from lab.dovecot import FROM_PHONES, PASSDBS, Dovecot, dovecot_that_asks
from lab.gates import Entry, RealGate, all_that_shuts, real_gate
from lab.ground import HERE, Server
from lab.nginx import address, nginx_that_asks
from lab.oauth import MECHANISMS, TOKEN_OF_ASHA, token_server
from lab.people import ASHA, LAPTOP, PHONE
from lab.phone import Phone

WEBMAIL = "127.0.0.9"


@pytest.fixture
def gate() -> Iterator[RealGate]:
    """A gate that knows one phone, on which nothing is to be found."""
    with real_gate([Entry(ASHA.login, PHONE, all_that_shuts(presence="absent"))]) as running:
        yield running


@pytest.fixture
def dovecot(gate: RealGate) -> Iterator[Dovecot]:
    with (
        token_server() as tokens,
        dovecot_that_asks(
            gate.port,
            passdbs=tokens.passdb + PASSDBS + FROM_PHONES,
            from_webmail=f"{WEBMAIL}/32",
            more=MECHANISMS,
            everything=True,
        ) as server,
    ):
        yield server


@pytest.fixture
def nginx(gate: RealGate) -> Iterator[Server]:
    with nginx_that_asks(gate.port) as server:
        yield server


def counted(gate: RealGate) -> dict[str, int]:
    with urllib.request.urlopen(f"http://{HERE}:{gate.control_port}/doors", timeout=60) as answer:
        counts: dict[str, int] = json.loads(answer.read())["counts"]
    return {door: count for door, count in counts.items() if count}


def reads_webmail(nginx: Server) -> bool:
    connection = http.client.HTTPConnection(HERE, nginx.port, timeout=60)
    connection.request("GET", "/mail/")
    said = connection.getresponse().read()
    connection.close()
    return said == b"mail"


def test_each_way_to_read_mail_is_counted_at_its_own_door(
    gate: RealGate, dovecot: Dovecot, nginx: Server
) -> None:
    for device in (PHONE, PHONE, "some-other-phone"):
        phone = Phone(address(nginx), ASHA.login, ASHA.password, device)
        assert phone.folder_sync().status == 200
    for device in (PHONE, LAPTOP):
        assert mailbox.login(dovecot.port, ASHA.login, ASHA.devices[device]) == "OK"
        assert mailbox.pop3_login(dovecot.pop3, ASHA.login, ASHA.devices[device]) == "OK"
    assert mailbox.login(dovecot.port, ASHA.login, ASHA.password) == "OK"
    assert mailbox.pop3_login(dovecot.pop3, ASHA.login, ASHA.password) == "OK"
    assert mailbox.token_login(dovecot.port, ASHA.login, TOKEN_OF_ASHA) == "OK"
    assert reads_webmail(nginx)

    # None of these is a reading of its own, or a login at all.
    assert mailbox.login(dovecot.port, ASHA.login, ASHA.password, come_from=WEBMAIL) == "OK"
    assert mailbox.sender_login(dovecot.submission, ASHA.login, ASHA.devices[PHONE]) == "OK"
    assert mailbox.login(dovecot.port, ASHA.login, "a guess", come_from="127.0.0.8") != "OK"
    assert mailbox.token_login(dovecot.port, ASHA.login, "a guess") != "OK"

    counts = counted(gate)
    assert counts == {
        "activesync_known": 2,
        "activesync_unknown": 1,
        "device_password": 2,  # of the phone, over IMAP and over POP3
        "device_password_unknown": 2,
        "main_password": 1,
        "pop3": 1,
        "oauth": 1,
        "webmail": 1,
        "behind_webmail": 1,
        "sending": 1,
    }
    share = share_of(counts)
    assert (share.known, share.reading) == (4, 11)
