"""Reading the log: references to people, what stands in it, and its signed heads."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from countermand.audit.models import Checkpoint, Entry, PersonSalt

_SALT_BYTES = 16


def person_ref(person_id: int) -> str:
    """Return the salted reference to a person, the same for as long as the salt is kept.

    A first reference makes the salt, in the caller's transaction.
    """
    row, _ = PersonSalt.objects.get_or_create(
        person_id=person_id, defaults={"salt": secrets.token_bytes(_SALT_BYTES)}
    )
    return hashlib.sha256(bytes(row.salt) + b":" + str(person_id).encode()).hexdigest()


def person_refs(person_ids: Iterable[int]) -> dict[int, str]:
    """Return the salted references to many people; what `person_ref` does, in two statements."""
    wanted = sorted(set(person_ids))
    fresh = [PersonSalt(person_id=one, salt=secrets.token_bytes(_SALT_BYTES)) for one in wanted]
    known = dict(PersonSalt.objects.filter(person_id__in=wanted).values_list("person_id", "salt"))
    if len(known) < len(wanted):
        missing = [row for row in fresh if row.person_id not in known]
        PersonSalt.objects.bulk_create(missing, ignore_conflicts=True)
        known = dict(
            PersonSalt.objects.filter(person_id__in=wanted).values_list("person_id", "salt")
        )
    return {
        person_id: hashlib.sha256(bytes(salt) + b":" + str(person_id).encode()).hexdigest()
        for person_id, salt in known.items()
    }


def newest_head() -> tuple[int, str]:
    """Return the size and the root (hex) of the newest signed head; 0 and empty before any."""
    newest = Checkpoint.objects.order_by("-size").values_list("size", "root_hash").first()
    return (0, "") if newest is None else (newest[0], bytes(newest[1]).hex())


def head_of(size: int) -> str:
    """Return the root (hex) that was signed for this size; empty when none was."""
    root = Checkpoint.objects.filter(size=size).values_list("root_hash", flat=True).first()
    return "" if root is None else bytes(root).hex()


@dataclass(frozen=True, slots=True)
class EntryView:
    """One fact of the log, numbered already or not."""

    event: str
    order_number: str
    actor_ref: str
    facts: Mapping[str, Any]
    at: datetime


def entries(*, events: Iterable[str], order_number: str | None = None) -> Iterator[EntryView]:
    """Yield the entries of some events, in the order in which they were written."""
    rows = Entry.objects.filter(event__in=list(events)).order_by("id")
    if order_number is not None:
        rows = rows.filter(order_number=order_number)
    for row in rows.iterator(chunk_size=500):
        yield EntryView(
            event=row.event,
            order_number=row.order_number,
            actor_ref=row.actor_ref,
            facts=row.facts,
            at=row.at,
        )
