"""What a person let pass pauses an order no more, and hides nothing that is new."""

from countermand.domain.delivery import EvidenceKind, ReplyKind
from countermand.domain.findings import Finding
from countermand.domain.notice_life import MOST_ATTEMPTS
from countermand.notices import evidence
from countermand.notices.models import Notice
from tests.order_world import DAY, HOUR, MINUTE, After, World


def heard(world: World, kind: EvidenceKind, mails: list[Notice]) -> None:
    found = [Finding(kind, world.now, "", message_id=each.message_id) for each in mails]
    evidence.take(found, ledger=world.ledger, now=world.now)


def unanswered(world: World, number: str) -> list[Notice]:
    """Let three mails have all their tries without an answer, while all others wait."""
    others = Notice.objects.filter(order_number=number, state="pending")
    for _ in range(MOST_ATTEMPTS):
        world.send(3, kind=ReplyKind.LOST)
        others.update(due_at=world.now + HOUR)
        Notice.objects.filter(state="maybe", attempts__lt=MOST_ATTEMPTS).update(due_at=world.now)
    others.update(due_at=world.now)
    return list(Notice.objects.filter(state="maybe"))


def pause_cause(world: World, number: str) -> str:
    world.sweep(MINUTE)
    order = world.order(number)
    return order.pause_cause if order.phase == "paused" else ""


def test_answers_lost_anew_pause_it_again_though_the_first_ones_came_to_light(after: After) -> None:
    world, number = after(World.released_to_forty)
    world.sweep(11 * MINUTE)
    first = unanswered(world, number)
    assert pause_cause(world, number).startswith("cause.uncertain ")
    world.resume(number)
    assert pause_cause(world, number) == ""
    heard(world, EvidenceKind.DSN_DELIVERED, first)

    unanswered(world, number)

    assert pause_cause(world, number).startswith("cause.uncertain ")


def test_mails_that_come_back_anew_pause_it_again_though_others_arrived_after_all(
    after: After,
) -> None:
    world, number = after(World.released_to_forty)
    world.sweep(11 * MINUTE)
    world.send()
    sent = list(Notice.objects.filter(order_number=number, state="sent").order_by("pk"))
    heard(world, EvidenceKind.DSN_FAILED, sent[:3])
    assert pause_cause(world, number).startswith("cause.undelivered ")
    world.resume(number)
    assert pause_cause(world, number) == ""
    heard(world, EvidenceKind.CHECK_CODE, sent[:3])

    world.sweep(31 * MINUTE)
    world.now += DAY
    world.send()
    later = list(Notice.objects.filter(order_number=number, state="sent", wave__gt=0)[:3])
    heard(world, EvidenceKind.DSN_FAILED, later)

    assert pause_cause(world, number).startswith("cause.undelivered ")


def test_what_nobody_knew_of_and_comes_back_later_is_new(after: After) -> None:
    world, number = after(World.released_to_forty)
    world.sweep(11 * MINUTE)
    first = unanswered(world, number)
    assert pause_cause(world, number).startswith("cause.uncertain ")
    world.resume(number)
    heard(world, EvidenceKind.DSN_FAILED, first)

    assert pause_cause(world, number).startswith("cause.undelivered ")
