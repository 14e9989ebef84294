"""The same story under Dovecot 2.4, which can end the sessions of one device alone."""

import socket
from collections.abc import Iterator

import pytest

from countermand.connectors.doveadm.sessions import Doveadm
from countermand.ports import Ended, OpenSession
from lab import mailbox
from lab.dovecot import ADMIN_KEY, Dovecot
from lab.dovecot24 import dovecot24_that_asks
from lab.gates import Entry, OddGate, all_that_shuts, odd_gate, real_gate
from lab.ground import HERE, TOKEN, held_port, until
from lab.people import ASHA, LAPTOP, PHONE, RAVI, TABLET, Person

OFFICE = "127.0.0.9"
NO = "Mail is paused on this device."


@pytest.fixture(scope="module")
def odd() -> Iterator[OddGate]:
    with odd_gate() as gate:
        yield gate


@pytest.fixture(scope="module")
def dovecot(odd: OddGate) -> Iterator[Dovecot]:
    with dovecot24_that_asks(odd.port) as server:
        yield server


def imap(server: Dovecot, device: str = PHONE, person: Person = ASHA) -> str:
    return mailbox.login(server.port, person.login, person.devices[device], come_from=OFFICE)


def test_the_story_under_dovecot_24() -> None:
    with (
        real_gate([Entry(ASHA.login, PHONE, all_that_shuts())]) as gate,
        dovecot24_that_asks(gate.port) as dovecot,
    ):
        for _ in range(4):
            refusal = imap(dovecot)
            assert refusal.startswith(f"[ALERT] {NO} इस डिवाइस पर मेल रुकी है।")
        assert imap(dovecot, LAPTOP) == "OK"
        assert imap(dovecot, TABLET, RAVI) == "OK"

        gate.take_back()

        until("mail", lambda: imap(dovecot) == "OK")
        gate.kill()
        assert imap(dovecot) == "OK"


def test_a_login_without_its_domain_is_known_where_there_is_one_domain_alone() -> None:
    realm = {"#auth_default_domain": "auth_default_domain"}
    with (
        real_gate([Entry(ASHA.login, PHONE, all_that_shuts())]) as gate,
        dovecot24_that_asks(gate.port, changes=realm) as dovecot,
    ):
        for login in (ASHA.login, ASHA.name):
            refused = mailbox.login(dovecot.port, login, ASHA.devices[PHONE])
            assert "Mail is paused on this device." in refused
            assert mailbox.login(dovecot.port, login, ASHA.devices[LAPTOP]) == "OK"


def test_the_question_names_the_device_and_carries_no_address_and_no_hash(
    odd: OddGate, dovecot: Dovecot
) -> None:
    odd.be(200, b'{"status":0}')

    assert mailbox.login(dovecot.port, ASHA.login, "a guess", come_from="127.0.0.8") != "OK"
    assert imap(dovecot) == "OK"

    [asked] = odd.asked
    assert f'"device":"{PHONE}"' in asked
    assert f'"login":"{ASHA.login}"' in asked
    assert TOKEN in asked
    assert '"pwhash":""' in asked
    assert '"remote":""' in asked


def test_the_main_password_opens_nothing_from_outside(odd: OddGate, dovecot: Dovecot) -> None:
    odd.be(200, b'{"status":0}')

    assert mailbox.login(dovecot.port, ASHA.login, ASHA.password, come_from="127.0.0.7") != "OK"
    assert mailbox.login(dovecot.port, ASHA.login, ASHA.password) == "OK"


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, b""), (200, b"no JSON"), (200, b'{"msg":"no"}'), (403, b'{"status":-1}'), (500, b"")],
)
def test_whatever_else_a_gate_says_people_are_let_in(
    odd: OddGate, dovecot: Dovecot, status: int, body: bytes
) -> None:
    odd.be(status, body)

    assert imap(dovecot) == "OK"


def test_no_line_of_ours_can_become_two_lines_of_imap() -> None:
    evil = "orders.example\r\n* BYE forged\r\na1 OK forged"
    entry = Entry(ASHA.login, PHONE, all_that_shuts())
    with (
        real_gate([entry], COUNTERMAND_LOOKUP_ADDRESS=evil) as gate,
        dovecot24_that_asks(gate.port) as dovecot,
        socket.create_connection((HERE, dovecot.port), timeout=60) as link,
        link.makefile("rwb") as lines,
    ):
        lines.readline()
        lines.write(f'a1 LOGIN "{ASHA.login}" "{ASHA.devices[PHONE]}"\r\n'.encode())
        lines.flush()
        refusal = lines.readline()
        lines.write(b"a2 NOOP\r\n")
        lines.flush()
        next_line = lines.readline()

        assert refusal.startswith(b"a1 NO [ALERT] Mail is paused")
        assert next_line.startswith(b"a2 OK")
        assert "\n* BYE forged" not in dovecot.log


def test_a_slow_and_a_dead_gate_let_people_in(odd: OddGate) -> None:
    odd.be(200, b'{"status":-1,"msg":"too late"}', wait_s=5.0)
    with dovecot24_that_asks(odd.port, patient=False) as hurried:
        assert imap(hurried) == "OK"

    with held_port() as nobody, dovecot24_that_asks(nobody) as other:
        assert imap(other) == "OK"


def test_ending_one_device_s_sessions_leaves_the_person_s_other_devices_alone(
    odd: OddGate, dovecot: Dovecot
) -> None:
    odd.be(200, b'{"status":0}')
    phone = OpenSession(ASHA.login, PHONE)
    with (
        mailbox.session(dovecot.port, ASHA.login, ASHA.devices[PHONE]) as closing,
        mailbox.session(dovecot.port, ASHA.login, ASHA.devices[LAPTOP]) as staying,
        mailbox.session(dovecot.port, RAVI.login, RAVI.devices[TABLET]) as colleague,
    ):
        said = Doveadm((f"http://{HERE}:{dovecot.admin}",), ADMIN_KEY).end([phone])

        assert said == {phone: Ended.ENDED}
        until("the end of one session", lambda: not mailbox.is_open(closing))
        assert mailbox.is_open(staying)
        assert mailbox.is_open(colleague)


def test_whatever_userdb_there_is_sessions_of_one_device_are_ended(odd: OddGate) -> None:
    odd.be(200, b'{"status":0}')
    phone = OpenSession(ASHA.login, PHONE)
    with dovecot24_that_asks(odd.port) as plain:
        plain.change("dovecot.conf", "userdb prefetch {\n}\n", "")
        assert "prefetch" not in (plain.folder / "dovecot.conf").read_text(encoding="utf-8")
        until("Dovecot anew", lambda: imap(plain) == "OK")
        with (
            mailbox.session(plain.port, ASHA.login, ASHA.devices[PHONE]) as closing,
            mailbox.session(plain.port, ASHA.login, ASHA.devices[LAPTOP]) as staying,
        ):
            said = Doveadm((f"http://{HERE}:{plain.admin}",), ADMIN_KEY).end([phone])

            assert said == {phone: Ended.ENDED}
            until("the end of one session", lambda: not mailbox.is_open(closing))
            assert mailbox.is_open(staying)
