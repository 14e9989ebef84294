"""What each source said stands beside what the others said, and they can be told to look anew."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from countermand.audit.models import Entry
from countermand.devices import evidence, hints, sources
from countermand.devices.models import Device, DeviceAlias, Hint, ImportRun, Observation
from countermand.domain.presence import Presence

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)
DAY = timedelta(days=1)


def known(source: str, serial: str, presence: str, **more: Any) -> Device:
    device = Device.objects.create(
        source=source, source_device_id=f"{source}-1", platform="ios", person_id=7
    )
    DeviceAlias.objects.create(device=device, kind="serial", value=serial, first_seen_at=NOW)
    run = ImportRun.objects.create(source=source, as_of=NOW, started_at=NOW, state="loaded")
    told = {"coverage": "full", "may_close": True, "inventory_at": NOW, "collected_at": NOW} | more
    Observation.objects.create(device=device, app_id="tiktok", presence=presence, run=run, **told)
    return device


def test_sources_that_differ_are_shown_side_by_side_with_their_own_times() -> None:
    known("jamf", "F2LX", "absent")
    known("intune", "f2lx", "present", inventory_at=None, may_close=False)
    known("fleet", "OTHER", "present")

    found = evidence.of_device("F2LX")

    assert [(row.source, row.can_look) for row in found] == [("intune", False), ("jamf", True)]
    told = {row.source: row.findings[0] for row in found}
    assert told["jamf"].presence is Presence.ABSENT
    assert (told["jamf"].taken_at, told["jamf"].fresh_until) == (NOW, NOW + DAY)
    assert told["intune"].presence is Presence.PRESENT
    assert (told["intune"].taken_at, told["intune"].fresh_until) == (None, NOW + 8 * DAY)
    assert (told["jamf"].may_close, told["intune"].may_close) == (True, False)


def test_a_name_that_a_person_confirmed_is_told_from_what_a_source_says() -> None:
    device = known("jamf", "F2LX", "present")
    DeviceAlias.objects.create(device=device, kind="eas_device_id", value="E1", confirmed_by_id=7)

    links = evidence.of_device("e1")[0].links

    assert [(each.kind, each.value, each.confidence) for each in links] == [
        ("eas_device_id", "E1", "confirmed"),
        ("serial", "F2LX", "source"),
    ]


def test_a_device_that_nobody_knows_has_no_evidence() -> None:
    known("jamf", "F2LX", "present")

    assert evidence.of_device("nobody") == ()
    assert evidence.of_device("") == ()


def test_a_look_is_asked_of_sources_that_can_look_at_one_device_and_is_in_the_log() -> None:
    devices = [known(name, "F2LX", "present") for name in ("jamf", "intune", "fleet")]
    for name in ("jamf", "intune"):  # Fleet's list came as a file: nobody can be asked
        sources.add(name, options={}, every=DAY, actor_id=None, now=NOW)
    ids = [each.pk for each in devices]

    for _ in range(2):
        assert hints.look_again(ids, actor_id=7, now=NOW) == ("jamf",)

    waiting = Hint.objects.values_list("source__name", "source_device_id")
    assert list(waiting) == [("jamf", "jamf-1")]
    entries = Entry.objects.filter(event="device.look_asked")
    assert {each.facts["source"] for each in entries} == {"jamf"}
