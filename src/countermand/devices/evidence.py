"""What each source said about one device, side by side, and the names by which they know it.

A device that several sources know has a row in each: they are found by the names that they share.
Whose word counts at a door is for `sightings`; here nothing is merged, so that it can be shown.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import Q

from countermand.devices import links
from countermand.devices.hints import can_look
from countermand.devices.links import LinkView
from countermand.devices.models import Device, DeviceAlias, Observation
from countermand.domain.inventory import AliasKind
from countermand.domain.presence import (
    Answer,
    Evidence,
    Presence,
    fresh_until,
    heard_at,
    rhythm_of,
)

# Names that mean the same device in every source; others are a source's own.
_SHARED: Final = (
    AliasKind.EAS_DEVICE_ID,
    AliasKind.UDID,
    AliasKind.SERIAL,
    AliasKind.ENTRA_DEVICE_ID,
    AliasKind.HOST_UUID,
)
_MOST: Final = 50


@dataclass(frozen=True, slots=True)
class Finding:
    """What one source said last about one ordered app; `taken_at` only if it says so itself."""

    app_id: str
    presence: Presence
    coverage: str
    taken_at: datetime | None
    heard_at: datetime
    fresh_until: datetime
    may_close: bool


@dataclass(frozen=True, slots=True)
class Said:
    """What its person said of an ordered app."""

    app_id: str
    answer: Answer
    said_at: datetime


@dataclass(frozen=True, slots=True)
class OfSource:
    """One device as one source knows it; `can_look` says that it can be told to look again."""

    id: int
    person_id: int | None
    source: str
    source_device_id: str
    name: str
    platform: str
    ownership: str
    last_contact_at: datetime | None
    gone_at: datetime | None
    can_look: bool
    findings: tuple[Finding, ...]
    said: tuple[Said, ...]
    links: tuple[LinkView, ...]


def of_device(text: str) -> tuple[OfSource, ...]:
    """Return what every source says of the device of this name; nothing if nobody knows it."""
    word = text.strip()
    named = Q(source_device_id=word) | Q(aliases__value__iexact=word)
    rows = Device.objects.filter(named).order_by("pk").values_list("pk", flat=True)
    found = _with_siblings(set(rows[:_MOST]))
    devices = Device.objects.filter(pk__in=found).order_by("source", "pk")[:_MOST]
    return tuple(_of(row) for row in devices.prefetch_related("observations", "attestations"))


def _with_siblings(found: set[int]) -> set[int]:
    """Add the rows of other sources that share a name of these."""
    names = DeviceAlias.objects.filter(device_id__in=found, kind__in=_SHARED)
    shared = Q(pk__in=[])
    for kind, value in names.values_list("kind", "value"):
        shared |= Q(kind=kind, value__in={value, value.lower(), value.upper()})
    return found | set(DeviceAlias.objects.filter(shared).values_list("device_id", flat=True))


def _of(row: Device) -> OfSource:
    return OfSource(
        id=row.pk,
        person_id=row.person_id,
        source=row.source,
        source_device_id=row.source_device_id,
        name=row.name,
        platform=row.platform,
        ownership=row.ownership,
        last_contact_at=row.last_contact_at,
        gone_at=row.gone_at,
        can_look=can_look(row.source),
        findings=tuple(_findings(row, row.observations.all())),
        said=tuple(
            Said(each.app_id, Answer(each.answer), each.said_at)
            for each in sorted(row.attestations.all(), key=lambda each: each.said_at)
        ),
        links=links.links_of(row.pk),
    )


def _findings(device: Device, rows: Iterable[Observation]) -> Iterable[Finding]:
    rhythm = rhythm_of(device.source)
    for row in sorted(rows, key=lambda row: row.app_id):
        presence = Presence(row.presence)
        told_at = heard_at(row.collected_at, device.last_contact_at)
        known = Evidence(presence, row.inventory_at, told_at, rhythm.refresh_cycle)
        yield Finding(
            app_id=row.app_id,
            presence=presence,
            coverage=row.coverage,
            taken_at=row.inventory_at,
            heard_at=row.collected_at,
            fresh_until=fresh_until(known, rhythm),
            may_close=row.may_close,
        )
