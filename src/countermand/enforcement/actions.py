"""Doors learn differences only, and a take-back reaches them as one row.

Entries say what is known of devices; the published states say which orders are in force. Taking
an order back publishes one new set of states and touches no entry, whatever their number.
"""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Self

from django.db import connection, transaction
from django.db.models import Max

from countermand.data_folder import DataFolder
from countermand.domain.device_key import door_key
from countermand.domain.door_record import body_of, seal
from countermand.domain.published_states import VALID_FOR_S, PublishedOrder, payload
from countermand.domain.verdict import EntryFacts
from countermand.enforcement import queries
from countermand.enforcement.door_claims import Claims
from countermand.enforcement.door_facts import Compiled, DoorFacts
from countermand.enforcement.entry_writes import raise_version, tell_gates, write_differences
from countermand.enforcement.models import DoorEntry, Override, PublishedState
from countermand.gate import keys

__all__ = [
    "Claims",
    "Compiled",
    "DoorFacts",
    "PublishedOrder",
    "Publisher",
    "clear",
    "clear_override",
    "compile_entries",
    "publish_states",
    "set_attested",
    "set_override",
]

_KEPT_SETS: Final = 10
_SEQUENCE_LOCK: Final = (1129137997, 0x5354)  # "CMTM", "ST"


@dataclass(frozen=True, slots=True)
class Publisher:
    """Who this installation is, and the keys that make gates believe it."""

    instance: str
    key: keys.PublisherKey
    entry_key: bytes

    @classmethod
    def load(cls, folder: DataFolder) -> Self:
        """Read the keys that `init` made. Raises keys.KeyMissing."""
        return cls(
            instance=folder.instance_id,
            key=keys.PublisherKey.load(folder.keys),
            entry_key=keys.entry_key(folder.keys),
        )


def compile_entries(
    order_number: str,
    claims: Claims | Iterable[DoorFacts],
    *,
    publisher: Publisher,
    now: datetime,
    person_ids: Collection[int] | None = None,
) -> Compiled:
    """Make the entries of one order equal to what is claimed, writing differences only.

    `claims` holds every door of every affected device: what is missing from it is taken away. With
    `person_ids` it holds those of these people alone, and the entries of others stay. What a person
    said meanwhile, and overrides that hold at `now`, are kept whatever is claimed. Every 5,000
    differences are one transaction; cut off in between, each entry is still a true one.
    """
    # Before the openings are read: one that is written from here on is not taken back below.
    version = queries.feed_version()
    return write_differences(
        order_number,
        claims,
        entry_key=publisher.entry_key,
        read_at_version=version,
        now=now,
        person_ids=person_ids,
    )


@transaction.atomic
def set_attested(
    device_id: int,
    *,
    at: datetime,
    publisher: Publisher,
    order_numbers: Collection[str] | None = None,
) -> int:
    """Open the doors of one device at once, because its person says that the app is gone.

    Returns how many entries changed; `order_numbers` limits it to those orders. An older word
    never replaces a newer one.
    """

    def opened(entry: EntryFacts) -> EntryFacts:
        return replace(entry, attested_at=_latest(entry.attested_at, at))

    return _rewrite(device_id, opened, publisher=publisher, order_numbers=order_numbers)


@transaction.atomic
def set_override(
    device_id: int,
    order_number: str,
    *,
    until: datetime,
    reason: str,
    by_person_id: int,
    publisher: Publisher,
    now: datetime,
) -> int:
    """Let one device through until `until`; returns how many entries changed."""
    Override.objects.create(
        device_id=device_id,
        order_number=order_number,
        reason=reason,
        by_person_id=by_person_id,
        until=until,
        made_at=now,
    )

    def let_through(entry: EntryFacts) -> EntryFacts:
        return replace(entry, override_until=_latest(entry.override_until, until))

    return _rewrite(device_id, let_through, publisher=publisher, order_numbers=[order_number])


@transaction.atomic
def clear_override(
    device_id: int,
    order_number: str,
    *,
    publisher: Publisher,
    now: datetime,
    by_person_id: int | None = None,
    remaining: datetime | None = None,
) -> int:
    """End the overrides of one device under one order; returns how many entries changed.

    `remaining` is until when the order itself lets its person through, if it does.
    """
    rows = Override.objects.filter(device_id=device_id, order_number=order_number)
    rows.filter(ended_at__isnull=True).update(ended_at=now, ended_by=by_person_id)

    def as_before(entry: EntryFacts) -> EntryFacts:
        return replace(entry, override_until=remaining)

    return _rewrite(device_id, as_before, publisher=publisher, order_numbers=[order_number])


def clear(order_number: str, *, publisher: Publisher, now: datetime) -> Compiled:
    """Take all entries of an order away, once it is closed or corrected."""
    return compile_entries(order_number, (), publisher=publisher, now=now)


@transaction.atomic
def publish_states(
    orders: Iterable[PublishedOrder], *, publisher: Publisher, valid_for_s: int = VALID_FOR_S
) -> int:
    """Sign the states of all orders and publish them as one set; returns its sequence.

    Gates trust it for `valid_for_s` seconds of their own time, so it is published again long
    before that. Its time of issue is the machine's own: see `domain.published_states`.
    """
    with connection.cursor() as cursor:
        # One set after the other: two publishers cannot give one number to two sets.
        cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", _SEQUENCE_LOCK)
    newest = PublishedState.objects.aggregate(newest=Max("sequence"))["newest"] or 0
    issued_ms = time.time_ns() // 1_000_000
    # Gates take none that is not higher. A database that was restored has forgotten the last ones.
    sequence = max(newest + 1, issued_ms)
    content = payload(
        orders,
        instance=publisher.instance,
        sequence=sequence,
        issued_ms=issued_ms,
        valid_for_s=valid_for_s,
    )
    PublishedState.objects.create(
        sequence=sequence,
        payload=content.decode(),
        signature=b64encode(publisher.key.sign(content)).decode(),
        key_id=publisher.key.key_id,
    )
    kept = PublishedState.objects.order_by("-sequence").values("sequence")[:_KEPT_SETS]
    PublishedState.objects.exclude(sequence__in=kept).delete()
    tell_gates()
    return sequence


def _rewrite(
    device_id: int,
    change: Callable[[EntryFacts], EntryFacts],
    *,
    publisher: Publisher,
    order_numbers: Collection[str] | None,
) -> int:
    rows = DoorEntry.objects.filter(device_id=device_id, deleted=False).exclude(order_number="")
    if order_numbers is not None:
        rows = rows.filter(order_number__in=order_numbers)
    if not rows.exists():
        return 0
    version = raise_version()
    changed = []
    for row in rows.select_for_update().order_by("id"):
        before = queries.facts_of(row)
        after = change(before)
        if after != before:
            row.attested_at, row.override_until = after.attested_at, after.override_until
            row.version = version
            door = door_key(row.login, row.device_key)
            row.checksum = seal(publisher.entry_key, door, body_of(after)).hex()
            changed.append(row)
    fields = ["attested_at", "override_until", "version", "checksum"]
    DoorEntry.objects.bulk_update(changed, fields)
    tell_gates()
    return len(changed)


def _latest(one: datetime | None, other: datetime | None) -> datetime | None:
    return max(filter(None, (one, other)), default=None)
