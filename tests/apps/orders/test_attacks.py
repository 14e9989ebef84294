"""What somebody tries, or what chance does, against the promises of an order: it holds."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from django.db.models import F

from countermand.audit.queries import person_ref
from countermand.domain.approvals import Role
from countermand.domain.delivery import Holding, Reply, ReplyKind, StopKind
from countermand.domain.directory import PersonRecord
from countermand.domain.errors import Fault
from countermand.domain.inventory import RejectedRow
from countermand.notices import queries as ledger
from countermand.notices.models import SenderLease
from countermand.orders import actions as orders
from countermand.orders import corrections, doors, stepping
from countermand.orders.refusals import FencedMeanwhile, TooLittleNotice
from countermand.orders.rule_log import RuleBook
from countermand.people import queries as people
from countermand.people.actions import ImportOptions, import_people
from countermand.people.models import Person
from countermand.project import register as registers
from countermand.stop import register
from countermand.stop.register import KnownOrder, Register
from tests.order_world import DAY, HOUR, MINUTE, After, World


def test_a_list_written_late_never_lowers_an_epoch_that_a_stop_must_reach(after: After) -> None:
    world, number = after(World.sending_to_thirty)
    registers.ahead(world.settings, number, 7, "sending")

    registers.refresh(world.settings, now=world.now)

    assert register.read(world.settings.folder).orders[number].epoch == 7


def test_a_pause_pressed_with_an_old_list_pauses_all_the_same(after: After) -> None:
    world, number = after(World.sending_to_thirty)
    world.press(number, StopKind.PAUSE)
    world.resume(number)
    old = Register(orders={number: KnownOrder(epoch=1, phase="sending")})
    register.write(world.settings.folder, old)

    world.press(number, StopKind.PAUSE, uid="desk")

    assert (world.order(number).phase, world.send()) == ("paused", [])


def test_a_hold_that_ended_days_ago_fires_nothing_after_a_restart(world: World) -> None:
    world.staff(10)
    number = world.released()

    taken = world.sweep(2 * DAY)

    assert (world.order(number).phase, world.send()) == ("review", [])
    assert f"{number} start_first_group" in taken


def test_a_hold_that_ended_while_the_machine_restarted_goes_on(world: World) -> None:
    world.staff(10)
    number = world.released()

    world.sweep(HOUR)

    assert world.order(number).phase == "canary"


def test_an_emergency_leaves_people_its_own_least_notice(world: World) -> None:
    world.staff(3)
    world.person("third", Role.APPROVER)
    number = world.plan(
        emergency={"en": "It reads passwords.", "hi": "यह पासवर्ड पढ़ता है।"},
        approvers=[f"{uid}@example.org" for uid in ("legal", "council", "third")],
    )
    orders.submit(number, actor=world.actor("author"), now=world.now)
    first = world.order(number).first_deadline_at
    assert first is not None
    world.now = first - HOUR
    for uid in ("legal", "council", "third"):
        world.open_and_approve(number, uid)

    with pytest.raises(TooLittleNotice):
        world.release(number)


def test_the_log_is_read_once_however_many_are_corrected(
    after: After, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, number = after(World.told_thirty)
    monkeypatch.setattr(corrections, "_AT_ONCE", 3)
    read = RuleBook.from_log
    times: list[int] = []

    def counted() -> RuleBook:
        times.append(1)
        return read()

    monkeypatch.setattr(RuleBook, "from_log", counted)
    done = world.press(number, StopKind.TAKE_BACK)

    assert done["corrections"] > 9
    assert len(times) == 1


def permitted_elsewhere(world: World) -> list[Holding]:
    """Let a sender on another machine be right before its dots; returns its mails."""
    world.ledger.lease(sender="far", mode="live", host="another-machine", pid=1, seconds=60)
    return world.permit(world.claim(3, sender="far"), sender="far")


def test_no_correction_leaves_while_a_sender_elsewhere_may_still_end_a_notice(
    after: After,
) -> None:
    world, number = after(World.sending_to_thirty)
    mails = permitted_elsewhere(world)

    world.press(number, StopKind.TAKE_BACK)
    world.sweep()
    assert (world.order(number).phase, world.send()) == ("stopping", [])

    replies = [
        Reply(each, ReplyKind.ACCEPTED, after_dot=True, text="250", queue_id="q") for each in mails
    ]
    world.ledger.acknowledge(sender="far", replies=replies, now=world.now)
    world.sweep()
    assert world.order(number).phase == "correcting"
    assert len(world.send()) >= len(mails)


def test_a_sender_elsewhere_that_fell_silent_is_waited_for_no_longer_than_relays_do(
    after: After,
) -> None:
    world, number = after(World.sending_to_thirty)
    permitted_elsewhere(world)
    world.press(number, StopKind.TAKE_BACK)
    long_ago = F("lease_until") - timedelta(minutes=7)
    SenderLease.objects.filter(name="far").update(lease_until=long_ago)

    world.sweep()

    assert world.order(number).phase == "correcting"


@dataclass
class FoundFaults:
    """Nothing is wrong with the files."""

    faults: tuple[Fault, ...] = ()


@dataclass
class Directory:
    """Everybody as they are known, some of them changed."""

    records: list[PersonRecord]
    faults: FoundFaults = field(default_factory=FoundFaults)
    rejected: tuple[RejectedRow, ...] = ()

    def people(self) -> Iterator[PersonRecord]:
        return iter(self.records)


def directory(**groups: tuple[str, ...]) -> Directory:
    return Directory(
        [
            PersonRecord(
                uid=row.uid,
                name=row.name,
                address=row.address,
                language=row.language,
                country=row.country,
                zone=row.zone,
                groups=groups.get(row.uid, tuple(row.groups)),
            )
            for row in Person.objects.order_by("pk")
        ]
    )


def test_whoever_moves_into_the_scope_is_told_with_the_next_list_of_people(world: World) -> None:
    world.staff(20)
    world.person("outside", groups=["contractors"])
    world.device("outside")
    world.notified()
    assert "outside@example.org" not in world.send()

    options = ImportOptions()
    moved = directory(outside=("all-staff",))
    import_people(moved, now=world.now, actor_id=None, options=options)
    world.sweep(MINUTE)

    assert world.send() == ["outside@example.org"]


def test_a_sweep_leaves_the_row_of_a_corrected_order_alone(
    after: After, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, number = after(World.sending_to_thirty)
    world.press(number, StopKind.TAKE_BACK)
    world.send()
    world.sweep()
    assert world.order(number).phase == "corrected"
    locked: list[str] = []
    monkeypatch.setattr(stepping, "locked", locked.append)

    world.sweep()

    assert locked == []


def test_an_order_that_another_replaces_neither_mails_nor_closes_any_more(after: After) -> None:
    world, older = after(World.told_thirty)
    newer = world.released(replaces=older)

    world.sweep(11 * MINUTE)
    world.sweep(MINUTE)

    assert world.order(newer).phase == "canary"
    order = world.order(older)
    assert (order.phase, order.pause_cause) == ("paused", f"cause.replaced newer={newer}")
    world.sweep(30 * DAY)
    assert doors.closed_devices(older, now=world.now) == frozenset()


def test_an_exercise_ends_and_opens_nothing_that_is_real(after: After) -> None:
    world, real = after(World.told_thirty)
    practised = world.released(replaces=real, mode="exercise")

    world.sweep(11 * MINUTE)
    world.sweep(MINUTE)

    assert world.order(practised).phase == "canary"
    assert world.order(real).phase == "notified"
    person = world.people["p8"].pk
    book = RuleBook.from_log()
    held = book.rules(person, person_ref(person), app="tiktok", at=world.now)
    assert [rule.number for rule in held] == [real]


def test_nobody_resumes_what_is_taken_back_even_before_the_database_knows(after: After) -> None:
    world, number = after(World.sending_to_thirty)
    world.press(number, StopKind.PAUSE)
    world.stops_on_disk(number, "operator")

    with pytest.raises(FencedMeanwhile):
        world.resume(number)

    assert (world.order(number).phase, world.send()) == ("paused", [])


def test_somebody_whose_address_was_given_on_is_called_and_their_successor_not_told(
    world: World,
) -> None:
    world.staff(10)
    number = world.notified()
    left = directory()
    gone = left.records.pop(8)
    left.records.append(replace(gone, uid="successor", name="Successor"))
    options = ImportOptions(confirm_mass_change=True)
    import_people(left, now=world.now, actor_id=None, options=options)
    assert Person.objects.get(uid=gone.uid).address.endswith("@invalid")

    world.press(number, StopKind.TAKE_BACK)

    corrected = world.send()
    assert gone.address not in corrected
    assert not [address for address in corrected if address.endswith("@invalid")]
    assert ledger.corrections(number).to_call == (Person.objects.get(uid=gone.uid).pk,)


def test_a_successor_at_an_address_inherits_neither_role_nor_token(world: World) -> None:
    world.staff(10)
    everybody = directory()
    place = next(n for n, record in enumerate(everybody.records) if record.uid == "legal")
    everybody.records[place] = replace(everybody.records[place], uid="new", name="Somebody Else")

    options = ImportOptions(confirm_mass_change=True)
    import_people(everybody, now=world.now, actor_id=None, options=options)

    successor = people.person("legal@example.org")
    assert (successor.uid, people.actor(successor.id).roles) == ("new", frozenset())
    with pytest.raises(people.TokenNotKnown):
        people.actor_for_token("token-of-legal", world.now)
