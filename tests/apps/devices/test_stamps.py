"""Whoever follows what was learned looks at a few numbers, and misses nothing by it."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from countermand.devices import given_answers, links, sightings
from countermand.devices.models import Attestation, Device, ImportRun
from countermand.domain.presence import Answer
from countermand.people import queries as people
from countermand.people.models import Person

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)


def person(name: str = "asha") -> Person:
    return Person.objects.create(uid=name, name=name, address=f"{name}@example.org")


def phone(owner: Person) -> Device:
    return Device.objects.create(
        person_id=owner.pk, source="csv", source_device_id=f"d-{owner.pk}", platform="ios"
    )


def run(source: str) -> ImportRun:
    return ImportRun.objects.create(source=source, as_of=NOW, started_at=NOW, state="loaded")


def said(owner: Person, device: Device) -> int:
    return given_answers.record(
        device_id=device.pk,
        person_id=owner.pk,
        app_id="tiktok",
        answer=Answer.REMOVED,
        actor_id=owner.pk,
        now=NOW,
    )


@pytest.mark.parametrize(
    "learn",
    [
        lambda owner, device: run("csv"),
        lambda owner, device: run("intune:main"),
        said,
        lambda owner, device: Attestation.objects.filter(device=device).delete(),
        lambda owner, device: links.set_custodian(device.pk, owner.pk, actor_id=None, now=NOW),
    ],
    ids=["a run", "a run of another source", "an answer", "an answer purged", "a custodian"],
)
def test_everything_that_is_learned_of_devices_changes_the_stamp(
    learn: Callable[[Person, Device], object],
) -> None:
    owner = person()
    device = phone(owner)
    run("csv")
    said(owner, device)
    before = sightings.stamp()

    learn(owner, device)

    assert sightings.stamp() != before


@pytest.mark.parametrize(
    "change",
    [
        lambda row: person("ben"),
        lambda row: Person.objects.filter(pk=row.pk).update(left_on=NOW.date()),
        lambda row: Person.objects.filter(pk=row.pk).update(groups=["all-staff"]),
        lambda row: Person.objects.filter(pk=row.pk).update(zone="Asia/Kolkata"),
        lambda row: Person.objects.filter(pk=row.pk).delete(),
    ],
    ids=["came", "left", "groups", "zone", "erased"],
)
def test_everything_that_changes_of_people_changes_the_stamp(
    change: Callable[[Person], object],
) -> None:
    row = person()
    before = people.stamp()

    change(row)

    assert people.stamp() != before


def test_looking_changes_no_stamp() -> None:
    said(owner := person(), phone(owner))

    assert sightings.stamp() == sightings.stamp()
    assert people.stamp() == people.stamp()
