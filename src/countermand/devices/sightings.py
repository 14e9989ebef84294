"""What is known of the ordered apps, device by device: the ground of every plan and every door.

Read for many people in a handful of statements. A device of which nothing was ever said about an
app has no entry for it: it was not checked yet, which is not the same as absent.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from django.db.models import Max

from countermand.devices.models import Attestation, Device, DeviceAlias, ImportRun, Observation
from countermand.domain.inventory import AliasKind
from countermand.domain.presence import (
    OPENING_ANSWERS,
    Evidence,
    Presence,
    attestation_holds,
    fresh_until,
    rhythm_of,
)

_DOOR_NAMES: Final = (AliasKind.EAS_DEVICE_ID.value, AliasKind.DEVICE_PASSWORD.value)


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one source last said about one app on one device, and what its person said.

    `evidence_at` is the earliest instant at which the list can have been taken, `shown_at` when it
    was taken if the source says so. `attested_at` is the last "it is not there" of the person;
    `is_excused` says that it still stands against the evidence.
    """

    app_id: str
    presence: Presence
    may_close: bool
    evidence_at: datetime
    fresh_until: datetime
    shown_at: datetime | None
    attested_at: datetime | None
    is_excused: bool


@dataclass(frozen=True, slots=True)
class SeenDevice:
    """One device that somebody uses; `doors` are the names by which mail gates know it."""

    id: int
    person_id: int
    platform: str
    ownership: str
    name: str
    short_id: str
    reads_mail: bool
    doors: tuple[str, ...]
    apps: Mapping[str, Sighting] = field(default_factory=dict)


def of_people(person_ids: Collection[int], app_ids: Collection[str]) -> list[SeenDevice]:
    """Return the devices of these people with what is known of these apps, by person and id."""
    rows = list(
        Device.objects.filter(person_id__in=person_ids, gone_at__isnull=True).order_by(
            "person_id", "pk"
        )
    )
    return _seen(rows, app_ids)


def one(device_id: int, app_ids: Collection[str]) -> SeenDevice | None:
    """Return one device, None when nobody uses it or it is gone."""
    rows = list(Device.objects.filter(pk=device_id, gone_at__isnull=True))
    return next(iter(_seen(rows, app_ids)), None)


def find(text: str) -> SeenDevice | None:
    """Find one device by the id that its source gives it, or by a name that gates know."""
    word = text.strip()
    rows = Device.objects.filter(gone_at__isnull=True, person_id__isnull=False)
    row = (
        rows.filter(source_device_id=word).order_by("pk").first()
        or rows.filter(aliases__value=word).order_by("pk").first()
    )
    return next(iter(_seen([row], ())), None) if row is not None else None


def stamp() -> str:
    """Return a text that changes whenever a source was loaded or somebody said something."""
    run = ImportRun.objects.aggregate(newest=Max("pk"))["newest"]
    said = Attestation.objects.aggregate(newest=Max("pk"))["newest"]
    return f"{run}.{said}"


def _seen(rows: Sequence[Device], app_ids: Collection[str]) -> list[SeenDevice]:
    ids = [row.pk for row in rows]
    sources = {row.pk: row.source for row in rows}
    doors = _doors(ids)
    said = _said(ids, app_ids)
    apps: dict[int, dict[str, Sighting]] = {}
    for seen in Observation.objects.filter(device_id__in=ids, app_id__in=app_ids).iterator():
        sighting = _sighting(seen, sources[seen.device_id], said)
        apps.setdefault(seen.device_id, {})[seen.app_id] = sighting
    return [
        SeenDevice(
            id=row.pk,
            person_id=row.person_id,
            platform=row.platform,
            ownership=row.ownership,
            name=row.name,
            short_id=row.short_id,
            reads_mail=row.reads_mail,
            doors=doors.get(row.pk, ()),
            apps=apps.get(row.pk, {}),
        )
        for row in rows
        if row.person_id is not None
    ]


def _doors(ids: Iterable[int]) -> dict[int, tuple[str, ...]]:
    rows = DeviceAlias.objects.filter(device_id__in=list(ids), kind__in=_DOOR_NAMES)
    found: dict[int, tuple[str, ...]] = {}
    for device_id, value in rows.order_by("device_id", "pk").values_list("device_id", "value"):
        found[device_id] = (*found.get(device_id, ()), value)
    return found


def _said(ids: Iterable[int], app_ids: Collection[str]) -> dict[tuple[int, str], datetime]:
    rows = Attestation.objects.filter(
        device_id__in=list(ids),
        app_id__in=app_ids,
        answer__in=[answer.value for answer in OPENING_ANSWERS],
    )
    return {
        (device_id, app_id): said_at
        for device_id, app_id, said_at in rows.order_by("said_at").values_list(
            "device_id", "app_id", "said_at"
        )
    }


def _sighting(row: Observation, source: str, said: Mapping[tuple[int, str], datetime]) -> Sighting:
    rhythm = rhythm_of(source)
    evidence = Evidence(
        presence=Presence(row.presence),
        inventory_at=row.inventory_at,
        collected_at=row.collected_at,
        refresh_cycle=rhythm.refresh_cycle,
    )
    attested_at = said.get((row.device_id, row.app_id))
    return Sighting(
        app_id=row.app_id,
        presence=evidence.presence,
        may_close=row.may_close,
        evidence_at=evidence.proven_after,
        fresh_until=fresh_until(evidence, rhythm),
        shown_at=row.inventory_at,
        attested_at=attested_at,
        is_excused=attested_at is not None
        and attestation_holds(
            attested_at,
            evidence.at,
            has_own_time=row.inventory_at is not None,
            refresh_cycle=rhythm.refresh_cycle,
        ),
    )
