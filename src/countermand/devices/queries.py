"""What others may know of devices as a whole: what is held, and how many carry an app."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Min

from countermand.devices.models import Device, HeldDevice, ImportRun, Observation
from countermand.domain.app_id import Platform
from countermand.domain.presence import Presence


@dataclass(frozen=True, slots=True)
class Undecided:
    """A source that told of too much change at once: of some devices, or (none) in a whole list."""

    source: str
    since: datetime
    devices: int


def undecided() -> tuple[Undecided, ...]:
    """Return the sources of which something is held: until a decision, or a list that passes."""
    waiting = HeldDevice.objects.filter(confirmed_at__isnull=True).values("source")
    counted = waiting.annotate(since=Min("held_at"), devices=Count("pk"))
    found = {row["source"]: Undecided(**row) for row in counted}
    lists = ImportRun.objects.filter(state="held", report__is_whole=True)
    for run in lists.order_by("source", "-pk").distinct("source"):
        later = ImportRun.objects.filter(source=run.source, state="loaded", complete=True)
        if not later.filter(as_of__gte=run.as_of, pk__gt=run.pk).exists():
            found.setdefault(run.source, Undecided(run.source, run.started_at, 0))
    return tuple(found[source] for source in sorted(found))


@dataclass(frozen=True, slots=True)
class Heard:
    """What a source's messages about a device are held against."""

    platform: Platform | None
    last_contact_at: datetime | None
    is_gone: bool


def heard(source: str, source_device_id: str) -> Heard | None:
    """Return how a device is known by its source, None when it is not."""
    row = Device.objects.filter(source=source, source_device_id=source_device_id).first()
    if row is None:
        return None
    known = {each.value: each for each in Platform}
    return Heard(known.get(row.platform), row.last_contact_at, row.gone_at is not None)


def device_named(text: str) -> int | None:
    """Return the key of a device by its id in its source, or by any other name of it."""
    word = text.strip()
    here = Device.objects.filter(gone_at__isnull=True)
    row = (
        here.filter(source_device_id=word).order_by("pk").first()
        or here.filter(aliases__value__iexact=word).order_by("pk").first()
    )
    return row.pk if row is not None else None


def spread(app_id: str) -> dict[Presence, int]:
    """Return how many devices carry an app, do not, cannot be checked, are not checked yet."""
    here = Device.objects.filter(gone_at__isnull=True).count()
    rows = (
        Observation.objects.filter(app_id=app_id, device__gone_at__isnull=True)
        .values("presence")
        .annotate(devices=Count("pk"))
    )
    counts = {Presence(row["presence"]): row["devices"] for row in rows}
    counts[Presence.UNKNOWN] = here - sum(
        count for presence, count in counts.items() if presence is not Presence.UNKNOWN
    )
    return counts
