"""What doors were told, as plain values for other rooms."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import Max, Q

from countermand.domain.device_stages import Stage
from countermand.domain.published_states import PublishedStates
from countermand.domain.published_states import read as read_states
from countermand.domain.verdict import EntryFacts
from countermand.enforcement.door_facts import DoorEntryRow as DoorEntryRow  # noqa: PLC0414  (others take it from here)
from countermand.enforcement.models import (
    DevicePassword,
    DoorEntry,
    FeedHead,
    Override,
    PasswordStage,
    PublishedState,
)

# For rooms above: the names under which doors know devices by their passwords.
DOOR_NAMES: Final = """
    SELECT id AS name_id, device_id, device_name AS value FROM enforcement_devicepassword
    WHERE revoked_at IS NULL AND device_id IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class OverrideRow:
    """One person's decision to let a device through."""

    device_id: int
    order_number: str
    reason: str
    by_person_id: int
    until: datetime
    made_at: datetime


@dataclass(frozen=True, slots=True)
class PasswordRow:
    """One device password without its hash; `device_id` is None for a device in no inventory."""

    person_id: int
    login: str
    device_id: int | None
    device_name: str
    label: str
    issued_at: datetime
    revoked_at: datetime | None


def feed_version() -> int:
    """Return the version that gates ought to have; 0 before the first entry."""
    return FeedHead.objects.values_list("version", flat=True).filter(id=1).first() or 0


def entries_of_device(device_id: int) -> tuple[DoorEntryRow, ...]:
    """Return the entries of all doors of one device under orders, by order number."""
    rows = DoorEntry.objects.filter(device_id=device_id, deleted=False).exclude(order_number="")
    return tuple(_row(each) for each in rows.order_by("order_number", "login", "device_key"))


def entries_of_order(order_number: str) -> tuple[DoorEntryRow, ...]:
    """Return all entries of one order, by login and device."""
    rows = DoorEntry.objects.filter(order_number=order_number, deleted=False)
    return tuple(_row(each) for each in rows.order_by("login", "device_key").iterator())


def entries_by_id(entry_ids: Collection[int]) -> tuple[DoorEntryRow, ...]:
    """Return some entries."""
    return tuple(_row(each) for each in DoorEntry.objects.filter(pk__in=entry_ids).iterator())


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
            made_at=each.made_at,
        )
        for each in rows.order_by("until", "id")
    )


def passwords_of(person_id: int) -> tuple[PasswordRow, ...]:
    """Return the device passwords of a person, revoked ones included, the oldest first."""
    rows = DevicePassword.objects.filter(person_id=person_id).order_by("issued_at", "pk")
    return tuple(_password(row) for row in rows)


def password_named(device_name: str) -> PasswordRow | None:
    """Return the device password that a mail server calls so, None when there is none."""
    rows = DevicePassword.objects.filter(device_name=device_name, revoked_at__isnull=True)
    row = rows.first()
    return None if row is None else _password(row)


def door_names(device_ids: Collection[int]) -> dict[int, tuple[str, ...]]:
    """Return the names under which doors know these devices by their passwords."""
    rows = DevicePassword.objects.filter(device_id__in=device_ids, revoked_at__isnull=True)
    found: dict[int, tuple[str, ...]] = {}
    for device_id, name in rows.order_by("pk").values_list("device_id", "device_name"):
        if device_id is not None:
            found[device_id] = (*found.get(device_id, ()), name)
    return found


def passwords_stamp() -> str:
    """Return a text that changes whenever a device password comes or goes."""
    newest = DevicePassword.objects.aggregate(issued=Max("pk"), revoked=Max("revoked_at"))
    return f"{newest['issued']}.{newest['revoked']}"


def shards_changed_since(since: datetime) -> list[int]:
    """Return the files in which a password came or went since then."""
    changed = Q(issued_at__gte=since) | Q(revoked_at__gte=since)
    rows = DevicePassword.objects.filter(changed).values_list("shard", "other_shards")
    return sorted({each for shard, others in rows for each in (shard, *others)})


def people_with_passwords() -> frozenset[int]:
    """Return the ids of everybody who has a device password."""
    rows = DevicePassword.objects.filter(revoked_at__isnull=True)
    return frozenset(rows.values_list("person_id", flat=True))


def stages() -> dict[str, Stage]:
    """Return how far each group has come that was ever moved."""
    return {row.group: Stage(row.stage) for row in PasswordStage.objects.order_by("group")}


def stages_stamp() -> str:
    """Return a text that changes whenever a group is moved."""
    return " ".join(f"{group}={stage}" for group, stage in stages().items())


def _password(row: DevicePassword) -> PasswordRow:
    return PasswordRow(
        person_id=row.person_id,
        login=row.login,
        device_id=row.device_id,
        device_name=row.device_name,
        label=row.label,
        issued_at=row.issued_at,
        revoked_at=row.revoked_at,
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
