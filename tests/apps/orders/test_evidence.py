"""What is heard later of a mail: late evidence corrects, and what never left is not corrected."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from countermand import wiring
from countermand.connectors.returned_mail.mailbox import ReturnedMailUnavailable
from countermand.domain.delivery import EvidenceKind, Reply, ReplyKind, StopKind
from countermand.domain.findings import Finding, QueuedMail, QueueUnavailable
from countermand.notices import evidence, mail_story
from countermand.notices import queries as ledger
from countermand.notices.models import Notice, NoticeEvidence
from countermand.orders import pressing
from countermand.orders.desk import open_desk
from countermand.project.findings import State
from countermand.project.mail_checkup import examine_returned
from countermand.stop import press as stopping
from tests.order_world import DAY, HOUR, MINUTE, World

PEOPLE = 12


@dataclass
class Queue:
    """A relay's queue in memory; `delivering` leave it while they are being taken out."""

    mails: dict[str, str] = field(default_factory=dict)
    delivering: set[str] = field(default_factory=set)
    held: set[str] = field(default_factory=set)
    broken: str = ""

    def waiting(self) -> Sequence[QueuedMail]:
        if self.broken:
            raise QueueUnavailable(why=self.broken)
        return [QueuedMail(each, frozenset({to})) for each, to in self.mails.items()]

    def hold(self, queue_ids: Iterable[str]) -> None:
        self.held |= set(queue_ids)

    def fetch_back(self, queue_ids: Iterable[str]) -> frozenset[str]:
        taken = {each for each in queue_ids if self.mails.pop(each, None)}
        return frozenset(taken - self.delivering)


def told(world: World, *, kind: ReplyKind = ReplyKind.ACCEPTED) -> str:
    """An order whose first small group was sent its notice."""
    world.staff(PEOPLE)
    number = world.released()
    world.sweep(11 * MINUTE)
    world.send(kind=kind)
    for notice in Notice.objects.filter(order_number=number, state="sent"):
        Notice.objects.filter(pk=notice.pk).update(queue_id=f"QUEUE{notice.pk}")
    return number


def take_back(world: World, number: str, queue: Queue | None = None) -> dict[str, object]:
    pressed = stopping.press(
        world.settings.folder,
        number,
        StopKind.TAKE_BACK,
        by=world.people["operator"].pk,
        because="mistake",
        now=world.now,
    )
    desk = open_desk(world.settings, owing=world.ledger, queue=queue)
    return pressing.finish_stop(desk, pressed.fence, pressed=pressed, now=world.now).counts


def corrected(number: str) -> set[str]:
    rows = Notice.objects.filter(order_number=number, kind="correction")
    return set(rows.values_list("address", flat=True))


def notices(number: str) -> list[Notice]:
    return list(Notice.objects.filter(order_number=number, kind="notice").order_by("pk"))


def test_what_still_waits_at_the_relay_is_fetched_back_and_nobody_is_corrected_for_it(
    world: World,
) -> None:
    number = told(world)
    first, second, *others = notices(number)
    queue = Queue({first.queue_id: first.address, second.queue_id: second.address})
    queue.mails["FOREIGN7"] = "stranger@example.net"
    queue.delivering = {second.queue_id}

    said = take_back(world, number, queue)

    assert (said["fetched_back"], said["queue"]) == (1, "reached")
    assert queue.held == {first.queue_id, second.queue_id}
    assert "FOREIGN7" in queue.mails
    # A delivery that was under way may have ended: whoever it was for is corrected.
    assert corrected(number) == {each.address for each in (second, *others)}
    assert Notice.objects.get(pk=first.pk).state == "pulled_queue"


def test_a_queue_id_that_came_back_for_somebody_else_is_left_alone(world: World) -> None:
    number = told(world)
    one = notices(number)[0]
    queue = Queue({one.queue_id: "stranger@example.net"})

    said = take_back(world, number, queue)

    assert said["fetched_back"] == 0
    assert queue.mails == {one.queue_id: "stranger@example.net"}
    assert one.address in corrected(number)


def test_a_queue_that_lets_nobody_in_keeps_nobody_from_a_correction(world: World) -> None:
    number = told(world)

    said = take_back(world, number, Queue(broken="only root may"))

    assert (said["fetched_back"], said["queue"]) == (0, "only root may")
    assert corrected(number) == {each.address for each in notices(number)}


def test_taking_back_says_when_there_is_no_queue_to_look_into(world: World) -> None:
    assert take_back(world, told(world))["queue"] == "none"


def test_whoever_turns_out_late_to_have_got_it_is_corrected_at_once(world: World) -> None:
    number = told(world, kind=ReplyKind.DEFERRED)
    take_back(world, number)
    one = notices(number)[0]
    assert corrected(number) == set()
    world.sweep(HOUR)  # corrected: nobody was reached
    assert world.order(number).phase == "corrected"

    late = Finding(EvidenceKind.RELAY_LOG_ACCEPTED, None, "late", message_id=one.message_id)
    evidence.take([late], ledger=world.ledger, now=world.now)
    world.sweep(MINUTE)

    assert corrected(number) == {one.address}


def test_a_finding_is_booked_once_and_one_about_nothing_of_ours_never(world: World) -> None:
    number = told(world)
    one = notices(number)[0]
    envelope = one.message_id.strip("<>").partition("@")[0]
    bounced = Finding(EvidenceKind.DSN_FAILED, None, "5.1.1", envelope_id=envelope)
    foreign = Finding(EvidenceKind.DSN_FAILED, None, "5.1.1", envelope_id="CM-7Q4K.1.notice.0.ff")

    first = evidence.take([bounced, foreign], ledger=world.ledger, now=world.now)
    again = evidence.take([bounced], ledger=world.ledger, now=world.now)

    assert (first.new, first.not_ours, again.new) == (1, 1, 0)
    assert NoticeEvidence.objects.count() == 1
    assert Notice.objects.get(pk=one.pk).state == "bounced"


def test_a_report_from_tomorrow_happened_when_it_was_heard(world: World) -> None:
    one = notices(told(world))[0]
    tomorrow = world.now + timedelta(days=1)
    delivered = Finding(EvidenceKind.DSN_DELIVERED, tomorrow, "", message_id=one.message_id)

    evidence.take([delivered], ledger=world.ledger, now=world.now)

    assert Notice.objects.get(pk=one.pk).proven_at == world.now


def test_a_queue_id_says_something_only_together_with_its_mailbox(world: World) -> None:
    one, two, *_ = notices(told(world))
    other = Finding(
        EvidenceKind.DSN_FAILED, None, "x", queue_id=one.queue_id, address="a@example.net"
    )
    same = Finding(EvidenceKind.DSN_FAILED, None, "x", queue_id=two.queue_id, address=two.address)

    evidence.take([other, same], ledger=world.ledger, now=world.now)

    assert [Notice.objects.get(pk=each.pk).state for each in (one, two)] == ["sent", "bounced"]


def test_a_mailbox_is_the_same_in_either_spelling_of_its_domain(world: World) -> None:
    domains = ("कंपनी.भारत", "xn--i1b1b4ch5i.xn--h2brj9c")
    author = world.people["author"]
    author.address = f"author@{domains[0]}"  # as a mail may be kept that an older version wrote
    author.save()
    number = told(world)
    one = Notice.objects.get(order_number=number, person_id=author.pk)
    waits = [QueuedMail(one.queue_id, frozenset({f"author@{each}"})) for each in domains]
    found = [evidence.waiting_at_relay(number, [each]) for each in waits]
    bounced = Finding(
        EvidenceKind.DSN_FAILED, None, "x", queue_id=one.queue_id, address=f"author@{domains[1]}"
    )

    evidence.take([bounced], ledger=world.ledger, now=world.now)

    assert one.address == author.address
    assert found == [{one.queue_id: one.pk}] * 2
    assert Notice.objects.get(pk=one.pk).state == "bounced"


def test_a_copy_in_an_archive_says_nothing_about_the_mailbox_of_the_person(world: World) -> None:
    """Postfix may send a copy of everything somewhere (always_bcc): it bears the Message-ID."""
    number = told(world)
    one, aliased = notices(number)[:2]

    def copy(kind: EvidenceKind, mail: Notice, to: str, meant: str) -> Finding:
        return Finding(
            kind, None, f"{to} {kind}", message_id=mail.message_id, address=to, meant_for=meant
        )

    archive, mailbox = "archive@example.org", "a.rao@mail.example.org"
    delivered, failed = EvidenceKind.DSN_DELIVERED, EvidenceKind.DSN_FAILED
    found = [
        copy(delivered, one, archive, archive),
        copy(failed, one, one.address, one.address),
        copy(delivered, aliased, mailbox, aliased.address),
    ]
    evidence.take(found, ledger=world.ledger, now=world.now)

    states = [Notice.objects.get(pk=each.pk).state for each in (one, aliased)]
    assert states == ["bounced", "delivered"]


@pytest.mark.parametrize("year", [1970, 2019, 2038])
def test_the_clock_of_another_server_makes_no_mail_older_than_it_is(
    world: World, year: int
) -> None:
    """Or silence would prove at once what was accepted a minute ago."""
    number = told(world, kind=ReplyKind.LOST)
    one = notices(number)[0]
    at = world.now.replace(year=year)
    delayed = Finding(EvidenceKind.RELAY_LOG_ACCEPTED, at, "", message_id=one.message_id)

    evidence.take([delayed], ledger=world.ledger, now=world.now)

    assert Notice.objects.get(pk=one.pk).accepted_at == world.now


def test_whom_no_correction_can_reach_is_on_the_list_to_call(world: World) -> None:
    number = told(world)
    take_back(world, number)
    one = Notice.objects.filter(order_number=number, kind="correction").order_by("pk")[0]
    world.send()

    bounced = Finding(EvidenceKind.DSN_FAILED, None, "5.2.2 full", message_id=one.message_id)
    evidence.take([bounced], ledger=world.ledger, now=world.now)

    assert ledger.corrections(number).to_call == (one.person_id,)


def test_whose_correction_is_put_off_again_and_again_is_called_while_it_is_tried_on(
    world: World,
) -> None:
    number = told(world)
    take_back(world, number)
    one = Notice.objects.filter(order_number=number, kind="correction").order_by("pk")[0]
    others = Notice.objects.filter(order_number=number, kind="correction").exclude(pk=one.pk)

    for tried in range(1, 4):
        world.send(1, kind=ReplyKind.DEFERRED)
        Notice.objects.filter(pk=one.pk).update(due_at=world.now)
        others.update(due_at=world.now + HOUR)
        called = ledger.corrections(number).to_call
        assert called == ((one.person_id,) if tried == 3 else ())
    assert ledger.corrections(number).waiting == len(others) + 1  # it is tried on
    assert mail_story.last_undelivered(number, [one.person_id])[one.person_id].state == "pending"

    world.send()

    assert ledger.corrections(number).to_call == ()


def test_whose_mail_is_put_off_for_long_is_called_however_few_dots_were_written(
    world: World,
) -> None:
    """A server that says no for now as soon as it hears the address is asked each minute."""
    number = told(world)
    take_back(world, number)
    one = Notice.objects.filter(order_number=number, kind="correction").order_by("pk")[0]
    others = Notice.objects.filter(order_number=number, kind="correction").exclude(pk=one.pk)
    others.update(due_at=world.now + 9 * HOUR)

    put_off_at_rcpt(world)
    assert ledger.corrections(number).to_call == ()
    world.now += HOUR
    put_off_at_rcpt(world)

    assert Notice.objects.get(pk=one.pk).attempts == 0
    assert ledger.corrections(number).to_call == (one.person_id,)
    assert mail_story.last_undelivered(number, [one.person_id])[one.person_id].kind == "correction"


def test_whose_notice_is_put_off_for_a_day_is_called_meanwhile(world: World) -> None:
    world.staff(PEOPLE)
    number = world.released()
    world.sweep(11 * MINUTE)
    one, *others = notices(number)
    Notice.objects.filter(pk__in=[each.pk for each in others]).update(due_at=world.now + 9 * DAY)
    put_off_at_rcpt(world)
    assert mail_story.unreached(number) == ()

    world.now += DAY
    put_off_at_rcpt(world)

    assert mail_story.unreached(number) == (one.person_id,)
    assert mail_story.last_undelivered(number, [one.person_id])[one.person_id].state == "pending"
    world.now += MINUTE
    world.send()
    assert mail_story.unreached(number) == ()


def put_off_at_rcpt(world: World) -> None:
    """Let a server put off what is due before it lets any dot be written."""
    name = "sender-1"
    world.ledger.lease(sender=name, mode="live", host="here", pid=1, seconds=60)
    held = [each.holding for each in world.claim(10, sender=name)]
    replies = [
        Reply(each, ReplyKind.DEFERRED, after_dot=False, text="452 4.2.2 full", queue_id=None)
        for each in held
    ]
    world.ledger.exchange(sender=name, permits=[], replies=replies, aborted=[], now=world.now)


def returned_mails(folder: Path, *mails: str) -> str:
    """A Maildir with these mails; returns how the settings name it."""
    for name in ("new", "cur", "tmp"):
        (folder / name).mkdir()
    for number, mail in enumerate(mails):
        (folder / "new" / str(number)).write_text(mail, encoding="utf-8")
    return f"maildir:{folder}"


def test_a_log_that_cannot_be_read_keeps_no_returned_mail_from_being_heard(
    world: World, tmp_path: Path
) -> None:
    number = told(world)
    one = notices(number)[0]
    report = (
        'Content-Type: multipart/report; boundary="b"\n\n--b\n'
        "Content-Type: message/delivery-status\n\nReporting-MTA: dns; x\n\n"
        f"Final-Recipient: rfc822; {one.address}\nAction: failed\nStatus: 5.1.1\n"
        f"\n--b\nContent-Type: message/rfc822\n\nMessage-ID: {one.message_id}\n\n--b--\n"
    )
    settings = replace(
        world.settings,
        relay_log=str(tmp_path / "no-such-log"),
        returned_mail=returned_mails(tmp_path, report),
    )

    with pytest.raises(FileNotFoundError):
        wiring.take_evidence(settings, world.now)

    assert Notice.objects.get(pk=one.pk).state == "bounced"


def test_the_doctor_says_whether_anybody_hears_of_mails_that_come_back(
    world: World, tmp_path: Path
) -> None:
    place = returned_mails(tmp_path, "Subject: x\n\nx\n")

    assert examine_returned(world.settings).state is State.NOTE
    heard = examine_returned(replace(world.settings, returned_mail=place))
    assert heard.state is State.GOOD
    assert (tmp_path / "new" / "0").exists()  # looked at, and left for whoever takes it
    deaf = examine_returned(replace(world.settings, relay_log=str(tmp_path / "no-such-log")))
    assert deaf.state is State.BAD
    with pytest.raises(ReturnedMailUnavailable):
        examine_returned(replace(world.settings, returned_mail="maildir:/nowhere"))


def test_the_doctor_counts_notices_that_silence_will_never_prove(
    world: World, tmp_path: Path
) -> None:
    relay_log = tmp_path / "mail.log"
    relay_log.write_text("a line\n" * 9)
    settings = replace(world.settings, relay_log=str(relay_log))
    world.staff(4)
    number = world.notified()
    wiring.take_evidence(settings, world.now)
    assert examine_returned(settings).state is State.GOOD

    relay_log.write_text("a line\n")
    wiring.take_evidence(settings, world.now)

    told = Notice.objects.filter(order_number=number, kind="notice", state="sent").count()
    found = examine_returned(settings)
    assert found.state is State.NOTE
    assert found.sentence.endswith(f": {told}.")
    world.press(number, StopKind.TAKE_BACK)
    assert examine_returned(settings).state is State.GOOD
