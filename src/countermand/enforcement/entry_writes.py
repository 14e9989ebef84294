"""Entries are written set by set, and only where they differ from what doors know already.

Facts are copied in and compared inside the database; each batch of differences is one transaction
under a version of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final

from django.db import connection, transaction

from countermand.domain.device_key import door_key, normal_device, normal_login
from countermand.domain.door_record import body_of, seal
from countermand.enforcement import queries
from countermand.enforcement.door_facts import Compiled, DoorFacts
from countermand.gate.feed import CHANNEL

_BATCH: Final = 5_000
_LONGEST_LOGIN: Final = 320
_LONGEST_DEVICE: Final = 300
_COLUMNS: Final = (
    "login, device_key, order_number, device_id, person_id, closes_at, presence, evidence_at,"
    " fresh_until, may_close, noticed_at, lock_accepted_at, attested_at, override_until, checksum"
)
_STAGE: Final = """
    CREATE TEMPORARY TABLE door_facts AS
    SELECT login, device_key, order_number, device_id, person_id, closes_at, presence,
           evidence_at, fresh_until, may_close, noticed_at, lock_accepted_at, attested_at,
           override_until, checksum
    FROM enforcement_doorentry WITH NO DATA
"""
# What is new or changed, and then what is gone: numbered, so that batches take them in turn.
_DIFFERENCES: Final = """
    CREATE TEMPORARY TABLE door_differences AS
    SELECT row_number() OVER () AS n, login, device_key, gone
    FROM (
        SELECT f.login, f.device_key, false AS gone
        FROM door_facts f
        LEFT JOIN enforcement_doorentry d USING (login, device_key, order_number)
        WHERE d.id IS NULL OR d.deleted OR d.checksum <> f.checksum
           OR d.device_id <> f.device_id OR d.person_id <> f.person_id
        UNION ALL
        SELECT d.login, d.device_key, true
        FROM enforcement_doorentry d
        LEFT JOIN door_facts f USING (login, device_key, order_number)
        WHERE d.order_number = %s AND NOT d.deleted AND f.login IS NULL
    ) AS every_difference
"""
# An opening that was written since the facts were read is never taken back by them.
_WRITE: Final = """
    INSERT INTO enforcement_doorentry AS d
        (login, device_key, order_number, device_id, person_id, closes_at, presence, evidence_at,
         fresh_until, may_close, noticed_at, lock_accepted_at, attested_at, override_until,
         checksum, version, deleted)
    SELECT f.login, f.device_key, f.order_number, f.device_id, f.person_id, f.closes_at,
           f.presence, f.evidence_at, f.fresh_until, f.may_close, f.noticed_at,
           f.lock_accepted_at, f.attested_at, f.override_until, f.checksum, %s, false
    FROM door_facts f
    JOIN door_differences x USING (login, device_key)
    WHERE x.n > %s AND x.n <= %s AND NOT x.gone
    ON CONFLICT (login, device_key, order_number) DO UPDATE SET
        device_id = EXCLUDED.device_id, person_id = EXCLUDED.person_id,
        closes_at = EXCLUDED.closes_at, presence = EXCLUDED.presence,
        evidence_at = EXCLUDED.evidence_at, fresh_until = EXCLUDED.fresh_until,
        may_close = EXCLUDED.may_close, noticed_at = EXCLUDED.noticed_at,
        lock_accepted_at = EXCLUDED.lock_accepted_at, attested_at = EXCLUDED.attested_at,
        override_until = EXCLUDED.override_until, checksum = EXCLUDED.checksum,
        version = EXCLUDED.version, deleted = false
    WHERE coalesce(d.attested_at, '-infinity') <= coalesce(EXCLUDED.attested_at, '-infinity')
      AND (d.version <= %s OR d.override_until IS NULL
           OR d.override_until <= coalesce(EXCLUDED.override_until, '-infinity'))
"""
_REMOVE: Final = """
    UPDATE enforcement_doorentry d SET deleted = true, version = %s
    FROM door_differences x
    WHERE x.n > %s AND x.n <= %s AND x.gone
      AND d.order_number = %s AND d.login = x.login AND d.device_key = x.device_key
"""
_RAISE: Final = """
    INSERT INTO enforcement_feedhead AS head (id, version) VALUES (1, 1)
    ON CONFLICT (id) DO UPDATE SET version = head.version + 1
    RETURNING version
"""


@dataclass(slots=True)
class _Seen:
    doors: set[bytes]
    doubtful: dict[bytes, DoorFacts]
    without_key: int = 0


def raise_version() -> int:
    """Take the feed's lock and return the version of this transaction's rows."""
    with connection.cursor() as cursor:
        cursor.execute(_RAISE)
        row = cursor.fetchone()
    return int(row[0]) if row else 0


def tell_gates() -> None:
    """Wake gates once this transaction is committed."""
    with connection.cursor() as cursor:
        cursor.execute(f"NOTIFY {CHANNEL}")


def write_differences(
    order_number: str, facts: Iterable[DoorFacts], *, entry_key: bytes, read_at_version: int
) -> Compiled:
    """Make the entries of one order equal to `facts`, read when the feed had this version."""
    seen = _Seen(doors=set(), doubtful={})
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS door_facts, door_differences")
        cursor.execute(_STAGE)
        try:
            _copy_in(cursor, _known_doors(facts, seen), entry_key)
            _leave_doubtful_doors_open(cursor, seen, entry_key)
            cursor.execute("CREATE UNIQUE INDEX ON door_facts (login, device_key)")
            cursor.execute("ANALYZE door_facts")
            cursor.execute(_DIFFERENCES, [order_number])
            cursor.execute("SELECT count(*) FROM door_differences")
            written, removed = _apply(cursor, order_number, cursor.fetchone()[0], read_at_version)
        finally:
            if not connection.needs_rollback:
                cursor.execute("DROP TABLE IF EXISTS door_facts, door_differences")
    return Compiled(
        written=written,
        removed=removed,
        doubtful=len(seen.doubtful),
        without_key=seen.without_key,
        version=queries.feed_version(),
    )


def _apply(
    cursor: Any, order_number: str, differences: int, read_at_version: int
) -> tuple[int, int]:
    written = removed = 0
    for start in range(0, differences, _BATCH):
        with transaction.atomic():
            version = raise_version()
            cursor.execute(_WRITE, [version, start, start + _BATCH, read_at_version])
            written += cursor.rowcount
            cursor.execute(_REMOVE, [version, start, start + _BATCH, order_number])
            removed += cursor.rowcount
            tell_gates()
    return written, removed


def _known_doors(facts: Iterable[DoorFacts], seen: _Seen) -> Iterator[DoorFacts]:
    """Yield facts under the names that doors know, each door once."""
    for each in facts:
        login, device = normal_login(each.login), normal_device(each.device)
        if not device or len(login) > _LONGEST_LOGIN or len(device) > _LONGEST_DEVICE:
            seen.without_key += 1
            continue
        is_named = (login, device) == (each.login, each.device)
        named = each if is_named else replace(each, login=login, device=device)
        door = door_key(login, device)
        if door in seen.doors:
            seen.doubtful[door] = named
        else:
            seen.doors.add(door)
            yield named


def _copy_in(cursor: Any, facts: Iterable[DoorFacts], entry_key: bytes) -> None:
    """Copy facts in, a batch at a time: whoever yields them may read from the same connection."""
    coming = iter(facts)
    while batch := list(islice(coming, _BATCH)):
        with cursor.copy(f"COPY door_facts ({_COLUMNS}) FROM STDIN") as copy:
            for each in batch:
                copy.write_row(_row(each, entry_key))


def _leave_doubtful_doors_open(cursor: Any, seen: _Seen, entry_key: bytes) -> None:
    # Two devices that show one name: whichever knocks, the other might be the innocent one.
    for each in seen.doubtful.values():
        cursor.execute(
            "DELETE FROM door_facts WHERE login = %s AND device_key = %s",
            [each.login, each.device],
        )
        unsure = replace(each, entry=replace(each.entry, may_close=False))
        _copy_in(cursor, [unsure], entry_key)


def _row(facts: DoorFacts, entry_key: bytes) -> tuple[Any, ...]:
    entry = facts.entry
    sealed = seal(entry_key, door_key(facts.login, facts.device), body_of(entry))
    return (
        facts.login,
        facts.device,
        entry.order_number,
        facts.device_id,
        facts.person_id,
        entry.closes_at,
        entry.presence,
        entry.evidence_at,
        entry.fresh_until,
        entry.may_close,
        entry.noticed_at,
        entry.lock_accepted_at,
        entry.attested_at,
        entry.override_until,
        sealed.hex(),
    )
