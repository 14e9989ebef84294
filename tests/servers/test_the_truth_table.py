"""Every combination of facts, asked through every kind of door: exactly one family is refused.

The servers are real, and so is the gate. `tests/lab` walks the same table through Dovecot 2.4 and
the other proxies.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from lab import mailbox
from lab.dovecot import Dovecot, dovecot_that_asks
from lab.gates import SENDS, Entry, all_that_shuts, real_gate
from lab.ground import Server, held_port
from lab.nginx import nginx_that_asks
from lab.people import ASHA, Person
from lab.postfix import postfix_that_asks
from tests.truth_cells import CELLS, PERSON, REFUSED, active_sync, by_login, webmail

# Paused under an order that lets its devices send.
SENDING = "sends-while-paused"
PEOPLE = [Person(PERSON.login, PERSON.password, {**PERSON.devices, SENDING: "of-the-sender"})]


@dataclass
class Site:
    dovecot: Dovecot
    nginx: Server
    postfix: Server


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    sending = Entry(ASHA.login, SENDING, all_that_shuts(order_number=SENDS))
    with ExitStack() as stack:
        gate = stack.enter_context(real_gate([*(each.entry() for each in CELLS), sending]))
        relay = stack.enter_context(held_port())
        dovecot = stack.enter_context(
            dovecot_that_asks(gate.port, relay=relay, people=PEOPLE, everything=True)
        )
        postfix = stack.enter_context(postfix_that_asks(dovecot, relay))
        yield Site(dovecot, stack.enter_context(nginx_that_asks(gate.port)), postfix)


DOORS: dict[str, Callable[[Site, str], bool]] = {
    "ActiveSync, plain": lambda site, device: active_sync(site.nginx, device, packed=False),
    "ActiveSync, packed": lambda site, device: active_sync(site.nginx, device, packed=True),
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


@pytest.mark.timeout(180)
@pytest.mark.parametrize("door", DOORS)
def test_exactly_one_family_of_cases_is_refused(site: Site, door: str) -> None:
    refused = [cell for cell in CELLS if DOORS[door](site, cell.device)]

    assert refused == [REFUSED]


def test_webmail_and_a_login_without_a_device_are_never_refused(site: Site) -> None:
    assert mailbox.login(site.dovecot.port, ASHA.login, ASHA.password) == "OK"
    assert {webmail(site.nginx, cell.device) for cell in CELLS} == {"mail"}


def test_who_may_not_read_sends_where_the_order_lets_them(site: Site) -> None:
    words = "of-the-sender"

    assert by_login(mailbox.login(site.dovecot.port, ASHA.login, words))
    assert by_login(mailbox.pop3_login(site.dovecot.pop3, ASHA.login, words))
    assert mailbox.sender_login(site.dovecot.submission, ASHA.login, words) == "OK"
    assert mailbox.sender_login(site.postfix.port, ASHA.login, words) == "OK"


def test_a_refusal_at_postfix_is_said_in_words_and_takes_no_mail(site: Site) -> None:
    refusal = mailbox.sender_login(site.postfix.port, ASHA.login, PERSON.devices[REFUSED.device])

    assert refusal.startswith("535 5.7.8 ")
    assert "Mail is paused on this device. इस डिवाइस पर मेल रुकी है।" in refusal
