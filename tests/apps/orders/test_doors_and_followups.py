"""Each person's own instant: reminders, the last word, the door, late joiners, amendments."""

from datetime import timedelta
from itertools import pairwise

import psycopg
import pytest

from countermand.audit import queries as log
from countermand.domain import schedule
from countermand.domain.delivery import Evidence, EvidenceKind, Reply, ReplyKind, StopKind
from countermand.domain.presence import Answer
from countermand.enforcement import queries as doors
from countermand.enforcement.actions import Publisher
from countermand.notices import actions as notices
from countermand.notices.models import Notice
from countermand.orders import actions, corrections, own_answers
from countermand.orders.doors import closed_devices
from countermand.orders.models import Affected, ToldDevice
from countermand.orders.rule_log import RuleBook
from tests.order_world import DAY, HOUR, MINUTE, ROLLOUT, After, World


def kinds(number: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for kind in Notice.objects.filter(order_number=number).values_list("kind", flat=True):
        found[kind] = found.get(kind, 0) + 1
    return found


def rules_of(world: World, uid: str, app: str = "tiktok") -> list[str]:
    person = world.people[uid]
    book = RuleBook.from_log()
    found = book.rules(person.pk, log.person_ref(person.pk), app=app, at=world.now)
    return [rule.number for rule in found]


def go_past_the_deadline(world: World) -> None:
    """Let the days pass as they pass: a sweep now and then, and a sender that sends."""
    while world.now < world.order_deadline + 30 * MINUTE:
        left = world.order_deadline - world.now
        steps = ((2 * HOUR, 15 * MINUTE), (4 * DAY, 6 * HOUR))
        world.sweep(next((step for within, step in steps if left < within), DAY))
        world.send()


def enforcing(world: World, number: str | None = None) -> str:
    number = number or world.notified()
    world.order_deadline = world.last_deadline(number)
    before = world.order_deadline - 20 * HOUR
    while world.now < before:
        world.sweep(6 * HOUR if before - world.now < 4 * DAY else DAY)
        world.send()
    world.import_run()
    for device in world.devices():
        observation = device.observations.first()
        if observation is not None:
            world.observe(device, observation.presence)
    go_past_the_deadline(world)
    return number


def enforcing_six(world: World) -> str:
    world.staff(6)
    return enforcing(world)


def enforcing_thirty(world: World) -> str:
    world.staff(30)
    return enforcing(world)


def test_reminders_and_a_last_notice_come_before_the_door(after: After) -> None:
    world, number = after(enforcing_six)

    assert world.order(number).phase == "enforcing"
    assert kinds(number)["reminder"] == 2 * 6
    assert kinds(number)["lock"] == 6
    assert closed_devices(number, now=world.now) == {device.pk for device in world.devices()}


def test_nobody_without_the_app_is_reminded_or_kept_from_mail(world: World) -> None:
    world.staff(6)
    world.staff(2, "unobservable")
    number = world.notified()
    gone = world.devices()[:3]
    world.import_run()
    for device in gone:
        world.observe(device, "absent")

    world.order_deadline = world.last_deadline(number)
    go_past_the_deadline(world)

    told = set(
        Notice.objects.filter(kind="reminder", order_number=number).values_list(
            "person_id", flat=True
        )
    )
    assert not told & {device.person_id for device in gone}
    locked = set(
        Notice.objects.filter(kind="lock", order_number=number).values_list("person_id", flat=True)
    )
    assert len(locked) <= 3


def test_a_reminder_found_late_by_night_waits_for_the_morning(world: World) -> None:
    number = world.told_six()
    deadlines = dict(ToldDevice.objects.values_list("person_id", "own_deadline_at"))
    night = world.last_deadline(number).replace(hour=18, minute=0) - 2 * DAY  # 23:30 in India
    world.now = night
    world.sweep()

    due = Notice.objects.filter(kind="reminder").values_list("person_id", "due_at")

    assert len(due) == 6
    for person_id, at in due:
        zone = world.zone_of(person_id)
        assert not schedule.is_quiet(at, zone)
        assert night <= at < deadlines[person_id]
        assert (at > night) == schedule.is_quiet(night, zone)
    assert any(at > night for _, at in due)


def test_one_tap_on_the_look_up_page_opens_at_once_and_no_answer_closes_again(
    after: After,
) -> None:
    world, number = after(enforcing_six)
    mine, *others = (device.pk for device in world.devices())
    asked = own_answers.asked_of(world.people["p5"].pk, number, key=b"key", now=world.now)
    assert asked is not None
    assert closed_devices(number, now=world.now) == {mine, *others}

    for said in ("removed", "cannot", "shared"):
        own_answers.give(
            number,
            asked.proof,
            str(mine),
            said,
            key=b"key",
            publisher=Publisher.load(world.settings.folder),
            context=world.desk.context,
            now=world.now,
        )

        assert closed_devices(number, now=world.now) == set(others)
    assert kinds(number)["restored"] == 1


def test_i_removed_it_opens_at_once_and_is_told(after: After) -> None:
    world, number = after(enforcing_six)
    device = world.devices()[0]
    assert device.pk in closed_devices(number, now=world.now)

    answered = actions.record_answer(
        device.source_device_id,
        Answer.REMOVED,
        actor=world.actor("desk"),
        publisher=Publisher.load(world.settings.folder),
        context=world.desk.context,
        now=world.now,
    )

    assert (answered.orders, answered.opened) == ((number,), 1)
    assert device.pk not in closed_devices(number, now=world.now)
    assert kinds(number)["restored"] == 1
    world.sweep(MINUTE)
    assert device.pk not in closed_devices(number, now=world.now)


def test_a_take_back_opens_every_door_without_touching_an_entry(after: After) -> None:
    world, number = after(enforcing_six)
    before = doors.feed_version()
    assert closed_devices(number, now=world.now)

    world.press(number, StopKind.TAKE_BACK)

    assert closed_devices(number, now=world.now) == frozenset()
    assert doors.feed_version() == before


def test_a_new_person_is_told_on_the_day_with_an_own_deadline(after: After) -> None:
    world, number = after(World.told_thirty)
    world.import_run()
    world.staff(1)

    world.sweep(HOUR)

    late = Affected.objects.get(order_id=number, reason="late")
    assert late.joined_at == world.now
    assert late.own_deadline_at is not None
    assert late.own_deadline_at >= world.now + timedelta(hours=72)
    newest = world.people[max(world.people, key=lambda uid: world.people[uid].pk)]
    assert world.send() == [newest.address]
    assert rules_of(world, newest.uid) == [number]


def test_a_new_phone_of_somebody_who_was_told_has_a_deadline_of_its_own(after: After) -> None:
    world, number = after(World.told_thirty)
    world.import_run()
    uid = next(uid for uid in world.people if uid.startswith("p"))
    phone = world.device(uid)

    world.sweep(HOUR)

    told = ToldDevice.objects.get(device_id=phone.pk)
    assert (told.order_id, told.step) == (number, 1)
    assert told.own_deadline_at >= world.now + timedelta(hours=72)
    assert world.send() == [world.people[uid].address]


def test_a_surge_of_late_joiners_pauses_the_order_and_tells_nobody(after: After) -> None:
    world, number = after(World.told_thirty)
    world.import_run()
    world.staff(20)

    world.sweep(HOUR)

    assert world.order(number).phase == "paused"
    assert "join" in world.order(number).pause_cause
    assert world.send() == []


def test_everybody_has_the_deadline_of_their_own_clock(after: After) -> None:
    world, number = after(World.told_six)

    by_zone = {
        (world.zone_of(row.person_id), row.own_deadline_at)
        for row in Affected.objects.filter(order_id=number)
    }
    assert len({zone for zone, _ in by_zone}) == len(by_zone) == 3
    assert len({at for _, at in by_zone}) == 3


def test_whoever_is_absent_gets_a_working_day_more(world: World) -> None:
    world.staff(4)
    uid = next(uid for uid in world.people if uid.startswith("p"))
    world.people[uid].absent_until = (world.now + 20 * DAY).date()
    world.people[uid].save()

    number = world.notified()

    row = Affected.objects.get(order_id=number, person_id=world.people[uid].pk)
    assert row.own_deadline_at is not None
    assert row.own_deadline_at > world.now + 20 * DAY


def test_taking_an_amendment_back_leaves_the_older_order_standing(after: After) -> None:
    world, older = after(World.told_six)
    uid = next(uid for uid in world.people if uid.startswith("p"))
    assert rules_of(world, uid) == [older]
    amendment = world.sending(
        amends=older, deadline={"at": "2020-07-30T17:00", "clock": "each-person"}
    )
    assert rules_of(world, uid) == [amendment]
    world.send()

    world.press(amendment, StopKind.TAKE_BACK)

    assert rules_of(world, uid) == [older]
    corrections = Notice.objects.filter(order_number=amendment, kind="correction")
    assert corrections.exists()
    for row in corrections:
        assert any(older in sentence for sentence in row.values["what_applies"])


def test_after_a_take_back_nothing_is_in_force(after: After) -> None:
    world, number = after(World.sending_to_thirty)
    uid = next(uid for uid in world.people if uid.startswith("p"))
    assert rules_of(world, uid) == [number]

    world.press(number, StopKind.TAKE_BACK)

    assert rules_of(world, uid) == []


def test_closing_opens_every_door_and_tells_those_who_got_it(after: After) -> None:
    world, number = after(enforcing_six)

    actions.close(number, actor=world.actor("author"), now=world.now, context=world.desk.context)

    assert closed_devices(number, now=world.now) == frozenset()
    assert len(world.send()) == Affected.objects.filter(order_id=number).count()
    world.sweep(MINUTE)
    assert doors.entries_of_order(number) == ()


def test_whoever_changed_their_address_is_told_of_the_end_at_both(after: After) -> None:
    world, number = after(enforcing_six)
    person = next(p for p in world.people.values() if p.uid.startswith("p"))
    before, person.address = person.address, "new@example.org"
    person.save()

    actions.close(number, actor=world.actor("author"), now=world.now, context=world.desk.context)

    of_end = world.send()
    assert {before, "new@example.org"} <= set(of_end)
    assert len(of_end) == len(set(of_end)) == Affected.objects.filter(order_id=number).count() + 1
    world.sweep(MINUTE)
    assert world.send() == []


def test_whoever_is_answered_for_as_an_order_is_closed_or_later_is_told_of_its_end(
    world: World,
) -> None:
    world.staff(8)
    number = world.sending()
    name = "sender-2"
    world.ledger.lease(sender=name, mode="live", host=world.here, pid=2, seconds=3600)
    in_hand = world.claim(3, sender=name)
    noted, answered, doubtful = world.permit(in_hand, sender=name)
    told = {row.address for row in in_hand[:2]}
    enforcing(world, number)
    got_it = set(Notice.objects.filter(exposure=2).values_list("address", flat=True)) | told
    actor = world.actor("author")
    with psycopg.connect(world.settings.database_url) as session:
        # Two dots are answered at this very instant, and nobody can see it yet.
        session.execute(
            "SELECT ledger_exchange(%s, '{}', '{}', %s, %s, '{accepted}', '{250}', '{q}', '{}',"
            " '{}', %s)",
            [name, [noted.notice_id], [noted.claim], world.now],
        )
        actions.close(number, actor=actor, now=world.now, context=world.desk.context)
    reply = Reply(answered, ReplyKind.ACCEPTED, after_dot=True, text="250", queue_id="q")
    world.ledger.acknowledge(sender=name, replies=[reply], now=world.now)
    notices.catch_up()
    world.sweep(MINUTE)
    of_end = world.send()
    assert len(of_end) == len(set(of_end)) > 2
    assert set(of_end) == got_it

    seen = Evidence(doubtful.notice_id, EvidenceKind.CHECK_CODE, world.now)
    world.sweep(timedelta(days=2))
    world.ledger.evidence(evidence=[seen])
    world.sweep(MINUTE)
    assert world.send() == [in_hand[2].address]
    world.sweep(MINUTE)
    assert world.send() == []


def test_looks_after_the_end_grow_rare_and_end(world: World) -> None:
    ended_at, looked_at, looks = world.now, None, []
    for seconds in range(0, 4 * 24 * 3600, 5):
        now = world.now + timedelta(seconds=seconds)
        if corrections.is_time_to_look(ended_at, looked_at=looked_at, now=now):
            looked_at = now
            looks.append(seconds)

    assert looks[:5] == [10, 20, 40, 80, 160]
    assert 24 * 3600 < looks[-1] <= 48 * 3600
    assert len(looks) < 20


LATER = {"deadline": {"at": "2020-07-30T17:00", "clock": "each-person"}}


def who_got(number: str, *kinds: str) -> set[int]:
    got = Notice.objects.filter(order_number=number, kind__in=kinds, exposure__gt=0)
    return set(got.values_list("person_id", flat=True))


def live(world: World, *, hours: int, step: timedelta = HOUR) -> None:
    for _ in range(hours * HOUR // step):
        world.sweep(step)
        world.send()


GERMAN = {
    "people": {"groups": ["all-staff"], "countries": ["DE"]},
    "devices": {"ownership": ["corporate", "personal", "unknown"]},
}


def test_whom_a_successor_does_not_name_is_told_of_the_end_of_what_it_replaces(
    after: After,
) -> None:
    world, older = after(enforcing_thirty)
    newer = world.released(replaces=older, scope=GERMAN, **LATER)
    live(world, hours=3)

    listed = set(Affected.objects.filter(order__number=newer).values_list("person_id", flat=True))
    assert listed
    assert who_got(older, "closing") == who_got(older, "notice") - listed != set()
    live(world, hours=3)
    assert kinds(older)["closing"] == len(who_got(older, "closing"))


def test_an_end_is_told_to_some_of_many_with_every_sweep(
    after: After, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, older = after(enforcing_thirty)
    monkeypatch.setattr(corrections, "_MOST_TOLD_AT_ONCE", 5)
    newer = world.released(replaces=older, scope=GERMAN, **LATER)
    world.sweep(11 * MINUTE)
    told = []
    for _ in range(7):
        world.sweep(MINUTE)
        world.send()
        told.append(len(who_got(older, "closing")))

    listed = set(Affected.objects.filter(order__number=newer).values_list("person_id", flat=True))
    everybody = len(who_got(older, "notice") - listed)
    assert everybody > 20
    assert max(after - before for before, after in pairwise([0, *told])) == 5
    assert told[-1] == everybody


def test_whom_a_successor_did_not_reach_before_it_was_taken_back_is_told_of_the_end(
    after: After,
) -> None:
    world, older = after(enforcing_thirty)
    newer = world.released(replaces=older, rollout={**ROLLOUT, "go": "by-person"}, **LATER)
    live(world, hours=60, step=6 * HOUR)  # longer than anybody looks for what came late
    assert who_got(older, "closing") == set()
    first_group = who_got(newer, "notice")
    world.press(newer, StopKind.TAKE_BACK)
    live(world, hours=3)

    everybody = who_got(older, "notice")
    assert set() < who_got(newer, "notice") < everybody
    assert first_group <= who_got(newer, "correction")
    assert who_got(older, "closing") == everybody - who_got(newer, "notice")


def test_the_door_follows_the_amendment_and_then_the_older_order_again(after: After) -> None:
    world, older = after(enforcing_six)
    everybody = closed_devices(older, now=world.now)
    assert everybody
    amendment = world.sending(
        amends=older, deadline={"at": "2020-07-30T17:00", "clock": "each-person"}
    )

    world.sweep(MINUTE)
    covered = set(ToldDevice.objects.filter(order_id=amendment).values_list("device_id", flat=True))
    assert covered
    assert closed_devices(older, now=world.now) == everybody - covered
    assert closed_devices(amendment, now=world.now) == frozenset()

    world.press(amendment, StopKind.TAKE_BACK)
    world.sweep(MINUTE)
    assert closed_devices(older, now=world.now) == everybody


def test_a_person_lets_a_surge_pass(after: After) -> None:
    world, number = after(World.told_thirty)
    world.import_run()
    world.staff(20)
    world.sweep(HOUR)
    assert world.order(number).phase == "paused"

    world.resume(number)
    world.sweep(MINUTE)

    assert len(world.send()) == 20


def test_whoever_left_is_told_nothing_and_comes_out_from_under_the_order(world: World) -> None:
    world.staff(10)
    number = world.sent_to_first_group()
    waiting = Affected.objects.filter(order_id=number, wave__gt=0).first()
    assert waiting is not None
    uid = world.uid_of(waiting.person_id)
    world.people[uid].left_on = world.now.date()
    world.people[uid].save()

    world.sweep(31 * MINUTE)

    assert not Notice.objects.filter(person_id=waiting.person_id).exists()
    assert rules_of(world, uid) == []


def test_an_inventory_without_the_app_opens_the_door_and_says_so(after: After) -> None:
    world, number = after(enforcing_six)
    device = world.devices()[0]
    assert device.pk in closed_devices(number, now=world.now)
    world.import_run()
    world.observe(device, "absent")

    world.sweep(MINUTE)

    assert device.pk not in closed_devices(number, now=world.now)
    assert kinds(number)["restored"] == 1
