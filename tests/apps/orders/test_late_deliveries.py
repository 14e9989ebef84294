"""F27: a relay elsewhere keeps a notice until its correction is read; then that is sent once more.

The oracle is a plain list of what fell into a mailbox when.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import cast

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from countermand.domain.delivery import EvidenceKind, OwedCorrection, Reply, ReplyKind
from countermand.domain.findings import Finding
from countermand.notices import codes, evidence, late_deliveries
from countermand.notices.models import Notice, NoticeEvidence
from countermand.orders import corrections
from countermand.ports import NoticeLedger
from countermand.sender.postgres_ledger import PostgresLedger
from tests.apps.orders.test_evidence import notices, take_back, told
from tests.order_world import DAY, HOUR, MINUTE, NOW, After, World


def corrected_once(world: World) -> str:
    """An order that was taken back, and its corrections accepted."""
    number = told(world)
    take_back(world, number)
    world.now += MINUTE
    assert set(world.send()) >= {each.address for each in notices(number)}
    world.sweep(MINUTE)
    assert world.order(number).phase == "corrected"
    return number


def hear(world: World, mail: Notice, at: datetime, kind: EvidenceKind, detail: str = "") -> None:
    finding = Finding(kind, at, detail, message_id=mail.message_id)
    evidence.take([finding], ledger=world.ledger, now=world.now)


def corrections_of(number: str, mail: Notice) -> list[Notice]:
    rows = Notice.objects.filter(order_number=number, kind="correction", person_id=mail.person_id)
    return list(rows.order_by("step"))


def test_whoever_got_the_notice_after_the_correction_is_corrected_once_more(after: After) -> None:
    world, number = after(corrected_once)
    mail = notices(number)[0]
    everybody = Notice.objects.filter(order_number=number, kind="correction").count()
    world.now += 6 * HOUR

    hear(world, mail, world.now, EvidenceKind.DSN_DELIVERED)
    world.sweep(MINUTE)
    sent = world.send()

    first, again = corrections_of(number, mail)
    assert sent == [mail.address] == [again.address]
    assert (again.step, again.in_reply_to) == (1, mail.message_id)
    assert again.message_id != first.message_id
    assert again.values["check_code"] != first.values["check_code"]
    # Heard again, by whoever else, it is the same delivery.
    hear(world, mail, world.now, EvidenceKind.DSN_DELIVERED, "another report")
    hear(world, mail, world.now + MINUTE, EvidenceKind.DSN_DELIVERED, "and one more")
    for _ in range(3):
        world.sweep(HOUR)
        assert world.send() == []
    rows = Notice.objects.filter(order_number=number, kind="correction")
    assert rows.count() == everybody + 1


SECOND = timedelta(seconds=1)


@dataclass
class Asked:
    """A ledger that counts how often it went through all mails of an order."""

    ledger: PostgresLedger
    times: int = 0

    def corrections(self, *, order_number: str) -> Iterable[OwedCorrection]:
        self.times += 1
        return self.ledger.corrections(order_number=order_number)


def look(world: World, number: str) -> int:
    """Sweep once more; how often that went through all mails."""
    asked = Asked(world.ledger)
    corrections.write_owed(
        number, owing=cast("NoticeLedger", asked), context=world.desk.context, now=world.now
    )
    return asked.times


def test_of_an_order_that_is_corrected_all_mails_are_looked_at_more_and_more_seldom(
    world: World,
) -> None:
    """A million mails take seconds, and every order that was ever corrected is looked at."""
    number = corrected_once(world)
    other = notices(number)[0]
    instants = [MINUTE, 90 * SECOND, 3 * MINUTE, 4 * MINUTE, 9 * HOUR, 9.5 * HOUR, 10 * HOUR]
    begun = world.now

    looks = []
    for after in instants:
        world.now = begun + after
        looks.append(look(world, number))
    world.now = begun + 20 * DAY
    look(world, number)
    hear(world, other, world.now, EvidenceKind.DSN_FAILED)
    heard = [look(world, number), look(world, number)]

    assert looks == [1, 0, 1, 0, 1, 0, 1]
    assert heard == [1, 0]


def test_a_250_that_is_noted_long_after_the_corrections_is_corrected_by_a_later_look(
    world: World,
) -> None:
    """Nothing is heard of it: a sender that was cut off from the database notes it at last."""
    world.staff(12)
    number = world.released()
    world.sweep(11 * MINUTE)
    world.ledger.lease(sender="sender-2", mode="live", host="here", pid=2, seconds=60)
    [late] = world.claim(1, sender="sender-2")
    world.send()
    take_back(world, number)
    world.now += MINUTE
    world.send()
    world.sweep(MINUTE)
    assert world.order(number).phase == "corrected"
    world.now += 30 * MINUTE
    world.sweep()

    reply = Reply(late.holding, ReplyKind.ACCEPTED, after_dot=True, text="250", queue_id=None)
    world.ledger.acknowledge(sender="sender-2", replies=[reply], now=world.now)
    world.sweep(2 * HOUR)

    assert late.address in world.send()


def test_a_report_that_comes_late_about_a_mail_that_did_not_is_no_reason(after: After) -> None:
    world, number = after(corrected_once)
    mail = notices(number)[0]
    before = world.now - HOUR
    world.now += 6 * HOUR

    hear(world, mail, before, EvidenceKind.DSN_DELIVERED)
    world.sweep(MINUTE)

    assert len(corrections_of(number, mail)) == 1


def test_whoever_read_the_correction_last_is_left_alone(after: After) -> None:
    world, number = after(corrected_once)
    mail = notices(number)[0]
    [correction] = corrections_of(number, mail)
    world.now += 6 * HOUR
    late_at = world.now - HOUR

    codes.record_seen([correction.pk], now=world.now)
    hear(world, mail, late_at, EvidenceKind.DSN_DELIVERED)
    world.sweep(MINUTE)

    assert len(corrections_of(number, mail)) == 1


def test_whoever_checks_the_code_of_a_notice_after_the_correction_is_told_once_more(
    after: After,
) -> None:
    world, number = after(corrected_once)
    mail = notices(number)[0]
    world.now += 6 * HOUR

    codes.record_seen([mail.pk], now=world.now)
    world.sweep(MINUTE)
    codes.record_seen([mail.pk], now=world.now)
    world.sweep(MINUTE)

    assert [each.step for each in corrections_of(number, mail)] == [0, 1]


def test_an_old_mail_that_is_checked_again_came_when_its_report_says(world: World) -> None:
    number = told(world)
    mail = notices(number)[0]
    hear(world, mail, world.now, EvidenceKind.DSN_DELIVERED)
    take_back(world, number)
    world.now += MINUTE
    world.send()
    world.now += 6 * HOUR
    NoticeEvidence.objects.create(notice=mail, kind="check_code", at=world.now, detail="seen")

    world.sweep(MINUTE)

    assert len(corrections_of(number, mail)) == 1


def test_while_a_correction_is_on_its_way_it_comes_last_by_itself(world: World) -> None:
    number = told(world)
    mail = notices(number)[0]
    take_back(world, number)
    world.send(kind=ReplyKind.DEFERRED)
    world.now += HOUR
    hear(world, mail, world.now, EvidenceKind.DSN_DELIVERED)
    world.sweep(MINUTE)

    assert [each.step for each in corrections_of(number, mail)] == [0]
    for _ in range(5):
        world.sweep(HOUR)
        world.send()
    assert [each.state for each in corrections_of(number, mail)] == ["sent"]


def test_what_a_server_refuses_is_not_sent_again_and_again(after: After) -> None:
    world, number = after(corrected_once)
    mail = notices(number)[0]
    world.now += 6 * HOUR
    hear(world, mail, world.now, EvidenceKind.DSN_DELIVERED)
    world.sweep(MINUTE)
    world.send(kind=ReplyKind.REFUSED)

    for _ in range(3):
        world.sweep(HOUR)
        assert world.send() == []

    assert [each.state for each in corrections_of(number, mail)] == ["sent", "refused"]


# -- against a plain list -----------------------------------------------------------------------


@dataclass(frozen=True)
class Said:
    """A mail to one of two people: a notice or a correction, when accepted, what was heard."""

    person: int
    is_correction: bool
    accepted: int
    delivered: tuple[int, ...]
    checked: int | None
    state: str

    @property
    def arrived(self) -> int | None:
        """When it is known to have fallen into the mailbox, at the latest."""
        if self.delivered:
            return max(self.delivered)
        return self.checked


said = st.builds(
    Said,
    st.integers(1, 2),
    st.booleans(),
    st.integers(0, 9),
    st.lists(st.integers(0, 9), max_size=2).map(tuple),
    st.none() | st.integers(0, 9),
    st.sampled_from(["sent", "sent", "sent", "refused", "pending"]),
)


def owed(mails: list[Said]) -> list[tuple[int, int]]:
    """Return whose mail came last, and which of theirs it is, as anybody would say it."""
    found = []
    for person in (1, 2):
        own = [each for each in mails if each.person == person]
        words = [each for each in own if each.is_correction]
        heard = [
            max(each.accepted, *each.delivered, each.checked or 0)
            for each in words
            if each.state == "sent"
        ]
        if not heard or any(each.state == "pending" for each in words):
            continue
        for place, mail in enumerate([each for each in own if not each.is_correction], start=1):
            is_said = place < len(words)  # corrections have the steps 0, 1, 2 … below
            late = mail.arrived is not None and mail.arrived > max(heard)
            if mail.state == "sent" and late and not is_said:
                found.append((person, place))
    return found


@pytest.mark.django_db
@given(mails=st.lists(said, max_size=7))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_exactly_those_whose_last_word_is_a_notice_are_owed_a_correction(
    mails: list[Said],
) -> None:
    # Nobody learns of an order through its correction: everybody got a notice to begin with.
    first = Said(1, is_correction=False, accepted=0, delivered=(), checked=None, state="sent")
    mails = [first, replace(first, person=2), *mails]
    with transaction.atomic():
        steps = {(person, kind): 0 for person in (1, 2) for kind in (True, False)}
        for number, each in enumerate(mails):
            step = steps[each.person, each.is_correction]
            steps[each.person, each.is_correction] += 1
            store(each, number, step)

        found = late_deliveries.late("CM-7Q4K", after=0)

        assert [(each.person_id, each.place) for each in found] == owed(mails)
        transaction.set_rollback(True)


def store(each: Said, number: int, step: int) -> None:
    def at(minute: int) -> datetime:
        return NOW + timedelta(minutes=minute)

    row = Notice.objects.create(
        order_number="CM-7Q4K",
        revision_number=1,
        kind="correction" if each.is_correction else "notice",
        step=step,
        person_id=each.person,
        address=f"p{each.person}@example.org",
        language="en",
        template_id=1,
        message_id=f"<{number}@example.org>",
        dated_at=NOW,
        due_at=NOW,
    )
    is_sent = each.state == "sent"
    Notice.objects.filter(pk=row.pk).update(
        state=each.state,
        exposure=2 if is_sent else 0,
        accepted_at=at(each.accepted) if is_sent else None,
    )
    heard = [("dsn_delivered", minute) for minute in each.delivered]
    heard += [("check_code", each.checked)] if each.checked is not None else []
    NoticeEvidence.objects.bulk_create(
        NoticeEvidence(notice=row, kind=kind, at=at(minute), detail=str(place))
        for place, (kind, minute) in enumerate(heard)
    )
