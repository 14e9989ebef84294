"""Devices that a source says are worth a look; a hint proves nothing, it only hurries a look.

Hints of one device are one hint, however often it is hinted at, and a source has a bounded number
of them: beyond that all of the source is looked at instead.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import F, Q

from countermand.audit import actions as audit
from countermand.devices.models import Device, Hint, Source

MOST_WAITING: Final = 2_000
MOST_AT_ONCE: Final = 100
FEED: Final = ""  # in place of a device: read the source's feed of events
_LONGEST: Final = 200
# Kinds of sources that can be asked about single devices; the others tell of all at once.
LOOK_AT_ONE: Final = frozenset({"android_management", "fleet", "jamf", "nanomdm", "workspace"})


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be looked at now in one source; `looked` says how often each was already."""

    source: str
    looked: Mapping[str, int] = field(default_factory=dict)


@transaction.atomic
def note(source: str, device_ids: Iterable[str], *, due_at: datetime) -> int:
    """Keep that devices are worth a look; return how many were not waiting for one already.

    A source that hints at too many becomes due as a whole.
    """
    row = Source.objects.select_for_update().filter(name=source).first()
    wanted = {each[:_LONGEST] for each in device_ids}
    if row is None or not wanted:
        return 0
    waiting = set(row.hints.values_list("source_device_id", flat=True))
    new = sorted(wanted - waiting)
    if len(waiting) + len(new) > MOST_WAITING:
        row.hints.exclude(source_device_id=FEED).delete()
        if row.every_s and not row.failed_in_a_row:
            row.due_at = min(row.due_at or due_at, due_at)
            row.save(update_fields=["due_at"])
        return 0
    Hint.objects.bulk_create(Hint(source=row, source_device_id=each, due_at=due_at) for each in new)
    return len(new)


def can_look(source: str) -> bool:
    """Whether a source can be asked about a single device."""
    return source.partition(":")[0] in LOOK_AT_ONE


def lookable(device_ids: Collection[int]) -> frozenset[int]:
    """Return those of these devices at which their source can look now.

    One that fails is left alone until its time: nobody is promised a look that will not come.
    """
    works = Source.objects.filter(failed_in_a_row=0)
    named = frozenset(works.values_list("name", flat=True))
    rows = Device.objects.filter(pk__in=list(device_ids), gone_at__isnull=True)
    sources = rows.values_list("pk", "source")
    return frozenset(pk for pk, source in sources if source in named and can_look(source))


@transaction.atomic
def look_for_its_person(device_id: int, *, person_id: int, now: datetime, rest: timedelta) -> bool:
    """Let the source of a device look at it now; False when its person asked within `rest`."""
    rested = Q(look_asked_at__isnull=True) | Q(look_asked_at__lte=now - rest)
    if not Device.objects.filter(rested, pk=device_id).update(look_asked_at=now):
        return False
    look_again([device_id], actor_id=person_id, now=now)
    return True


@transaction.atomic
def look_again(
    device_ids: Collection[int], *, actor_id: int | None, now: datetime
) -> tuple[str, ...]:
    """Let the sources of these devices look at them now; return the sources that can and will."""
    rows = Device.objects.filter(pk__in=list(device_ids), gone_at__isnull=True).order_by("source")
    asked = []
    for row in rows:
        if can_look(row.source) and Source.objects.filter(name=row.source).exists():
            note(row.source, [row.source_device_id], due_at=now)
            facts = {"device": row.pk, "source": row.source}
            audit.record("device.look_asked", actor_id=actor_id, facts=facts, now=now)
            asked.append(row.source)
    return tuple(dict.fromkeys(asked))


def due(now: datetime) -> tuple[Due, ...]:
    """Return what is to be looked at; a source that fails is left alone until it is due again."""
    found: dict[str, dict[str, int]] = {}
    rows = Hint.objects.filter(due_at__lte=now).select_related("source").order_by("due_at", "pk")
    for row in rows:
        source = row.source
        if source.failed_in_a_row and source.due_at is not None and source.due_at > now:
            continue
        mine = found.setdefault(source.name, {})
        if len(mine) < MOST_AT_ONCE:
            mine[row.source_device_id] = row.looks
    return tuple(Due(name, looked) for name, looked in found.items())


def followed(source: str, device_ids: Collection[str], *, now: datetime) -> None:
    """Forget hints that were followed; one that came in meanwhile is due later and stays."""
    rows = Hint.objects.filter(source__name=source, source_device_id__in=list(device_ids))
    rows.filter(due_at__lte=now).delete()


def again_later(source: str, device_ids: Collection[str], *, at: datetime) -> None:
    """Look once more at an instant: the source itself has to look first."""
    rows = Hint.objects.filter(source__name=source, source_device_id__in=list(device_ids))
    rows.update(due_at=at, looks=F("looks") + 1)


def postpone(source: str, device_ids: Collection[str], *, until: datetime) -> None:
    """Try hints that could not be followed again later."""
    rows = Hint.objects.filter(source__name=source, source_device_id__in=list(device_ids))
    rows.update(due_at=until)
