"""Writes an invented organisation as the files that `countermand import` reads."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from countermand.synth.organisation import Organisation, SynthDevice, SynthPerson

_PEOPLE = (
    "person_id",
    "display_name",
    "local_name",
    "email",
    "upn",
    "preferred_language",
    "country",
    "time_zone",
    "groups",
    "department",
    "manager",
    "absent_until",
)
_DEVICES = (
    "device_id",
    "owner_email",
    "platform",
    "os_version",
    "ownership",
    "last_seen",
    "eas_device_id",
    "serial",
    "device_name",
    "inventory_at",
    "coverage",
)
_APPS = ("device_id", "app_id", "app_name", "version", "seen_at")


def write(organisation: Organisation, folder: Path, *, with_people: bool = True) -> None:
    """Write people.csv, devices.csv and apps.csv into `folder`, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    if with_people:
        people = (_person(person) for person in organisation.people)
        _table(folder / "people.csv", _PEOPLE, people)
    _table(folder / "devices.csv", _DEVICES, (_device(d) for d in organisation.devices))
    apps = (
        (device.device_id, app.identifier, app.name, app.version, _instant(device.inventory_at))
        for device in organisation.devices
        for app in device.apps
    )
    _table(folder / "apps.csv", _APPS, apps)


def _table(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _person(person: SynthPerson) -> tuple[str, ...]:
    return (
        person.uid,
        person.name,
        person.local_name,
        person.address,
        person.upn,
        person.language,
        person.country,
        person.zone,
        ";".join(person.groups),
        person.unit,
        person.manager,
        person.absent_until.isoformat() if person.absent_until else "",
    )


def _device(device: SynthDevice) -> tuple[str, ...]:
    return (
        device.device_id,
        device.owner,
        device.platform.value,
        device.os_version,
        device.ownership,
        _instant(device.last_seen),
        device.eas_id,
        device.serial,
        device.name,
        _instant(device.inventory_at),
        device.coverage.value,
    )


def _instant(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
