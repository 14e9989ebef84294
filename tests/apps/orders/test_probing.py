"""A notice goes to probe mailboxes by the right hands alone, and while it may leave at all."""

from __future__ import annotations

import pytest

from countermand.audit.models import Entry
from countermand.cli.exit_codes import ExitCode
from countermand.domain.approvals import Role
from countermand.domain.delivery import StopKind
from countermand.orders import probing
from countermand.orders.models import Order
from countermand.orders.probing import NoProbeNow, ProbeNotYours, ProbeToSomebodyAffected
from tests.apps.orders.test_verbs import Terminal, relay, terminal
from tests.order_world import MINUTE, After, World

__all__ = ["relay", "terminal"]
PROBE = "probe@example.org"


@pytest.fixture
def sending(after: After) -> tuple[World, str]:
    world, number = after(World.sending_to_thirty)
    world.person("postmaster", Role.MAIL_ADMIN)
    return world, number


def begin(world: World, number: str, *addresses: str, who: str = "operator") -> None:
    probing.begin(
        number,
        addresses or [PROBE],
        stops=world.settings.folder.fences,
        actor=world.actor(who),
        now=world.now,
    )


def test_it_is_noted_who_sent_a_test_and_to_how_many_but_not_where(
    sending: tuple[World, str],
) -> None:
    world, number = sending

    for who in ("operator", "postmaster"):
        begin(world, number, PROBE, "outside@elsewhere.example", who=who)

    entries = list(Entry.objects.filter(order_number=number, event="order.probed"))
    assert [entry.facts for entry in entries] == [{"mailboxes": 2, "revision": 1}] * 2
    assert len({entry.actor_ref for entry in entries} - {""}) == 2


@pytest.mark.parametrize("who", ["author", "legal", "desk", "p5"])
def test_whoever_does_not_look_after_mail_sends_no_test(
    sending: tuple[World, str], who: str
) -> None:
    world, number = sending

    with pytest.raises(ProbeNotYours):
        begin(world, number, who=who)

    assert not Entry.objects.filter(event="order.probed").exists()


@pytest.mark.parametrize("address", ["p7@example.org", "P7@Example.org", "seven@example.org"])
def test_no_test_goes_to_somebody_affected(sending: tuple[World, str], address: str) -> None:
    world, number = sending
    world.people["p7"].other_addresses = ["seven@example.org"]
    world.people["p7"].save()

    with pytest.raises(ProbeToSomebodyAffected, match=address):
        begin(world, number, PROBE, address)


def test_a_test_is_sent_from_the_plan_on_until_the_order_is_over(world: World) -> None:
    world.staff(4)
    number = world.plan()
    begin(world, number)
    world.press(world.released(), StopKind.TAKE_BACK)  # another one
    begin(world, number)

    Order.objects.filter(number=number).update(phase="draft")
    with pytest.raises(NoProbeNow):
        begin(world, number)


@pytest.mark.parametrize("kind", StopKind)
def test_nothing_of_an_order_that_was_stopped_is_sent_as_a_test(
    sending: tuple[World, str], kind: StopKind
) -> None:
    world, number = sending
    world.press(number, kind)

    with pytest.raises(NoProbeNow):
        begin(world, number)


def test_what_only_the_disk_knows_to_be_stopped_is_not_sent_as_a_test(
    sending: tuple[World, str],
) -> None:
    world, number = sending
    world.stops_on_disk(number, "operator")
    assert world.order(number).phase == "sending"

    with pytest.raises(NoProbeNow):
        begin(world, number)


def test_an_order_that_goes_on_is_sent_as_a_test_again(sending: tuple[World, str]) -> None:
    world, number = sending
    world.press(number, StopKind.PAUSE)
    world.now += MINUTE
    world.resume(number)

    begin(world, number)


def test_nothing_is_sent_and_noted_before_the_mailbox_was_opened(
    terminal: Terminal, relay: str
) -> None:
    terminal.world.staff(2)
    number = terminal.world.plan()
    terminal.set("COUNTERMAND_RELAY", relay)
    words = ("doctor", "mail", number, "--probe", "imap://probe%40example.org@127.0.0.1:1")

    code, said = terminal.give(*words, who="operator")
    assert (code, "nothing was sent" in said) == (ExitCode.NOT_REACHABLE, True)
    assert not Entry.objects.filter(event="order.probed").exists()

    assert terminal.give(*words, who="nobody")[0] == ExitCode.NOT_ALLOWED
    assert terminal.give(*words, who="author")[0] == ExitCode.NOT_ALLOWED
