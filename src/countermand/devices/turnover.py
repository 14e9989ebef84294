"""What vanished or turned over within a day: one guard, for a run of a million and for one event.

However a source says it, in one list or device by device: once more than a fifth of its devices
would have vanished in this hour and the 23 before, or more than a fifth of its findings about an
app turned over, nothing more of that kind is taken over until a person decides. A finding counts
once in that time: one that turns back is no further turn, so a source that comes to its senses is
never held for it. What people answer is not looked at here.

Most apps are on few devices, so a fifth of all findings is never reached when every device that
carries one loses it. A list that finds an app nowhere any more is held by itself: it was renamed,
or our account sees less than before, far more often than everybody removed it between two lists.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import connection
from django.db.models import F, Q, Sum

from countermand.devices.loading import SpokenOf, Tally
from countermand.devices.models import Device, HeldDevice, KnownCount, Observation, Turnover
from countermand.domain.presence import Presence

MOST_CHANGED_SHARE: Final = 0.20
LEAST_CHANGED: Final = 3  # fewer devices than this are nobody's mass
LEAST_CLEARED: Final = 10  # so few may well have lost an app between two lists
VANISHED: Final = ""  # in place of an app
_COUNT_STANDS: Final = timedelta(minutes=1)
_START_ANEW: Final = """
    UPDATE devices_observation AS seen SET turned_at = NULL
    FROM devices_device AS device
    WHERE device.id = seen.device_id AND device.source = %s AND seen.turned_at IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class MassChange:
    """Why a run is held: how many devices would have changed within a day, out of how many."""

    what: str  # gone | turned | cleared: nowhere any more
    app_id: str  # empty for devices that are gone
    count: int
    out_of: int


def counted_from(now: datetime) -> datetime:
    """Return since when turns count together: this hour, and the 23 before."""
    return _hour(now) - timedelta(hours=23)


def weigh(
    source: str, tally: Tally, *, is_whole: bool, now: datetime
) -> tuple[tuple[MassChange, ...], dict[str, int]]:
    """Return what would be too much together with the day before, and what was counted for it.

    A list tells itself how much is known. Of a part it is counted, once a minute at most; the
    caller keeps that with `remember`, whatever becomes of the part.
    """
    before = _counts(source, now)
    fresh: dict[str, int] = {}
    changes = []
    for app_id, more in sorted(_turned(tally).items()):
        count = before.get(app_id, 0) + more
        if count < LEAST_CHANGED:
            continue
        if is_whole:
            out_of = tally.judged_before[app_id] if app_id else tally.known_before + count - more
        elif (kept := _kept(source, app_id, now)) is not None:
            out_of = kept
        else:
            out_of = fresh[app_id] = _judged(source, app_id) if app_id else _here(source) + count
        if count > out_of * MOST_CHANGED_SHARE:
            changes.append(MassChange("turned" if app_id else "gone", app_id, count, out_of))
        elif is_whole and app_id and _is_nowhere(tally, app_id) and more >= LEAST_CLEARED:
            changes.append(MassChange("cleared", app_id, more, more))
    return tuple(changes), fresh


def add(source: str, tally: Tally, *, now: datetime) -> None:
    """Count what a run turned over; loads of one source come one after the other."""
    for app_id, more in _turned(tally).items():
        row, _ = Turnover.objects.get_or_create(source=source, app_id=app_id, hour=_hour(now))
        Turnover.objects.filter(pk=row.pk).update(count=F("count") + more)


def remember(source: str, counted: Mapping[str, int], *, now: datetime) -> None:
    """Keep for a moment how much is known."""
    for app_id, count in counted.items():
        KnownCount.objects.update_or_create(
            source=source, app_id=app_id, defaults={"count": count, "counted_at": now}
        )


def start_anew(source: str) -> None:
    """Count from here on: a person decided that what changed so far is right."""
    KnownCount.objects.filter(source=source).delete()
    deleted, _ = Turnover.objects.filter(source=source).delete()
    if deleted:
        with connection.cursor() as cursor:
            cursor.execute(_START_ANEW, [source])


def hold(source: str, devices: Collection[SpokenOf], *, now: datetime) -> bool:
    """Keep which devices wait for a decision; False when others of the source did within an hour.

    What was held last about a device stands.
    """
    held = HeldDevice.objects.filter(source=source)
    is_news = not held.filter(held_at__gt=now - timedelta(hours=1)).exists()
    HeldDevice.objects.bulk_create(
        [
            HeldDevice(source=source, source_device_id=device, is_gone=is_gone, held_at=now)
            for device, is_gone in {each.device_id: each.is_gone for each in devices}.items()
        ],
        update_conflicts=True,
        unique_fields=["source", "source_device_id"],
        update_fields=["is_gone", "held_at", "confirmed_at"],
    )
    return is_news


def confirm(source: str, *, now: datetime) -> tuple[str, ...]:
    """Believe the next word about each held device; return these, without those let go already."""
    held = HeldDevice.objects.filter(source=source, confirmed_at__isnull=True)
    again = tuple(held.values_list("source_device_id", flat=True))
    held.update(confirmed_at=now)
    return again


def is_confirmed(source: str, devices: Collection[SpokenOf]) -> bool:
    """Whether a person decided about each of these devices, and asked for what is said now."""
    ids = {each.device_id for each in devices}
    mine = HeldDevice.objects.filter(source=source, source_device_id__in=ids)
    return bool(ids) and mine.filter(confirmed_at__isnull=False).count() == len(ids)


def waiting(source: str) -> int:
    """Return how many devices wait for a decision."""
    return HeldDevice.objects.filter(source=source, confirmed_at__isnull=True).count()


def release(source: str, devices: Collection[SpokenOf] | None) -> None:
    """Let go of devices of which the source has spoken anew since; None: of all."""
    held = HeldDevice.objects.filter(source=source)
    if devices is not None:
        if not held.exists():
            return
        judged = [each.device_id for each in devices if each.is_judged]
        seen = [each.device_id for each in devices if not each.is_gone]
        held = held.filter(
            Q(source_device_id__in=judged) | Q(source_device_id__in=seen, is_gone=True)
        )
    held.delete()


def forget(now: datetime) -> None:
    """Drop hours that no longer count, and decisions that nothing was heard of within a day."""
    Turnover.objects.filter(hour__lt=counted_from(now)).delete()
    HeldDevice.objects.filter(confirmed_at__lt=counted_from(now)).delete()


def _turned(tally: Tally) -> dict[str, int]:
    found = {VANISHED: tally.gone, **tally.newly_turned}
    return {app_id: count for app_id, count in found.items() if count}


def _is_nowhere(tally: Tally, app_id: str) -> bool:
    """Whether a list finds an app on no device: then all that turned over has lost it."""
    return not tally.presence[app_id][Presence.PRESENT]


def _counts(source: str, now: datetime) -> dict[str, int]:
    rows = Turnover.objects.filter(source=source, hour__gte=counted_from(now))
    return dict(rows.values_list("app_id").annotate(Sum("count")))


def _kept(source: str, app_id: str, now: datetime) -> int | None:
    rows = KnownCount.objects.filter(source=source, app_id=app_id)
    rows = rows.filter(counted_at__gt=now - _COUNT_STANDS, counted_at__lte=now)
    return rows.values_list("count", flat=True).first()


def _here(source: str) -> int:
    return Device.objects.filter(source=source, gone_at__isnull=True).count()


def _judged(source: str, app_id: str) -> int:
    here = Observation.objects.filter(device__source=source, device__gone_at__isnull=True)
    return here.filter(app_id=app_id, presence__in=("present", "absent")).count()


def _hour(now: datetime) -> datetime:
    return now.replace(minute=0, second=0, microsecond=0)
