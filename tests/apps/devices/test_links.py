"""Mail programs and devices: who is listed and confirmed, and that such a link never closes."""

from datetime import UTC, datetime, timedelta

import pytest

from countermand.devices import links, sightings
from countermand.devices.links import SeenClient
from countermand.devices.models import Device, DeviceAlias, UnknownClient
from countermand.domain.inventory import AliasKind
from countermand.people.models import Person

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)


@pytest.fixture
def asha() -> Person:
    return Person.objects.create(uid="a", name="Asha", address="asha@example.org")


@pytest.fixture
def phone(asha: Person) -> Device:
    device = Device.objects.create(
        source="csv", source_device_id="d1", platform="ios", person_id=asha.pk
    )
    DeviceAlias.objects.create(device=device, kind="eas_device_id", value="KNOWN1")
    return device


def seen(value: str, at: datetime = NOW) -> SeenClient:
    return SeenClient("asha", AliasKind.EAS_DEVICE_ID, value, "Nine 4.9", at)


def test_a_client_that_nobody_knows_is_listed_once_with_its_last_time(phone: Device) -> None:
    later = NOW + timedelta(hours=1)

    assert links.note([seen("NEW1"), seen("known1"), seen("0000"), seen("NEW1", later)]) == 1

    listed = links.unknown()
    assert [(each.value, each.first_seen_at, each.last_seen_at) for each in listed] == [
        ("NEW1", NOW, later)
    ]


def test_a_confirmed_link_is_a_name_of_the_device_and_of_no_door(
    phone: Device, asha: Person
) -> None:
    links.note([seen("NEW1")])
    number = links.unknown()[0].number

    links.confirm(number, device_id=phone.pk, actor_id=asha.pk, now=NOW)

    assert links.unknown() == ()
    named = {(each.value, each.confidence) for each in links.links_of(phone.pk)}
    assert named == {("KNOWN1", "source"), ("NEW1", "confirmed")}
    device = sightings.one(phone.pk, ())
    assert device is not None
    assert device.doors == ("KNOWN1",)


def test_only_what_is_there_can_be_confirmed(phone: Device, asha: Person) -> None:
    with pytest.raises(links.ClientNotKnown):
        links.confirm(99, device_id=phone.pk, actor_id=asha.pk, now=NOW)


def test_a_shared_device_is_its_custodians(phone: Device) -> None:
    keeper = Person.objects.create(uid="k", name="Ravi", address="ravi@example.org")

    links.set_custodian(phone.pk, keeper.pk, actor_id=None, now=NOW)

    phone.refresh_from_db()
    assert phone.person_id == keeper.pk


def test_what_no_door_saw_for_long_is_forgotten_and_the_newest_are_kept(
    phone: Device, asha: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    links.note([seen("OLD1"), seen("OLD2")])
    confirmed = next(each.number for each in links.unknown() if each.value == "OLD2")
    links.confirm(confirmed, device_id=phone.pk, actor_id=asha.pk, now=NOW)
    later = NOW + links.KEPT
    links.note([seen("NEW1", later), seen("NEW2", later), seen("NEW3", later)])

    assert links.forget(now=later) == 0
    assert links.forget(now=later + timedelta(seconds=1)) == 1
    monkeypatch.setattr(links, "MOST_KEPT", 2)
    assert links.forget(now=later) == 1

    assert [each.value for each in links.unknown()] == ["NEW2", "NEW3"]
    assert UnknownClient.objects.filter(value="OLD2").exists()


def test_what_a_source_has_named_meanwhile_is_listed_no_more(phone: Device) -> None:
    links.note([seen("applnew1")])
    DeviceAlias.objects.create(device=phone, kind="eas_device_id", value="ApplNEW1")

    assert links.unknown() == ()
