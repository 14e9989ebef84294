"""After a long pause no mail names a time that leaves less than the promised notice."""

from __future__ import annotations

from datetime import timedelta

import pytest

from countermand.domain.delivery import ReplyKind, StopKind
from countermand.notices import moments, word_store
from countermand.notices import queries as ledger
from countermand.notices.models import Notice
from countermand.orders.models import Affected, ToldDevice
from tests.order_world import DAY, After, World

PROMISED = timedelta(hours=72)


def test_what_waits_is_written_anew_with_a_later_deadline_and_never_named_twice(
    after: After,
) -> None:
    world, number = after(World.sending_to_forty)
    before = {row.person_id: row for row in Affected.objects.filter(order_id=number)}
    first_group = {person_id for person_id, row in before.items() if row.wave == 0}
    world.press(number, StopKind.PAUSE)
    world.now += 6 * DAY
    world.resume(number)

    waiting = Notice.objects.filter(order_number=number, state="pending", kind="notice")
    renewed = {row.person_id: row for row in Affected.objects.filter(order_id=number)}
    assert waiting.count() == len(renewed) - len(first_group) > 0
    for row in waiting:
        deadline = renewed[row.person_id].own_deadline_at
        assert deadline is not None
        assert deadline - row.due_at >= PROMISED
        assert row.step == 1
        devices = ToldDevice.objects.filter(order_id=number, person_id=row.person_id)
        assert {(each.step, each.own_deadline_at) for each in devices} <= {(1, deadline)}
        old = Notice.objects.get(
            order_number=number, person_id=row.person_id, kind="notice", step=0
        )
        assert (old.state, old.exposure) == ("skipped", 0)
        assert old.values["deadline"] != row.values["deadline"]
    for person_id in first_group:
        assert renewed[person_id].own_deadline_at == before[person_id].own_deadline_at
    assert world.last_deadline(number) == max(
        row.own_deadline_at for row in renewed.values() if row.own_deadline_at
    )

    for _ in range(8):
        world.send()
        world.sweep(timedelta(minutes=31))
    told = Notice.objects.filter(state="sent", kind="notice")
    assert sorted(told.values_list("person_id", flat=True)) == sorted(renewed)
    answered = ledger.first_message_ids(number)  # what later mails answer is in their mailboxes
    assert answered == dict(told.values_list("person_id", "message_id"))


def test_after_a_short_pause_everything_stays_as_it_was_written(after: After) -> None:
    world, number = after(World.sending_to_forty)
    world.press(number, StopKind.PAUSE)
    world.now += timedelta(hours=1)
    world.resume(number)

    assert not Notice.objects.filter(order_number=number, step=1).exists()
    assert not Notice.objects.filter(order_number=number, state="skipped").exists()


@pytest.mark.parametrize("kept_by", ["a_relay_that_is_away", "a_relay_that_puts_off"])
def test_what_a_relay_kept_for_days_names_a_later_deadline_when_it_leaves(
    world: World, kept_by: str
) -> None:
    world.staff(12)
    number = world.sending()
    if kept_by == "a_relay_that_puts_off":
        world.send(2, kind=ReplyKind.DEFERRED)
    late = set(
        Notice.objects.filter(order_number=number, state="pending").values_list(
            "person_id", flat=True
        )
    )
    for _ in range(24):
        world.sweep(timedelta(hours=6))
    left_at = world.now
    for _ in range(3):
        world.send()
        world.sweep(timedelta(minutes=33))

    told = Notice.objects.filter(order_number=number, kind="notice", state="sent")
    assert late <= set(told.values_list("person_id", flat=True))
    people = {row.person_id: row for row in Affected.objects.filter(order_id=number)}
    for row in told.filter(person_id__in=late):
        deadline = people[row.person_id].own_deadline_at
        assert deadline is not None
        assert deadline - left_at >= PROMISED - timedelta(hours=1)
        assert row.values["deadline"] == moments.moment(
            deadline, world.zone_of(row.person_id), row.language
        )


def test_what_waits_an_hour_for_its_turn_is_left_as_it_is(world: World) -> None:
    world.staff(12)
    number = world.sending()
    before = set(Notice.objects.filter(order_number=number).values_list("pk", flat=True))

    world.sweep(timedelta(minutes=50))

    assert set(Notice.objects.filter(order_number=number).values_list("pk", flat=True)) == before


def test_a_further_notice_that_is_written_anew_leaves_the_deadline_of_the_first_as_it_was(
    world: World,
) -> None:
    """A door that shut by the first stays told of: no correction says that none ever did."""
    number = world.told_six()
    one = Affected.objects.filter(order_id=number, reason="device").order_by("person_id")[0]
    first = one.own_deadline_at
    [phone] = ToldDevice.objects.filter(order_id=number, person_id=one.person_id)
    world.now = world.last_deadline(number) + DAY
    world.sweep()
    assert first is not None
    world.import_run()
    tablet = world.device(world.uid_of(one.person_id), "present", name="Tablet")
    world.sweep()
    assert Notice.objects.get(person_id=one.person_id, kind="notice", step=1).state == "pending"

    world.press(number, StopKind.PAUSE)
    world.now += 2 * DAY
    world.resume(number)

    one.refresh_from_db()
    phone.refresh_from_db()
    late = ToldDevice.objects.get(order_id=number, device_id=tablet.pk)
    assert (one.own_deadline_at, phone.own_deadline_at) == (first, first)
    assert late.step == 2
    assert late.own_deadline_at - world.now >= PROMISED
    assert world.last_deadline(number) == late.own_deadline_at
    world.press(number, StopKind.TAKE_BACK)
    [correction] = Notice.objects.filter(kind="correction", person_id=one.person_id)
    say = word_store.sentences(correction.language)
    assert say["mail.open_again"] in correction.values["mail"]
    assert say["mail.never_closed"] not in correction.values["mail"]
