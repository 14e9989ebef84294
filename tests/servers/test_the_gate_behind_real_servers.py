"""The real gate behind real Dovecot and nginx: one phone waits outside, and a take-back opens.

No database runs here: the gate answers from what lies in its data folder, as it does when the
database is down.
"""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from countermand.connectors.doveadm.sessions import Doveadm
from countermand.ports import Ended, OpenSession
from lab import mailbox
from lab.dovecot import ADMIN_KEY, Dovecot, dovecot_that_asks
from lab.gates import Entry, RealGate, all_that_shuts, real_gate
from lab.ground import HERE, Server, until
from lab.nginx import address, nginx_that_asks
from lab.people import ASHA, LAPTOP, PHONE, RAVI, TABLET, Person
from lab.phone import Phone


@pytest.fixture
def gate() -> Iterator[RealGate]:
    with real_gate([Entry(ASHA.login, PHONE, all_that_shuts())]) as running:
        yield running


@pytest.fixture
def nginx(gate: RealGate) -> Iterator[Server]:
    with nginx_that_asks(gate.port) as server:
        yield server


@pytest.fixture
def dovecot(gate: RealGate) -> Iterator[Dovecot]:
    with dovecot_that_asks(gate.port) as server:
        yield server


def active_sync(server: Server, person: Person, device: str, *, packed: bool = False) -> int:
    phone = Phone(address(server), person.login, person.password, device, packed=packed)
    return phone.folder_sync().status


def imap(server: Dovecot, person: Person, device: str) -> str:
    return mailbox.login(server.port, person.login, person.devices[device])


def test_only_the_phone_that_carries_the_app_waits_outside_imap(dovecot: Dovecot) -> None:
    refusal = imap(dovecot, ASHA, PHONE)

    assert "Mail is paused on this device." in refusal
    assert "AUTHENTICATIONFAILED" not in refusal
    assert imap(dovecot, ASHA, LAPTOP) == "OK"
    assert imap(dovecot, RAVI, TABLET) == "OK"


def test_only_the_phone_that_carries_the_app_waits_outside_active_sync(nginx: Server) -> None:
    assert active_sync(nginx, ASHA, PHONE) == 403
    assert active_sync(nginx, ASHA, PHONE.upper()) == 403
    assert active_sync(nginx, ASHA, PHONE, packed=True) == 403
    assert active_sync(nginx, ASHA, LAPTOP) == 200
    assert active_sync(nginx, RAVI, PHONE) == 200  # a device is always of a person


def test_a_login_without_its_domain_is_known_where_there_is_one_domain_alone(
    gate: RealGate,
) -> None:
    realm = {"#auth_default_realm": "auth_default_realm"}
    in_gate = {"    default            $remote_user;\n": "", "#~@": "~@", "#default": "default"}
    short = replace(ASHA, login=ASHA.name)
    with (
        dovecot_that_asks(gate.port, changes=realm) as dovecot,
        nginx_that_asks(gate.port, gate_changes=in_gate) as nginx,
    ):
        for person in (ASHA, short):
            assert "Mail is paused on this device." in imap(dovecot, person, PHONE)
            assert imap(dovecot, person, LAPTOP) == "OK"
            assert active_sync(nginx, person, PHONE) == 403
            assert active_sync(nginx, person, LAPTOP) == 200
        with mailbox.session(dovecot.port, short.login, short.devices[LAPTOP]) as opened:
            ender = Doveadm((f"http://{HERE}:{dovecot.admin}",), ADMIN_KEY)
            laptop = OpenSession(ASHA.login, LAPTOP)
            assert ender.end([laptop]) == {laptop: Ended.ENDED}
            until("the end of the session", lambda: not mailbox.is_open(opened))


def test_a_take_back_lets_the_phone_in_at_every_door(
    gate: RealGate, dovecot: Dovecot, nginx: Server
) -> None:
    assert active_sync(nginx, ASHA, PHONE) == 403

    gate.take_back()

    until("ActiveSync", lambda: active_sync(nginx, ASHA, PHONE) == 200)
    until("IMAP", lambda: imap(dovecot, ASHA, PHONE) == "OK")
