"""What an order left of people goes with its mails, and never while something still needs it."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from countermand import environment
from countermand.audit.models import Entry
from countermand.domain import check_code
from countermand.domain.check_code import Verdict
from countermand.domain.delivery import StopKind
from countermand.domain.retention import BEGINS_AFTER, Retention
from countermand.enforcement import purging as doors
from countermand.enforcement.models import Override, SessionEnding
from countermand.notices.models import Notice
from countermand.orders import checking, retention
from countermand.orders.models import Order, StaffAnswer, ToldDevice, WithdrawnCopy
from countermand.people.models import Person
from tests.order_world import MINUTE, After, World

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "what-is-kept.md"
KEY = b"key"
KEPT = 90
DAY = timedelta(days=1)
LIFE = BEGINS_AFTER + KEPT * DAY


def keep(**chosen: Any) -> Retention:
    told = {"keep_mails_days": KEPT, **chosen}
    return environment.load(
        {f"COUNTERMAND_{name.upper()}": str(value) for name, value in told.items()}
    ).retention


@pytest.fixture
def told(after: After) -> tuple[World, str]:
    return after(World.told_six)


def report(world: World, number: str, *uids: str) -> None:
    for uid in uids:
        verdict = checking.report(number, f"{uid}@example.org", key=KEY, now=world.now)
        assert verdict is Verdict.REPORTED


def take_back(world: World, number: str) -> None:
    world.press(number, StopKind.TAKE_BACK)
    world.send()
    world.sweep(MINUTE)
    world.send()
    world.sweep(MINUTE)
    assert world.order(number).phase == "corrected"


def forgotten(event: str) -> list[tuple[Any, ...]]:
    entries = Entry.objects.filter(event=event).order_by("pk")
    names = ("rows", "kept_days", "countries")
    return [(each.order_number, *(each.facts.get(name) for name in names)) for each in entries]


def test_who_checked_or_reported_a_mail_is_kept_as_long_as_mails_and_then_forgotten(
    told: tuple[World, str],
) -> None:
    world, number = told
    report(world, number, "p5", "p6")
    take_back(world, number)

    retention.forget_rest(keep(), now=world.now + LIFE - DAY)
    assert StaffAnswer.objects.count() == 2
    retention.forget_rest(keep(), now=world.now + LIFE)

    assert not StaffAnswer.objects.exists()
    assert forgotten("checks.forgotten") == [(number, 2, KEPT, [])]


def test_while_an_order_goes_on_its_doubts_are_counted_however_old_they_are(
    told: tuple[World, str],
) -> None:
    world, number = told
    report(world, number, "p5", "p6")

    retention.forget_rest(keep(), now=world.now + 4000 * DAY)

    assert checking.doubts(number) == 2


def test_the_period_of_a_country_holds_for_who_checked_too(told: tuple[World, str]) -> None:
    world, number = told
    report(world, number, "p5", "p6")
    Person.objects.filter(uid="p5").update(country="DE")
    take_back(world, number)
    short = keep(keep_in_countries='{"DE": {"mails": [30, 40]}}')

    retention.forget_rest(short, now=world.now + BEGINS_AFTER + 40 * DAY)

    assert StaffAnswer.objects.get().person_id == world.people["p6"].pk
    assert forgotten("checks.forgotten") == [(number, 1, 40, ["DE"])]


@pytest.mark.parametrize("phase", ["withdrawn", "abandoned"])
def test_who_reported_a_mail_in_the_name_of_an_order_that_told_nobody_is_forgotten(
    told: tuple[World, str], phase: str
) -> None:
    world, number = told
    report(world, number, "p5")
    Order.objects.filter(number=number).update(phase=phase, ended_at=world.now)

    retention.forget_rest(keep(), now=world.now + LIFE - DAY)
    assert StaffAnswer.objects.exists()
    retention.forget_rest(keep(), now=world.now + LIFE)

    assert not StaffAnswer.objects.exists()


def test_wrong_codes_that_name_nobody_or_no_order_are_kept_for_the_limits_alone(
    told: tuple[World, str],
) -> None:
    world, number = told
    for order, who in ((number, "stranger"), (number, "p5"), ("not a number", "p6")):
        address = f"{who}@example.org"
        checking.check(order, address, "0000 0000", key=b"key", now=world.now)
    past = world.now + check_code.LIMITS_LOOK_BACK

    retention.forget_rest(keep(), now=past - MINUTE)
    assert StaffAnswer.objects.count() == 3
    retention.forget_rest(keep(), now=past)

    assert StaffAnswer.objects.get().person_id == world.people["p5"].pk
    assert forgotten("checks.forgotten") == [("", 2, None, None)]


def test_reports_that_name_nobody_or_no_order_stay_so_long_that_somebody_looks_at_them(
    told: tuple[World, str],
) -> None:
    world, number = told
    report(world, number, "stranger", "p5")
    report(world, "not a number", "p6")
    past = world.now + check_code.REPORTS_KEPT

    retention.forget_rest(keep(), now=past - MINUTE)
    assert StaffAnswer.objects.count() == 3
    retention.forget_rest(keep(), now=past)

    assert StaffAnswer.objects.get().person_id == world.people["p5"].pk


def test_a_try_of_today_slows_down_even_where_its_order_is_long_over(
    told: tuple[World, str],
) -> None:
    world, number = told
    take_back(world, number)
    world.now += LIFE + 400 * DAY
    wrong = ("00000000",) * check_code.WRONG_FOR_ONE_ADDRESS
    for code in wrong:
        checking.check(number, "p5@example.org", code, key=KEY, now=world.now)

    retention.forget_rest(keep(), now=world.now + MINUTE)

    again = checking.check(number, "p5@example.org", wrong[0], key=KEY, now=world.now + MINUTE)
    assert again.verdict is Verdict.TOO_OFTEN


def test_the_devices_that_notices_named_are_forgotten_with_the_mails(
    told: tuple[World, str],
) -> None:
    world, number = told
    devices = ToldDevice.objects.filter(order_id=number).count()
    assert devices > 0
    take_back(world, number)

    retention.forget_rest(keep(), now=world.now + LIFE - DAY)
    assert ToldDevice.objects.count() == devices
    retention.forget_rest(keep(), now=world.now + LIFE)

    assert not ToldDevice.objects.exists()
    assert forgotten("told_devices.forgotten") == [(number, devices, KEPT, [])]


def copies_of(world: World, number: str) -> int:
    mails = Notice.objects.filter(order_number=number, kind="notice")
    WithdrawnCopy.objects.bulk_create(
        WithdrawnCopy(
            order_number=number,
            notice_id=mail.pk,
            person_id=mail.person_id,
            address=mail.address,
            message_id=mail.message_id,
            state="withdrawn",
            asked_at=world.now,
        )
        for mail in mails
    )
    return mails.count()


def test_what_became_of_a_copy_is_forgotten_after_its_mail_and_never_before(
    told: tuple[World, str],
) -> None:
    world, number = told
    take_back(world, number)
    copies = copies_of(world, number)
    kept = Notice.objects.filter(order_number=number, kind="notice").order_by("pk")[0]
    end = world.now + LIFE

    retention.forget_rest(keep(), now=end)
    assert WithdrawnCopy.objects.count() == copies
    Notice.objects.filter(order_number=number).exclude(pk=kept.pk).delete()
    retention.forget_rest(keep(), now=end)

    assert WithdrawnCopy.objects.get().notice_id == kept.pk
    assert forgotten("copies.forgotten") == [(number, copies - 1, None, None)]


def test_the_hourly_look_leaves_nothing_of_an_order_that_is_over_for_long(
    told: tuple[World, str],
) -> None:
    world, number = told
    report(world, number, "p5", "stranger")
    take_back(world, number)
    copies_of(world, number)
    look = retention.hourly(keep())

    look(world.now + LIFE)

    for model in (Notice, StaffAnswer, ToldDevice, WithdrawnCopy):
        assert not model.objects.exists()


def test_what_is_over_at_a_door_is_forgotten_after_thirty_days(told: tuple[World, str]) -> None:
    world, number = told
    past = world.now + doors.PAST_IS_KEPT
    ended = {
        "order_number": number,
        "login": "p5@example.org",
        "device_id": 1,
        "found_at": world.now,
        "look_at": world.now,
    }
    SessionEnding.objects.create(device_key="open", opened_at=world.now, **ended)
    SessionEnding.objects.create(device_key="shut", **ended)
    let = {"order_number": number, "device_id": 1, "by_person_id": 1, "made_at": world.now}
    Override.objects.create(reason="Over.", until=world.now, **let)
    Override.objects.create(reason="Holds.", until=past + MINUTE, **let)
    look = retention.hourly(keep())

    look(past - MINUTE)
    assert (SessionEnding.objects.count(), Override.objects.count()) == (2, 2)
    retention.hourly(keep())(past)

    assert SessionEnding.objects.get().device_key == "shut"
    assert Override.objects.get().reason == "Holds."
    assert Entry.objects.get(event="doors.forgotten").facts["rows"] == 2


@pytest.mark.django_db
def test_of_every_table_it_is_written_down_how_long_it_is_kept() -> None:
    page = PAGE.read_text(encoding="utf-8")
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]

    told = [name for row in rows for name in re.findall(r"`(\w+)`", row)]

    assert sorted(told) == sorted(connection.introspection.table_names())
