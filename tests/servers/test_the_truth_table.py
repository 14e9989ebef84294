"""Every combination of facts, asked through every kind of door: exactly one family is refused.

{door} x {presence} x {before, after the deadline} x {told or not} x {let through by a person} x
{said "I removed it"}: the servers are real, and so is the gate. Each combination is a device of
its own, so that one gate knows them all at once.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from itertools import product

import pytest

from lab import mailbox
from lab.dovecot import Dovecot, dovecot_that_asks
from lab.gates import NOW, Entry, all_that_shuts, real_gate
from lab.ground import Server, held_port
from lab.nginx import address, nginx_that_asks
from lab.people import ASHA, Person
from lab.phone import Phone
from lab.postfix import postfix_that_asks

HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Cell:
    """What is so of one device."""

    presence: str
    after_deadline: bool
    told: bool
    let_through: bool
    said_removed: bool

    @property
    def device(self) -> str:
        return "cell-" + "-".join(
            str(each).lower()
            for each in (
                self.presence,
                self.after_deadline,
                self.told,
                self.let_through,
                self.said_removed,
            )
        )

    def entry(self) -> Entry:
        facts = all_that_shuts(
            presence=self.presence,
            closes_at=NOW - HOUR if self.after_deadline else NOW + HOUR,
            noticed_at=NOW - timedelta(days=7) if self.told else None,
            override_until=NOW + HOUR if self.let_through else None,
            attested_at=NOW - HOUR / 2 if self.said_removed else None,
        )
        return Entry(ASHA.login, self.device, facts)


# The one family: the app is there, the time is over, the person was told, and nobody spoke up.
REFUSED = Cell("present", after_deadline=True, told=True, let_through=False, said_removed=False)
YES_NO = (False, True)
CELLS = [
    Cell(*given)
    for given in product(
        ("present", "absent", "unobservable", "unknown"), YES_NO, YES_NO, YES_NO, YES_NO
    )
]
PERSON = Person(ASHA.login, ASHA.password, {each.device: f"of-{each.device}" for each in CELLS})


@dataclass
class Site:
    dovecot: Dovecot
    nginx: Server
    postfix: Server


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with ExitStack() as stack:
        gate = stack.enter_context(real_gate(each.entry() for each in CELLS))
        relay = stack.enter_context(held_port())
        dovecot = stack.enter_context(
            dovecot_that_asks(gate.port, relay=relay, people=[PERSON], everything=True)
        )
        postfix = stack.enter_context(postfix_that_asks(dovecot, relay))
        yield Site(dovecot, stack.enter_context(nginx_that_asks(gate.port)), postfix)


def active_sync(site: Site, device: str, *, packed: bool) -> bool:
    phone = Phone(address(site.nginx), ASHA.login, "not looked at", device, packed=packed)
    status = phone.folder_sync().status
    assert status in {200, 403}
    return status == 403


def by_login(said: str) -> bool:
    assert said == "OK" or "Mail is paused on this device." in said
    return said != "OK"


DOORS: dict[str, Callable[[Site, str], bool]] = {
    "ActiveSync, plain": lambda site, device: active_sync(site, device, packed=False),
    "ActiveSync, packed": lambda site, device: active_sync(site, device, packed=True),
    "IMAP": lambda site, device: by_login(
        mailbox.login(site.dovecot.port, ASHA.login, PERSON.devices[device])
    ),
    "POP3": lambda site, device: by_login(
        mailbox.pop3_login(site.dovecot.pop3, ASHA.login, PERSON.devices[device])
    ),
    "sending through Dovecot": lambda site, device: by_login(
        mailbox.sender_login(site.dovecot.submission, ASHA.login, PERSON.devices[device])
    ),
    "sending through Postfix": lambda site, device: by_login(
        mailbox.sender_login(site.postfix.port, ASHA.login, PERSON.devices[device])
    ),
}


@pytest.mark.timeout(400)
@pytest.mark.parametrize("door", DOORS)
def test_exactly_one_family_of_cases_is_refused(site: Site, door: str) -> None:
    refused = [cell for cell in CELLS if DOORS[door](site, cell.device)]

    assert refused == [REFUSED]


def test_webmail_and_a_login_without_a_device_are_never_refused(site: Site) -> None:
    assert mailbox.login(site.dovecot.port, ASHA.login, ASHA.password) == "OK"
