"""A reminder or a last notice that a relay kept past its time never leaves with the old one."""

from __future__ import annotations

from datetime import timedelta

import pytest

from countermand.domain.delivery import ReplyKind
from countermand.domain.verdict import LOCK_NOTICE_LEAD
from countermand.notices import moments
from countermand.notices.models import Notice
from countermand.orders.doors import closed_devices
from countermand.orders.models import ToldDevice
from tests.order_world import DAY, HOUR, MINUTE, After, World


def until_the_last_notice_waits(world: World) -> str:
    """Tell somebody, let the reminders leave, and stop before the last notice does."""
    world.person("asha", zone="Asia/Kolkata", language="hi")
    world.device("asha")
    number = world.notified()
    deadline = ToldDevice.objects.filter(order_id=number).earliest("own_deadline_at")
    at = deadline.own_deadline_at
    while world.now < at - 20 * HOUR:
        world.sweep(min(DAY / 4, at - 20 * HOUR - world.now))
        world.send()
    world.import_run()
    for device in world.devices():
        world.observe(device, "present")
    world.sweep(at - 44 * MINUTE - world.now)
    assert Notice.objects.filter(order_number=number, kind="lock", state="pending").exists()
    return number


@pytest.mark.parametrize("kept_by", ["a relay that is away", "a relay that puts off"])
@pytest.mark.parametrize("away", [timedelta(minutes=50), timedelta(hours=3)])
def test_a_last_notice_that_was_kept_names_the_time_at_which_the_door_closes(
    after: After, kept_by: str, away: timedelta
) -> None:
    world, number = after(until_the_last_notice_waits)
    [phone] = world.devices()
    back_at = world.now + away
    while world.now < back_at:
        if kept_by == "a relay that puts off":
            world.send(kind=ReplyKind.DEFERRED)
        world.sweep(min(10 * MINUTE, back_at - world.now))
        assert not closed_devices(number, now=world.now)

    sent: list[str] = []
    while not sent:
        world.sweep(5 * MINUTE)
        sent = world.send()

    word = Notice.objects.get(order_number=number, kind="lock", state="sent")
    told = ToldDevice.objects.get(order_id=number, device_id=phone.pk)
    assert word.accepted_at is not None
    assert told.own_deadline_at >= word.accepted_at + LOCK_NOTICE_LEAD
    assert word.values["deadline"] == moments.moment(
        told.own_deadline_at, world.zone_of(word.person_id), word.language
    )
    written = Notice.objects.filter(order_number=number, kind="lock")
    assert set(written.values_list("state", flat=True)) == {"sent", "skipped"}
    assert written.count() <= 7  # twice as far ahead each time
    world.now = told.own_deadline_at - 2 * MINUTE
    world.import_run()
    world.observe(phone, "present")  # seen again meanwhile: evidence must be fresh
    world.sweep(MINUTE)
    assert not closed_devices(number, now=world.now)
    world.sweep(MINUTE)
    assert closed_devices(number, now=world.now) == {phone.pk}
    world.sweep(3 * HOUR)
    assert world.send() == []  # the last word is said once


def test_a_last_notice_that_leaves_in_time_stays_as_it_was_written(after: After) -> None:
    world, number = after(until_the_last_notice_waits)
    before = set(Notice.objects.filter(order_number=number).values_list("pk", flat=True))

    for _ in range(5):
        world.sweep(MINUTE)

    assert set(Notice.objects.filter(order_number=number).values_list("pk", flat=True)) == before


def test_whoever_removed_the_app_meanwhile_gets_no_last_notice_anew(after: After) -> None:
    world, number = after(until_the_last_notice_waits)
    world.import_run()
    world.observe(world.devices()[0], "absent")

    for _ in range(12):
        world.sweep(10 * MINUTE)

    assert "lock" not in set(
        Notice.objects.filter(order_number=number, state="pending").values_list("kind", flat=True)
    )


def test_a_reminder_that_was_kept_stops_at_the_deadline(world: World) -> None:
    world.staff(3)
    number = world.notified()
    last = world.last_deadline(number)
    while world.now < last - 20 * HOUR:
        world.sweep(min(DAY / 4, last - 20 * HOUR - world.now))
    reminders = Notice.objects.filter(order_number=number, kind="reminder")
    assert reminders.filter(state="pending").exists()

    world.sweep(last + MINUTE - world.now)

    assert set(reminders.values_list("state", flat=True)) == {"skipped"}
    world.send()
    assert not reminders.filter(state="sent").exists()
