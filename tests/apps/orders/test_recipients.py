"""A notice that waits for its wave goes to whoever it is for, at their address, or to nobody."""

from __future__ import annotations

import pytest

from countermand.audit import queries as log
from countermand.devices.models import Device
from countermand.domain.delivery import StopKind
from countermand.notices.models import Notice
from countermand.orders.doors import closed_devices
from countermand.orders.models import Affected, ToldDevice
from countermand.orders.rule_log import RuleBook
from countermand.people.models import Person
from tests.apps.orders.test_doors_and_followups import enforcing_six
from tests.order_world import DAY, HOUR, MINUTE, After, World

pytestmark = pytest.mark.timeout(240)


def last_to_be_told(world: World, number: str) -> Person:
    """Somebody of the last wave, who uses a device."""
    row = Affected.objects.filter(order_id=number, reason="device").order_by("-wave", "person_id")[
        0
    ]
    assert Notice.objects.get(person_id=row.person_id).state == "pending"
    return Person.objects.get(pk=row.person_id)


def leaves(world: World, person: Person) -> None:
    person.left_on = world.now.date()
    person.save()


def tell_the_rest(world: World) -> list[str]:
    told: list[str] = []
    for _ in range(8):
        told += world.send()
        world.sweep(31 * MINUTE)
    return told


def applies_to(world: World, person: Person) -> list[str]:
    ref = log.person_refs([person.pk])[person.pk]
    rules = RuleBook.from_log().rules(person.pk, ref, app="tiktok", at=world.now)
    return [each.number for each in rules]


def test_whoever_left_before_their_wave_gets_nothing(after: After) -> None:
    world, number = after(World.sending_to_thirty)
    gone = last_to_be_told(world, number)
    leaves(world, gone)
    world.sweep(MINUTE)

    told = tell_the_rest(world)

    assert gone.address not in told
    assert Notice.objects.get(person_id=gone.pk).state == "skipped"
    assert applies_to(world, gone) == []
    assert world.order(number).phase == "notified"


def test_whoever_left_during_a_pause_gets_nothing_however_quick_a_sender_is(after: After) -> None:
    world, number = after(World.sending_to_thirty)
    gone = last_to_be_told(world, number)
    world.press(number, StopKind.PAUSE)
    leaves(world, gone)

    world.resume(number)
    world.now += 3 * HOUR

    assert gone.address not in world.send()


def test_a_new_address_gets_the_notice_and_whoever_has_the_old_one_does_not(after: After) -> None:
    world, number = after(World.sending_to_thirty)
    moved = last_to_be_told(world, number)
    old, moved.address = moved.address, "asha.rao@example.org"
    moved.save()
    successor = world.person("successor", groups=["elsewhere"], address=old)
    world.sweep(MINUTE)

    told = tell_the_rest(world)

    assert old not in told
    assert told.count(moved.address) == 1
    [device] = ToldDevice.objects.filter(order_id=number, person_id=moved.pk)
    sent = Notice.objects.get(person_id=moved.pk, state="sent")
    assert (sent.address, sent.step, device.step) == (moved.address, 1, 1)
    assert not Notice.objects.filter(person_id=successor.pk).exists()


@pytest.mark.parametrize("left", ["before_the_waves", "before_their_own"])
def test_whoever_comes_back_is_told_once_with_a_deadline_of_their_own(
    world: World, left: str
) -> None:
    world.staff(30)
    number = world.sent_to_first_group()
    first = set(Notice.objects.values_list("person_id", flat=True))
    back = Person.objects.filter(uid__startswith="p").exclude(pk__in=first).order_by("-pk")[0]
    if left == "before_the_waves":
        leaves(world, back)
    world.sweep(31 * MINUTE)
    if left == "before_their_own":
        leaves(world, back)
    world.sweep(MINUTE)
    told = tell_the_rest(world)
    assert back.address not in told

    back.left_on = None
    back.save()
    world.now += 2 * DAY
    world.sweep()
    told = tell_the_rest(world)

    assert told.count(back.address) == 1
    row = Affected.objects.get(order_id=number, person_id=back.pk)
    assert row.joined_at is not None
    assert row.own_deadline_at is not None
    assert row.own_deadline_at >= row.joined_at + 3 * DAY
    [device] = ToldDevice.objects.filter(order_id=number, person_id=back.pk)
    assert device.own_deadline_at == row.own_deadline_at
    assert applies_to(world, back) == [number]


def hand_on(world: World, device: Device, to: Person) -> None:
    Device.objects.filter(pk=device.pk).update(person_id=to.pk)
    world.import_run()
    world.observe(device, "present")


def test_a_phone_that_was_handed_on_is_the_new_holders_with_a_deadline_of_their_own(
    after: After,
) -> None:
    """They are told that mail pauses on it, so they are reminded, and it does."""
    world, number = after(World.told_thirty)
    told = ToldDevice.objects.filter(order_id=number).order_by("-pk")[0]
    world.now = world.last_deadline(number) - DAY
    newcomer = world.person("newcomer")
    hand_on(world, Device.objects.get(pk=told.device_id), newcomer)
    world.sweep()

    assert newcomer.address in world.send()
    told.refresh_from_db()
    row = Affected.objects.get(order_id=number, person_id=newcomer.pk)
    assert (told.person_id, told.step) == (newcomer.pk, 0)
    assert told.own_deadline_at == row.own_deadline_at
    assert told.own_deadline_at >= world.now + 3 * DAY


def test_no_door_shuts_of_a_phone_of_which_its_new_holder_was_told_nothing(after: After) -> None:
    """Proof that they were told of their own phone is none of this one."""
    world, number = after(enforcing_six)
    phone, *_, other = world.devices()
    holder = Person.objects.get(pk=other.person_id or 0)
    hand_on(world, phone, holder)
    world.sweep(MINUTE)

    assert closed_devices(number, now=world.now) >= {other.pk}
    assert phone.pk not in closed_devices(number, now=world.now)
    assert holder.address in world.send()
    told = ToldDevice.objects.get(order_id=number, device_id=phone.pk)
    assert (told.person_id, told.step) == (holder.pk, 1)
    assert told.own_deadline_at >= world.now + 3 * DAY - HOUR


def test_a_reminder_that_waits_goes_to_nobody_who_has_left(world: World) -> None:
    number = world.told_six()
    world.now = world.last_deadline(number) - DAY
    world.sweep()
    [one, *_] = Notice.objects.filter(kind="reminder", state="pending").order_by("pk")
    Notice.objects.filter(pk=one.pk).update(due_at=world.now + HOUR)
    leaves(world, Person.objects.get(pk=one.person_id))
    world.sweep(MINUTE)
    world.now += 2 * HOUR

    assert one.address not in world.send()
