"""Claims of doors, laid out in the database: which device says that it reads mail through which.

They come as a statement that is never read here, or one by one. Names are folded as
`domain.device_key` folds them, in the database where that only writes small letters.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from countermand.domain.device_key import normal_device, normal_login
from countermand.enforcement.door_facts import DoorFacts

LONGEST_LOGIN: Final = 320
LONGEST_DEVICE: Final = 300
# Of `address` and `value`: perhaps-hexadecimal words and other letters are left to Python.
IS_PLAIN: Final = """
    (address ~ '^[!-~]+$' AND value ~ '^[!-~]+$'
     AND lower(value COLLATE "C") !~ '^([2-7][0-9a-f]){6,}$')
"""
_FACTS: Final = (
    "device_id, person_id, place, closes_at, presence, evidence_at, fresh_until, may_close,"
    " noticed_at, lock_accepted_at, attested_at, override_until"
)
_LAY_OUT: Final = f"""
    CREATE TEMPORARY TABLE door_claims AS
    SELECT address, value,
           CASE WHEN {IS_PLAIN} THEN lower(address COLLATE "C") END AS login,
           lower(value COLLATE "C") AS device_key, {_FACTS}
    FROM ({{claims}}) AS claim
"""  # noqa: S608  (constants of ours)
_ODD: Final = "SELECT ctid::text, address, value FROM door_claims WHERE login IS NULL"
_FOLDED: Final = """
    UPDATE door_claims SET login = folded.login, device_key = folded.device_key
    FROM folded_doors AS folded WHERE folded.claim = door_claims.ctid
"""
_NAMELESS: Final = """
    DELETE FROM door_claims
    WHERE device_key = '' OR length(login) > %s OR length(device_key) > %s
"""
# Two devices that show one name: whichever knocks, the other might be the innocent one.
_DOUBTFUL: Final = """
    CREATE TEMPORARY TABLE doubtful_doors AS
    SELECT login, device_key FROM door_claims GROUP BY login, device_key HAVING count(*) > 1
"""
_ONE_CLAIM_EACH: Final = """
    DELETE FROM door_claims WHERE ctid IN (
        SELECT claim FROM (
            SELECT door_claims.ctid AS claim, row_number() OVER (
                PARTITION BY login, device_key
                ORDER BY person_id DESC, device_id DESC, place DESC) AS nth
            FROM door_claims JOIN doubtful_doors USING (login, device_key)
        ) AS numbered WHERE nth > 1)
"""
_LEFT_OPEN: Final = """
    UPDATE door_claims SET may_close = false FROM doubtful_doors AS doubtful
    WHERE door_claims.login = doubtful.login AND door_claims.device_key = doubtful.device_key
"""
CLEAN: Final = "DROP TABLE IF EXISTS door_claims, folded_doors, doubtful_doors"
_NOBODYS: Final = """
    SELECT NULL::text AS address, NULL::text AS value, NULL::bigint AS device_id,
           NULL::bigint AS person_id, NULL::bigint AS place, NULL::timestamptz AS closes_at,
           NULL::varchar AS presence, NULL::timestamptz AS evidence_at,
           NULL::timestamptz AS fresh_until, NULL::boolean AS may_close,
           NULL::timestamptz AS noticed_at, NULL::timestamptz AS lock_accepted_at,
           NULL::timestamptz AS attested_at, NULL::timestamptz AS override_until
    WHERE false
"""


@dataclass(frozen=True, slots=True)
class Claims:
    """A statement that gives every door of every device that an order concerns, with its facts.

    Columns: address and value (login and device, in any spelling), place (of several names of one
    device), device_id, person_id, and those of `EntryFacts` but the order.
    """

    sql: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LaidOut:
    """How many doors two devices claim, and how many claims name no device at all."""

    doubtful: int
    without_key: int


def lay_out(cursor: Any, claims: Claims | Iterable[DoorFacts]) -> LaidOut:
    """Fill `door_claims`: one claim a door, under the name that doors know."""
    cursor.execute(CLEAN)
    if isinstance(claims, Claims):
        cursor.execute(_LAY_OUT.replace("{claims}", claims.sql), claims.parameters)
        _fold(cursor)
    else:
        cursor.execute(_LAY_OUT.replace("{claims}", _NOBODYS))
        _copy_in(cursor, claims)
    cursor.execute(_NAMELESS, [LONGEST_LOGIN, LONGEST_DEVICE])
    without_key = cursor.rowcount
    cursor.execute(_DOUBTFUL)
    cursor.execute("SELECT count(*) FROM doubtful_doors")
    doubtful = cursor.fetchone()[0]
    if doubtful:
        cursor.execute(_ONE_CLAIM_EACH)
        cursor.execute(_LEFT_OPEN)
    # What they are compared by; of all columns it would take as long as laying them out.
    cursor.execute("ANALYZE door_claims (login, device_key)")
    return LaidOut(doubtful, without_key)


def _fold(cursor: Any) -> None:
    cursor.execute(_ODD)
    if odd := cursor.fetchall():
        cursor.execute(
            "CREATE TEMPORARY TABLE folded_doors (claim tid, login text, device_key text)"
        )
        with cursor.copy("COPY folded_doors FROM STDIN") as copy:
            for claim, address, value in odd:
                copy.write_row((claim, normal_login(address), normal_device(value)))
        cursor.execute(_FOLDED)


def _copy_in(cursor: Any, facts: Iterable[DoorFacts]) -> None:
    rows = list(_rows(facts))  # whoever yields them may read from the same connection
    with cursor.copy(f"COPY door_claims (login, device_key, {_FACTS}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _rows(facts: Iterable[DoorFacts]) -> Iterator[tuple[Any, ...]]:
    for place, each in enumerate(facts):
        entry = each.entry
        yield (
            normal_login(each.login),
            normal_device(each.device),
            each.device_id,
            each.person_id,
            place,
            entry.closes_at,
            entry.presence,
            entry.evidence_at,
            entry.fresh_until,
            entry.may_close,
            entry.noticed_at,
            entry.lock_accepted_at,
            entry.attested_at,
            entry.override_until,
        )
