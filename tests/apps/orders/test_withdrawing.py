"""Unread copies are taken away beside the corrections, and counted: never instead of them."""

from __future__ import annotations

from collections.abc import Sequence

from countermand.domain.delivery import EvidenceKind, StopKind
from countermand.domain.findings import Finding
from countermand.domain.withdrawal import CopyAnswer, CopyState, MailCopy
from countermand.notices import evidence
from countermand.notices.models import Notice
from countermand.orders import withdrawing
from tests.order_world import HOUR, MINUTE, After, World


class Mailboxes:
    """Answers by address; whatever is not told was unread and is gone."""

    def __init__(self, **told: CopyState) -> None:
        self.told = told
        self.asked: list[MailCopy] = []

    def withdraw(self, copies: Sequence[MailCopy]) -> Sequence[CopyAnswer]:
        self.asked += copies
        states = (
            self.told.get(copy.address.partition("@")[0], CopyState.WITHDRAWN) for copy in copies
        )
        return [CopyAnswer(copy, state) for copy, state in zip(copies, states, strict=True)]


def withdraw(world: World, number: str, mailboxes: Mailboxes) -> int:
    return withdrawing.withdraw(number, remover=mailboxes, ledger=world.ledger, now=world.now)


def test_copies_are_counted_per_person_and_everybody_is_corrected_all_the_same(
    world: World,
) -> None:
    world.staff(8)
    number = world.notified()
    mailboxes = Mailboxes(p5=CopyState.ALREADY_READ, p6=CopyState.NOT_FOUND, p7=CopyState.UNKNOWN)
    assert withdraw(world, number, mailboxes) == 0  # not before a take-back
    world.press(number, StopKind.TAKE_BACK)
    told = Notice.objects.filter(order_number=number, kind="notice").count()

    for _ in range(5):
        withdraw(world, number, mailboxes)
        world.now += HOUR

    found = withdrawing.so_far(number)
    assert (found.already_read, found.not_found, found.unknown) == (1, 1, 1)
    assert found.withdrawn == told - 3
    assert found.asked == 0
    assert sum(copy.address.startswith("p7@") for copy in mailboxes.asked) == 3
    assert sum(copy.address.startswith("p8@") for copy in mailboxes.asked) == 1
    assert {state for _, address, state in withdrawing.by_person(number) if "p5@" in address} == {
        CopyState.ALREADY_READ
    }
    moved = Notice.objects.get(order_number=number, kind="notice", address="p8@example.org")
    assert (moved.state, moved.exposure) == ("pulled_unread", 2)
    corrected = Notice.objects.filter(order_number=number, kind="correction")
    assert corrected.values("person_id").distinct().count() == told
    assert (
        number not in withdrawing.open_orders(world.now)
        or world.order(number).phase == "correcting"
    )


def test_a_mail_server_that_is_away_for_a_while_is_not_given_up(after: After) -> None:
    world, number = after(World.told_six)
    world.press(number, StopKind.TAKE_BACK)
    away = Mailboxes(**dict.fromkeys(("author", "p1", "p2", "p3"), CopyState.UNKNOWN))
    for _ in range(20):  # sweeps of three minutes
        withdraw(world, number, away)
        world.now += MINUTE / 6
    assert withdrawing.so_far(number).unknown > 0
    assert number in withdrawing.open_orders(world.now)

    world.now += HOUR
    withdraw(world, number, Mailboxes())

    assert withdrawing.so_far(number).unknown == 0
    assert withdrawing.so_far(number).withdrawn > 0


def test_a_copy_that_is_heard_of_late_is_taken_away_too(after: After) -> None:
    world, number = after(World.sending_to_thirty)
    world.press(number, StopKind.TAKE_BACK)
    while withdraw(world, number, Mailboxes()):
        pass
    world.send()
    world.sweep(MINUTE)
    assert world.order(number).phase == "corrected"
    assert withdrawing.open_orders(world.now) == []

    unsent = Notice.objects.filter(order_number=number, kind="notice", state="skipped").first()
    assert unsent is not None
    heard = Finding(
        EvidenceKind.RELAY_LOG_ACCEPTED, world.now, "it has it", message_id=unsent.message_id
    )
    evidence.take([heard], ledger=world.ledger, now=world.now)
    world.sweep(MINUTE)

    assert withdrawing.open_orders(world.now) == [number]
    late = Mailboxes()
    withdraw(world, number, late)
    assert [copy.address for copy in late.asked] == [unsent.address]


def test_a_round_that_is_cut_off_is_taken_up_by_the_next(after: After) -> None:
    world, number = after(World.told_six)
    world.press(number, StopKind.TAKE_BACK)
    withdrawing._about_to(number, world.now)  # and then the machine stops

    assert withdrawing.so_far(number).asked > 0
    withdraw(world, number, Mailboxes())
    assert withdrawing.so_far(number).asked == 0
