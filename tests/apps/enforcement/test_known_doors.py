"""Doors know every device that is there, before any order, and such an entry closes nothing."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from countermand.devices import links
from countermand.devices.models import Device, DeviceAlias, ImportRun
from countermand.domain.device_key import normal_device, normal_login
from countermand.domain.door_record import KNOWN_DEVICE
from countermand.enforcement import known_doors, queries
from countermand.enforcement.actions import compile_entries, set_attested
from countermand.enforcement.known_doors import KnownDoors, Published
from countermand.enforcement.models import DevicePassword, DoorEntry
from countermand.people.models import Person
from tests.gate_world import ORDER, door, make_folder, now, publisher

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


def person(address: str = "asha@amber.example") -> Person:
    return Person.objects.create(uid=address, name="Asha", address=address)


def device(owner: Person | None, *names: str, kind: str = "eas_device_id") -> Device:
    made = Device.objects.create(
        source="csv",
        source_device_id=f"d{Device.objects.count()}",
        platform="ios",
        person_id=owner.pk if owner else None,
    )
    for name in names:
        DeviceAlias.objects.create(device=made, kind=kind, value=name)
    return made


def password(owner: Person, made: Device | None, name: str) -> DevicePassword:
    return DevicePassword.objects.create(
        person_id=owner.pk,
        login=owner.address,
        device_id=made.pk if made else None,
        device_name=name,
        tag="t",
        hash="h",
        shard=0,
        issued_at=NOW,
        issued_by=1,
    )


def known() -> set[tuple[str, str]]:
    rows = DoorEntry.objects.filter(order_number="", deleted=False)
    return set(rows.values_list("login", "device_key"))


def test_every_name_of_every_device_that_is_there_is_known_and_no_other() -> None:
    asha = person()
    phone = device(asha, "SEC17CD1A3E9E3F2")
    device(asha, "serial-1", kind="serial")
    device(None, "NOBODYS")
    gone = device(asha, "GONE")
    Device.objects.filter(pk=gone.pk).update(gone_at=NOW)
    DeviceAlias.objects.create(
        device=phone, kind="eas_device_id", value="CONFIRMED", confirmed_by_id=asha.pk
    )
    password(asha, phone, "phone-7f3a")
    password(asha, None, "of-no-device")
    revoked = password(asha, phone, "revoked")
    DevicePassword.objects.filter(pk=revoked.pk).update(revoked_at=NOW)

    assert known_doors.publish() == Published(written=2, removed=0)

    assert known() == {
        ("asha@amber.example", "sec17cd1a3e9e3f2"),
        ("asha@amber.example", "phone-7f3a"),
    }
    for row in DoorEntry.objects.all():
        assert queries.facts_of(row) == KNOWN_DEVICE
        assert len(bytes.fromhex(row.checksum)) == 16


@pytest.mark.parametrize(
    "value",
    [
        "SEC17CD1A3E9E3F2",
        "5345433137434431413345394533463",
        "534543313743443141334539",
        " a b ",
        "ÉÈ",
    ],
)
@pytest.mark.parametrize(
    "address", ["asha@amber.example", "äsha@straße.example", "x'%s@amber.example"]
)
def test_names_are_folded_as_doors_fold_them(value: str, address: str) -> None:
    device(person(address), value)

    known_doors.publish()

    assert known() == {(normal_login(address), normal_device(value))}


def test_only_differences_are_written_and_each_under_a_version() -> None:
    asha = person()
    phone = device(asha, "PHONE1")
    device(asha, "PHONE2")

    assert known_doors.publish() == Published(written=2, removed=0)
    assert known_doors.publish() == Published(written=0, removed=0)
    assert queries.feed_version() == 1

    Device.objects.filter(pk=phone.pk).update(gone_at=NOW)
    assert known_doors.publish() == Published(written=0, removed=1)
    assert known() == {("asha@amber.example", "phone2")}
    Device.objects.filter(pk=phone.pk).update(gone_at=None)
    assert known_doors.publish() == Published(written=1, removed=0)
    assert queries.feed_version() == 3


def test_whatever_stands_in_such_an_entry_is_put_right() -> None:
    asha = person()
    device(asha, "PHONE1")
    known_doors.publish()
    DoorEntry.objects.update(presence="present", may_close=True, noticed_at=NOW)

    known_doors.publish()

    assert queries.facts_of(DoorEntry.objects.get()) == KNOWN_DEVICE


def test_two_devices_with_one_name_are_one_known_door() -> None:
    asha = person()
    device(asha, "PHONE1")
    device(asha, "phone1")

    assert known_doors.publish() == Published(written=1, removed=0)


def test_entries_of_orders_and_answers_leave_it_alone_and_it_leaves_them(tmp_path: Path) -> None:
    asha = person()
    phone = device(asha, "PHONE1")
    known_doors.publish()
    seal = publisher(make_folder(tmp_path))
    facts = door("phone1", login=asha.address, device_id=phone.pk)
    compile_entries(ORDER, [facts], publisher=seal, now=now())

    assert set_attested(phone.pk, at=now(), publisher=seal) == 1
    assert known_doors.publish() == Published(written=0, removed=0)

    assert [row.entry.order_number for row in queries.entries_of_device(phone.pk)] == [ORDER]
    assert queries.facts_of(DoorEntry.objects.get(order_number="")) == KNOWN_DEVICE


def test_while_nothing_changed_only_the_stamp_is_looked_at() -> None:
    asha = person()
    phone = device(asha, "PHONE1")
    at = iter(range(0, 10_000, 100))
    followed = KnownDoors(steady_s=lambda: next(at))
    assert followed.follow() == Published(written=1, removed=0)
    for _ in range(30):  # its share of all time is bounded
        assert followed.follow() is None

    with CaptureQueriesContext(
        connection,
    ) as asked:
        assert followed.follow() is None
    assert all(each["sql"].startswith("SELECT") for each in asked.captured_queries)
    assert len(asked) <= 6

    password(asha, phone, "phone-7f3a")
    assert followed.follow() == Published(written=1, removed=0)


def test_an_import_a_password_and_a_custodian_change_the_stamp() -> None:
    asha = person()
    phone = device(asha, "PHONE1")
    stamps = [known_doors.stamp()]
    ImportRun.objects.create(source="csv", as_of=NOW, started_at=NOW, state="loaded")
    stamps.append(known_doors.stamp())
    password(asha, phone, "phone-7f3a")
    stamps.append(known_doors.stamp())
    links.set_custodian(phone.pk, asha.pk, actor_id=None, now=NOW)
    stamps.append(known_doors.stamp())

    assert len(set(stamps)) == 4


def test_it_does_not_begin_again_before_its_share_of_time_is_over() -> None:
    asha = person()
    at = iter([0.0, 10.0, 150.0, 201.0, 202.0])
    followed = KnownDoors(steady_s=lambda: next(at))
    device(asha, "PHONE1")
    assert followed.follow() == Published(written=1, removed=0)
    person("ravi@amber.example")
    device(asha, "PHONE2")

    assert followed.follow() is None
    assert followed.follow() == Published(written=1, removed=0)


def test_a_device_is_known_by_every_login_of_its_person_and_as_long_as_it_is_theirs() -> None:
    asha = person()
    device(asha, "PHONE1")
    Person.objects.filter(pk=asha.pk).update(logins=["averma", r"corp\averma", "shared"])
    ben = person("ben@amber.example")
    Person.objects.filter(pk=ben.pk).update(logins=["shared"])

    assert known_doors.publish() == Published(written=3, removed=0)
    assert known() == {
        (login, "phone1") for login in ("asha@amber.example", "averma", r"corp\averma")
    }

    before = known_doors.stamp()
    Person.objects.filter(pk=ben.pk).update(logins=["averma"])
    assert known_doors.stamp() != before
    assert known_doors.publish() == Published(written=1, removed=1)
    assert known() == {
        (login, "phone1") for login in ("asha@amber.example", "shared", r"corp\averma")
    }

    Person.objects.filter(pk=asha.pk).update(left_on=NOW.date(), logins=[])
    assert known_doors.publish() == Published(written=0, removed=3)
