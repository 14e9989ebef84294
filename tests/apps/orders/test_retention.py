"""Mails are forgotten when their time is over, and not a day before."""

from datetime import timedelta
from typing import Any

import pytest

from countermand import environment
from countermand.audit.models import Entry
from countermand.devices.models import Attestation, Device, DeviceAlias, Observation
from countermand.domain.delivery import StopKind
from countermand.domain.presence import Answer
from countermand.domain.retention import BEGINS_AFTER, Kind, Retention
from countermand.notices import hearing
from countermand.notices.models import LostLines, Notice, PermitBatch
from countermand.orders import retention
from countermand.orders.models import Order
from countermand.people.models import Person
from tests.order_world import MINUTE, World

KEPT = 90


def keep(**chosen: Any) -> Retention:
    settings = {"keep_mails_days": KEPT, "keep_answers_days": KEPT, "keep_findings_days": KEPT}
    told = {
        f"COUNTERMAND_{name.upper()}": str(value) for name, value in (settings | chosen).items()
    }
    return environment.load(told).retention


def corrected(world: World) -> str:
    world.staff(6)
    number = world.sent_to_first_group()
    world.press(number, StopKind.TAKE_BACK)
    world.send()
    world.sweep(MINUTE)
    assert world.order(number).phase == "corrected"
    return number


def test_mails_are_forgotten_after_their_time_and_what_names_nobody_stays(world: World) -> None:
    number = corrected(world)
    mails = Notice.objects.count()
    batches = PermitBatch.objects.count()
    end = world.now + BEGINS_AFTER + timedelta(days=KEPT)

    assert retention.forget_mails(keep(), now=end - timedelta(days=1)) == 0
    assert retention.forget_mails(keep(), now=end) == mails
    assert retention.forget_mails(keep(), now=end) == 0

    assert Notice.objects.count() == 0
    assert PermitBatch.objects.count() == batches > 0
    entry = Entry.objects.get(event="mails.forgotten")
    assert entry.order_number == number
    assert entry.facts["mails"] == mails


def test_mails_of_an_order_that_goes_on_are_never_forgotten(world: World) -> None:
    world.staff(6)
    world.sent_to_first_group()

    assert retention.forget_mails(keep(), now=world.now + timedelta(days=4000)) == 0
    assert Notice.objects.count() > 0


@pytest.mark.parametrize("days", ["29", "1826", "soon"])
def test_nobody_keeps_mails_for_a_day_or_for_ever(days: str) -> None:
    with pytest.raises(environment.SettingNotUnderstood):
        environment.load({"COUNTERMAND_KEEP_MAILS_DAYS": days})


def test_a_country_draws_its_own_bounds_and_both_periods_are_kept_to(world: World) -> None:
    number = corrected(world)
    in_germany = Notice.objects.filter(order_number=number).order_by("pk").values("person_id")[:1]
    Person.objects.filter(pk__in=in_germany).update(country="DE")
    theirs = Notice.objects.filter(person_id__in=in_germany).count()
    mails = Notice.objects.count()
    short = keep(keep_in_countries='{"DE": {"mails": [30, 40]}}')
    end = world.now + BEGINS_AFTER

    assert retention.forget_mails(short, now=end + timedelta(days=39)) == 0
    assert retention.forget_mails(short, now=end + timedelta(days=40)) == theirs > 0
    assert retention.forget_mails(short, now=end + timedelta(days=KEPT)) == mails - theirs > 0

    facts = [entry.facts for entry in Entry.objects.filter(event="mails.forgotten").order_by("pk")]
    assert [(each["countries"], each["kept_days"]) for each in facts] == [(["DE"], 40), ([], KEPT)]


def test_whose_a_device_was_is_forgotten_once_it_is_gone_for_long(world: World) -> None:
    world.staff(3)
    gone, seen, here = Device.objects.order_by("pk")[:3]
    for device in (gone, seen):
        Device.objects.filter(pk=device.pk).update(gone_at=world.now, name="Asha's phone")
    Device.objects.filter(pk=gone.pk).update(custodian_id=gone.person_id)
    DeviceAlias.objects.create(device=gone, kind="serial", value="F2LX")
    Observation.objects.filter(device=gone).delete()
    end = world.now + BEGINS_AFTER + timedelta(days=KEPT)

    assert retention.forget_gone_devices(keep(), now=end - MINUTE) == 0
    assert retention.forget_gone_devices(keep(), now=end) == 1
    assert retention.forget_gone_devices(keep(), now=end) == 0

    gone.refresh_from_db()
    assert (gone.person_id, gone.name, gone.aliases.count()) == (None, "", 0)
    assert gone.custodian_id  # a person named them, and no source would do so again
    left = Device.objects.filter(pk__in=[seen.pk, here.pk], person_id__isnull=False)
    assert left.count() == 2  # of one a finding is still kept, the other is here
    assert Entry.objects.get(event="devices.forgotten").facts["rows"] == 1


def test_a_floor_of_a_country_keeps_longer_than_was_chosen() -> None:
    floor = keep(keep_in_countries='{"IN": {"answers": [400, 500]}}')

    assert [(p.countries, p.days) for p in floor.periods(Kind.ANSWERS)] == [
        ((), KEPT),
        (("IN",), 400),
    ]


@pytest.mark.parametrize(
    "told",
    [
        '{"DE": {"mails": [40, 30]}}',
        '{"DE": {"mails": [1, 30]}}',
        '{"DE": {"mails": [30, 9000]}}',
        '{"DE": {"mails": 30}}',
        '{"DE": {"cookies": [30, 40]}}',
        '{"Germany": {"mails": [30, 40]}}',
        "[]",
        "soon",
    ],
)
def test_bounds_that_contradict_those_of_the_house_are_refused(told: str) -> None:
    with pytest.raises(environment.SettingNotUnderstood):
        environment.load({"COUNTERMAND_KEEP_IN_COUNTRIES": told})


def answered(world: World) -> str:
    """An order that was corrected, with a finding and an answer about its app."""
    number = corrected(world)
    device = Device.objects.filter(observations__isnull=False).order_by("pk")[0]
    assert device.person_id is not None
    Attestation.objects.create(
        device=device,
        person_id=device.person_id,
        app_id="tiktok",
        answer=Answer.REMOVED.value,
        said_at=world.now,
    )
    return number


def kept() -> tuple[int, int]:
    return Observation.objects.count(), Attestation.objects.count()


def test_what_was_seen_and_said_of_an_app_is_forgotten_when_no_order_needs_it(
    world: World,
) -> None:
    answered(world)
    findings, answers = kept()
    assert (findings > 0, answers) == (True, 1)
    later = world.now + BEGINS_AFTER + timedelta(days=60)
    chosen = keep(keep_findings_days=60, keep_answers_days=70)

    assert retention.forget_findings(chosen, now=later - timedelta(days=1)) == 0
    assert retention.forget_findings(chosen, now=later) == findings
    assert kept() == (0, 1)
    assert retention.forget_findings(chosen, now=later + timedelta(days=10)) == 1

    events = Entry.objects.filter(event__endswith=".forgotten").order_by("pk")
    assert [entry.event for entry in events] == ["findings.forgotten", "answers.forgotten"]
    assert all(entry.facts["app"] == "tiktok" for entry in events)
    assert not any("person" in str(entry.facts) for entry in events)


def test_while_one_order_about_an_app_goes_on_nothing_about_it_is_forgotten(world: World) -> None:
    number = answered(world)
    Order.objects.filter(number=number).update(phase="enforcing", ended_at=None, corrected_at=None)
    before = kept()

    assert retention.forget_findings(keep(), now=world.now + timedelta(days=4_000)) == 0
    assert kept() == before


def test_the_hourly_look_looks_once_an_hour(world: World) -> None:
    corrected(world)
    end = world.now + BEGINS_AFTER + timedelta(days=KEPT)
    look = retention.hourly(keep())

    assert look(end - timedelta(minutes=30)) == 0
    assert look(end + timedelta(minutes=20)) == 0
    assert look(end + timedelta(minutes=31)) > 0


def test_lost_lines_of_the_relays_log_are_forgotten_with_the_last_mail_they_concern(
    world: World,
) -> None:
    hearing.note_missed(world.now - timedelta(days=3), is_heard_elsewhere=False)
    corrected(world)
    hearing.note_missed(world.now, is_heard_elsewhere=False)
    end = world.now + BEGINS_AFTER + timedelta(days=KEPT)
    look = retention.hourly(keep())

    look(end - timedelta(days=1))
    assert LostLines.objects.get().accepted_until == world.now  # of the first no mail is kept

    look(end)
    assert not LostLines.objects.exists()


def test_a_mail_may_still_be_booked_as_accepted_before_lines_were_lost(world: World) -> None:
    hearing.note_missed(world.now, is_heard_elsewhere=False)

    assert hearing.forget_lost_lines(world.now + timedelta(hours=23)) == 0
    assert hearing.forget_lost_lines(world.now + timedelta(hours=25)) == 1
