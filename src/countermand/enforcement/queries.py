"""What doors were told, as plain values for other rooms."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from countermand.domain.published_states import PublishedStates
from countermand.domain.published_states import read as read_states
from countermand.domain.verdict import EntryFacts
from countermand.enforcement.models import DoorEntry, FeedHead, Override, PublishedState


@dataclass(frozen=True, slots=True)
class DoorEntryRow:
    """One entry with the door that it belongs to."""

    login: str
    device: str
    device_id: int
    person_id: int
    entry: EntryFacts


@dataclass(frozen=True, slots=True)
class OverrideRow:
    """One person's decision to let a device through."""

    device_id: int
    order_number: str
    reason: str
    by_person_id: int
    until: datetime


def feed_version() -> int:
    """Return the version that gates ought to have; 0 before the first entry."""
    return FeedHead.objects.values_list("version", flat=True).filter(id=1).first() or 0


def entries_of_device(device_id: int) -> tuple[DoorEntryRow, ...]:
    """Return the entries of all doors of one device, by order number."""
    rows = DoorEntry.objects.filter(device_id=device_id, deleted=False)
    return tuple(_row(each) for each in rows.order_by("order_number", "login", "device_key"))


def entries_of_order(order_number: str) -> tuple[DoorEntryRow, ...]:
    """Return all entries of one order, by login and device."""
    rows = DoorEntry.objects.filter(order_number=order_number, deleted=False)
    return tuple(_row(each) for each in rows.order_by("login", "device_key").iterator())


def attested_doors(order_number: str) -> dict[tuple[str, str], datetime]:
    """Return when somebody said "I removed it", by login and device, for one order."""
    rows = DoorEntry.objects.filter(order_number=order_number, attested_at__isnull=False)
    return {
        (login, device): at
        for login, device, at in rows.values_list("login", "device_key", "attested_at")
        if at is not None
    }


def overrides(order_number: str, *, now: datetime) -> tuple[OverrideRow, ...]:
    """Return the overrides of one order that hold at `now`, the longest last."""
    rows = Override.objects.filter(order_number=order_number, until__gt=now, ended_at__isnull=True)
    return tuple(
        OverrideRow(
            device_id=each.device_id,
            order_number=each.order_number,
            reason=each.reason,
            by_person_id=each.by_person_id,
            until=each.until,
        )
        for each in rows.order_by("until", "id")
    )


def newest_states() -> PublishedStates | None:
    """Return what was last published to gates, None before the first time."""
    newest = PublishedState.objects.order_by("-sequence").first()
    return None if newest is None else read_states(newest.payload.encode())


def facts_of(row: DoorEntry) -> EntryFacts:
    """Return the facts of one row."""
    return EntryFacts(
        order_number=row.order_number,
        presence=row.presence,
        evidence_at=row.evidence_at,
        fresh_until=row.fresh_until,
        may_close=row.may_close,
        closes_at=row.closes_at,
        noticed_at=row.noticed_at,
        lock_accepted_at=row.lock_accepted_at,
        attested_at=row.attested_at,
        override_until=row.override_until,
    )


def _row(row: DoorEntry) -> DoorEntryRow:
    return DoorEntryRow(
        login=row.login,
        device=row.device_key,
        device_id=row.device_id,
        person_id=row.person_id,
        entry=facts_of(row),
    )
