"""A phone that nobody knows asks a real gate, and people see it in a list, until it is known."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection
from pytest_django import DjangoDbBlocker

from countermand.devices import links
from countermand.devices.models import Device, DeviceAlias, UnknownClient
from countermand.enforcement import known_doors, unknown_clients
from countermand.enforcement.models import DoorEntry, FeedHead
from countermand.people.models import Person
from tests.apps.gate.test_gate_process import database_url
from tests.gate_world import ASHA, TOKEN, RunningGate, make_folder, now, running_gate

KNOWN, STRANGE = "SEC17CD1A3E9E3F2", "APPLF17ZZ00AAAA"


@pytest.fixture(autouse=True)
def committed(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Really commit, and empty these few tables only."""
    with django_db_blocker.unblock():
        yield
        for each in (DoorEntry, FeedHead, UnknownClient, DeviceAlias, Device, Person):
            each.objects.all().delete()
        connection.close()


def seen_by(gate: RunningGate) -> set[tuple[str, str, str]]:
    _, said = gate.control("GET", "/unknown")
    return {(each["kind"], each["value"], each["login"]) for each in said["clients"]}


def feed(gate: RunningGate) -> int:
    address = f"http://127.0.0.1:{gate.control_port}"
    return links.note(unknown_clients.ask([address], token=TOKEN, now=now()))


def test_an_unknown_phone_is_listed_and_a_known_one_is_counted_as_known(tmp_path: Path) -> None:
    asha = Person.objects.create(uid="a", name="Asha", address=ASHA)
    phone = Device.objects.create(
        source="csv", source_device_id="d1", platform="ios", person_id=asha.pk
    )
    DeviceAlias.objects.create(device=phone, kind="eas_device_id", value=KNOWN)
    known_doors.publish()
    folder = make_folder(tmp_path / "data")
    with running_gate(folder, database_url=database_url(), workers=2) as gate:
        gate.until("read", lambda: gate.control("GET", "/ready")[1]["entries"] == 1)
        for _ in range(8):  # of both processes
            assert gate.active_sync(KNOWN) == 204
            assert gate.active_sync(STRANGE) == 204
            assert not gate.is_paused("phone-7f3a")
        seen = {
            ("eas_device_id", STRANGE.lower(), ASHA),
            ("device_password", "phone-7f3a", ASHA),
        }
        gate.until("both are told", lambda: seen_by(gate) == seen)
        gate.until(
            "all are counted",
            lambda: gate.control("GET", "/doors")[1]["counts"]["activesync_known"] == 8,
        )
        assert gate.control("GET", "/doors")[1]["counts"]["activesync_unknown"] == 8

        assert feed(gate) == 2
        assert feed(gate) == 0
        assert {(row.kind, row.value, row.login) for row in links.unknown()} == seen

        DeviceAlias.objects.create(device=phone, kind="eas_device_id", value=STRANGE)
        known_doors.publish()
        gate.until("known", lambda: len(seen_by(gate)) == 1)
        assert [row.value for row in links.unknown()] == ["phone-7f3a"]

        status, _ = gate.ask("GET", "/unknown", control=True, Authorization="Bearer wrong")
        assert status == 403
    log = gate.log.read_text()
    assert ASHA not in log
    assert STRANGE.lower() not in log.lower()
