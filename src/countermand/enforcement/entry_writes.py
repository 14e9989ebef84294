"""Entries are written set by set, and only where they differ from what doors know already.

Claims are compared inside the database; what differs is sealed here, a batch at a time. Each batch
is one transaction under a version of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any, Final

from django.db import connection, transaction

from countermand.domain.device_key import door_key
from countermand.domain.door_record import body_of, seal
from countermand.domain.verdict import EntryFacts
from countermand.enforcement import door_claims, queries
from countermand.enforcement.door_claims import Claims
from countermand.enforcement.door_facts import Compiled, DoorEntryRow, DoorFacts
from countermand.enforcement.models import DoorEntry
from countermand.gate.feed import CHANNEL

_BATCH: Final = 5_000
_FACTS: Final = (
    "closes_at",
    "presence",
    "evidence_at",
    "fresh_until",
    "may_close",
    "noticed_at",
    "lock_accepted_at",
    "attested_at",
    "override_until",
)
_NAMED: Final = ("device_id", "person_id", *_FACTS)
_THEIRS: Final = ", ".join(f"claim.{name}" for name in _NAMED)
_KNOWN: Final = ", ".join(f"known.{name}" for name in _NAMED)
# What is new or changed, and what is gone. Openings that doors know of, and overrides that hold,
# are kept whatever is claimed. Numbered, so that batches take them in turn.
_DIFFERENCES: Final = f"""
    CREATE TEMPORARY TABLE door_differences AS
    SELECT row_number() OVER () AS n, coalesce(claim.login, known.login) AS login,
           coalesce(claim.device_key, known.device_key) AS device_key, known.id AS entry_id,
           claim.login IS NULL AS gone, {_THEIRS}
    FROM (
        SELECT claim.login, claim.device_key, claim.device_id, claim.person_id, claim.closes_at,
               claim.presence, claim.evidence_at, claim.fresh_until, claim.may_close,
               claim.noticed_at, claim.lock_accepted_at,
               greatest(claim.attested_at, known.attested_at) AS attested_at,
               greatest(claim.override_until, lets.until) AS override_until
        FROM door_claims AS claim
        LEFT JOIN enforcement_doorentry AS known
            ON known.login = claim.login AND known.device_key = claim.device_key
            AND known.order_number = %(order)s AND known.attested_at IS NOT NULL
        LEFT JOIN (
            SELECT device_id, max(until) AS until FROM enforcement_override
            WHERE order_number = %(order)s AND until > %(now)s AND ended_at IS NULL
            GROUP BY device_id
        ) AS lets ON lets.device_id = claim.device_id
    ) AS claim
    FULL JOIN (
        SELECT * FROM enforcement_doorentry WHERE order_number = %(order)s
    ) AS known ON known.login = claim.login AND known.device_key = claim.device_key
    WHERE CASE WHEN claim.login IS NULL THEN NOT known.deleted AND ({{concerned}})
               ELSE known.id IS NULL OR known.deleted OR %(seal_anew)s
                    OR ROW({_THEIRS}) IS DISTINCT FROM ROW({_KNOWN}) END
"""  # noqa: S608  (constants of ours)
_OLD_PRESENT: Final = """
    SELECT known.id FROM door_differences AS x
    JOIN enforcement_doorentry AS known ON known.id = x.entry_id
    WHERE known.presence = 'present' AND NOT known.deleted
      AND (x.gone OR x.presence <> 'present')
"""
_BATCH_FACTS: Final = f"""
    SELECT n, login, device_key, {", ".join(_FACTS)} FROM door_differences
    WHERE n > %s AND n <= %s AND NOT gone
"""  # noqa: S608  (constants of ours)
# An opening that was written since the facts were read is never taken back by them.
_WRITE: Final = f"""
    INSERT INTO enforcement_doorentry AS d
        (login, device_key, order_number, {", ".join(_NAMED)}, checksum, version, deleted)
    SELECT x.login, x.device_key, %s, {", ".join(f"x.{name}" for name in _NAMED)},
           sealed.checksum, %s, false
    FROM door_differences x JOIN door_seals sealed USING (n)
    ON CONFLICT (login, device_key, order_number) DO UPDATE SET
        {", ".join(f"{name} = EXCLUDED.{name}" for name in _NAMED)},
        checksum = EXCLUDED.checksum, version = EXCLUDED.version, deleted = false
    WHERE coalesce(d.attested_at, '-infinity') <= coalesce(EXCLUDED.attested_at, '-infinity')
      AND (d.version <= %s OR d.override_until IS NULL
           OR d.override_until <= coalesce(EXCLUDED.override_until, '-infinity'))
"""  # noqa: S608  (constants of ours)
_REMOVE: Final = """
    UPDATE enforcement_doorentry d SET deleted = true, version = %s
    FROM door_differences x
    WHERE x.n > %s AND x.n <= %s AND x.gone AND d.id = x.entry_id
"""
_RAISE: Final = """
    INSERT INTO enforcement_feedhead AS head (id, version) VALUES (1, 1)
    ON CONFLICT (id) DO UPDATE SET version = head.version + 1
    RETURNING version
"""
_CLEAN: Final = "DROP TABLE IF EXISTS door_differences, door_seals"


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
    order_number: str,
    claims: Claims | Iterable[DoorFacts],
    *,
    entry_key: bytes,
    read_at_version: int,
    now: datetime,
    person_ids: Collection[int] | None = None,
) -> Compiled:
    """Make the entries of one order equal to what is claimed, read when the feed had this version.

    With `person_ids` the claims are those of these people alone, and so is what is taken away.
    """
    with connection.cursor() as cursor:
        cursor.execute(_CLEAN)
        try:
            laid_out = door_claims.lay_out(cursor, claims)
            differences = _compare(cursor, order_number, entry_key, now, person_ids)
            shown_before = _shown_before(cursor)
            written, removed = _apply(cursor, order_number, differences, read_at_version, entry_key)
        finally:
            if not connection.needs_rollback:
                cursor.execute(_CLEAN)
                cursor.execute(door_claims.CLEAN)
    return Compiled(
        written=written,
        removed=removed,
        doubtful=laid_out.doubtful,
        without_key=laid_out.without_key,
        version=queries.feed_version(),
        no_longer_present=shown_before,
    )


def _compare(
    cursor: Any,
    order_number: str,
    entry_key: bytes,
    now: datetime,
    person_ids: Collection[int] | None,
) -> int:
    given = {
        "order": order_number,
        "now": now,
        "seal_anew": not _is_sealed(order_number, entry_key),
        "people": list(person_ids or ()),
    }
    concerned = "true" if person_ids is None else "known.person_id = ANY(%(people)s)"
    cursor.execute(_DIFFERENCES.format(concerned=concerned), given)
    cursor.execute("CREATE INDEX ON door_differences (n)")
    cursor.execute("ANALYZE door_differences")
    cursor.execute("SELECT count(*) FROM door_differences")
    return int(cursor.fetchone()[0])


def _is_sealed(order_number: str, entry_key: bytes) -> bool:
    """Tell whether the oldest entry bears a seal of this key: with another, all are sealed anew."""
    rows = DoorEntry.objects.filter(order_number=order_number, deleted=False)
    row = rows.order_by("version").first()
    if row is None:
        return True
    body = body_of(queries.facts_of(row))
    return row.checksum == seal(entry_key, door_key(row.login, row.device_key), body).hex()


def _shown_before(cursor: Any) -> tuple[DoorEntryRow, ...]:
    """Return the entries as they were that said the app is there, and will not any more."""
    cursor.execute(_OLD_PRESENT)
    return queries.entries_by_id([row[0] for row in cursor.fetchall()])


def _apply(
    cursor: Any, order_number: str, differences: int, read_at_version: int, entry_key: bytes
) -> tuple[int, int]:
    written = removed = 0
    for start in range(0, differences, _BATCH):
        _seal(cursor, order_number, start, entry_key)
        with transaction.atomic():
            version = raise_version()
            cursor.execute(_WRITE, [order_number, version, read_at_version])
            written += cursor.rowcount
            cursor.execute(_REMOVE, [version, start, start + _BATCH])
            removed += cursor.rowcount
            tell_gates()
    return written, removed


def _seal(cursor: Any, order_number: str, start: int, entry_key: bytes) -> None:
    """Lay the seals of one batch beside its facts."""
    cursor.execute("DROP TABLE IF EXISTS door_seals")
    cursor.execute("CREATE TEMPORARY TABLE door_seals (n bigint PRIMARY KEY, checksum text)")
    cursor.execute(_BATCH_FACTS, [start, start + _BATCH])
    rows = cursor.fetchall()
    with cursor.copy("COPY door_seals FROM STDIN") as copy:
        for n, login, device_key, *facts in rows:
            body = body_of(EntryFacts(order_number, **dict(zip(_FACTS, facts, strict=True))))
            copy.write_row((n, seal(entry_key, door_key(login, device_key), body).hex()))
