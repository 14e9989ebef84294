"""Writing to the log: what happened and its entry stand or fall together.

Facts enter unnumbered, in the caller's own transaction; the sequencer numbers them afterwards, so
that no action ever waits for another one's place in the log.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Final

from django.db import connection, transaction

from countermand.audit.leaves import leaf, leaf_bytes
from countermand.audit.models import Checkpoint, Entry
from countermand.audit.queries import person_ref
from countermand.audit.signed_note import Head, Signer
from countermand.domain.canonical_json import canonical
from countermand.domain.errors import CountermandError, gettext_noop
from countermand.domain.merkle_log import Range, leaf_hash

_EVENT: Final = re.compile(r"[a-z][a-z_]*(\.[a-z][a-z_]*)+")
# Keys under which somebody would be tempted to put a person. The log keeps references only.
_PERSONAL: Final = frozenset(
    {"name", "address", "email", "uid", "person_id", "actor_id", "local_name", "token"}
)


_BATCH: Final = 500
_SEQUENCER_LOCK: Final = (1129137997, 1)  # 'CMTM' and the log: one sequencer at a time


@dataclass(eq=False)
class LogDamaged(CountermandError):
    """What stands in the log does not fit its last signed head; nothing is added to it."""

    entries: int
    signed: int

    code: ClassVar[str] = "log.damaged"
    sentence: ClassVar[str] = gettext_noop(
        "The log has {entries} numbered entries, and its last signed head says {signed}."
    )
    remedy: ClassVar[str] = gettext_noop("Run countermand log verify, and keep this database.")


@dataclass(eq=False)
class PersonalDataInLog(CountermandError):
    """A bug of ours: an entry would have named a person for ever."""

    key: str

    code: ClassVar[str] = "audit.personal_data"
    sentence: ClassVar[str] = gettext_noop("An entry of the log may not hold “{key}”.")
    remedy: ClassVar[str] = gettext_noop("Store a reference (audit.queries.person_ref) instead.")


def record(
    event: str,
    *,
    order_number: str = "",
    actor_id: int | None,
    facts: Mapping[str, Any],
    now: datetime,
) -> None:
    """Add one entry; it is numbered later, by the sequencer.

    `event` reads noun.verb, `actor_id` is None when the program itself acted. `facts` hold what
    canonical JSON can (no floats). Raises PersonalDataInLog or NotCanonical.
    """
    ref = "" if actor_id is None else person_ref(actor_id)
    _entry(event, order_number, ref, facts, now).save(force_insert=True)


def record_by_itself(
    event: str, entries: Iterable[tuple[str, Mapping[str, Any]]], *, now: datetime
) -> None:
    """Add many entries of what the program itself did, in one statement.

    `entries` are order numbers with facts. Raises as `record` does; nothing is added then.
    """
    rows = [_entry(event, order_number, "", facts, now) for order_number, facts in entries]
    Entry.objects.bulk_create(rows, batch_size=_BATCH)


def _entry(
    event: str, order_number: str, actor_ref: str, facts: Mapping[str, Any], now: datetime
) -> Entry:
    if not _EVENT.fullmatch(event) or now.tzinfo is None:
        raise ValueError(event)
    plain = dict(facts)
    for key in _keys(plain):
        if key in _PERSONAL or key.endswith("_person_id"):
            raise PersonalDataInLog(key=key)
    canonical(plain)
    return Entry(event=event, order_number=order_number, actor_ref=actor_ref, facts=plain, at=now)


def _keys(value: Any) -> Iterable[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _keys(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _keys(inner)


# One short statement for the whole batch; a CASE per row costs more than all the hashing.
_NUMBER: Final = """
    UPDATE audit_entry SET position = numbered.position, leaf_hash = numbered.leaf_hash
    FROM unnest(%s::bigint[], %s::bigint[], %s::bytea[]) AS numbered (id, position, leaf_hash)
    WHERE audit_entry.id = numbered.id
"""


@transaction.atomic(durable=True)
def number_batch(now: datetime, *, signer: Signer, limit: int = _BATCH) -> int:
    """Number up to `limit` waiting entries and sign the head that covers them; return how many.

    Does nothing while another sequencer is at work. Raises LogDamaged.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", _SEQUENCER_LOCK)
        if not cursor.fetchone()[0]:
            return 0
    # By `position`, not by id: an id is older than its commit, and a lower one may come later.
    waiting = list(Entry.objects.filter(position__isnull=True).order_by("id")[:limit])
    if not waiting:
        return 0
    grown = _numbered_so_far()
    for row in waiting:
        row.position = grown.size
        row.leaf_hash = leaf_hash(
            leaf_bytes(
                leaf(
                    position=row.position,
                    event=row.event,
                    order_number=row.order_number,
                    actor_ref=row.actor_ref,
                    facts=row.facts,
                    at=row.at,
                )
            )
        )
        grown = grown.add(row.leaf_hash)
    with connection.cursor() as cursor:
        cursor.execute(
            _NUMBER,
            (
                [row.pk for row in waiting],
                [row.position for row in waiting],
                [row.leaf_hash for row in waiting],
            ),
        )
    head = Head(origin=signer.name, size=grown.size, root_hash=grown.root())
    Checkpoint.objects.create(
        size=head.size,
        root_hash=head.root_hash,
        note=signer.sign(head),
        subtrees=[each.hex() for each in grown.subtrees],
        at=now,
    )
    return len(waiting)


def _numbered_so_far() -> Range:
    """Return the compact range of what is numbered and signed; raise LogDamaged."""
    last = Checkpoint.objects.order_by("-size").first()
    grown = Range()
    if last is not None:
        grown = Range(last.size, tuple(bytes.fromhex(each) for each in last.subtrees))
    newest = Entry.objects.filter(position__isnull=False).order_by("-position").first()
    entries = 0 if newest is None or newest.position is None else newest.position + 1
    if entries != grown.size or (last is not None and bytes(last.root_hash) != grown.root()):
        raise LogDamaged(entries=entries, signed=grown.size)
    return grown
