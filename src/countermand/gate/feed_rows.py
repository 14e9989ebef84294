"""How entries of doors are read out of the database: a few that changed, or all of them at once.

PostgreSQL itself writes what a record holds behind its order's number, so that a gate is right
within seconds also where it has to read a million. `domain.door_record` says what a record is, and
a test holds the two equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, Final, LiteralString, NamedTuple

import psycopg

from countermand.domain.device_key import named_door_key
from countermand.domain.door_record import RECORD_BYTES
from countermand.domain.verdict import order_bytes
from countermand.gate.table import FeedRow

# PostgreSQL counts microseconds from 2000, a record from 1970; the least number stands for none.
_AT_2000: Final[LiteralString] = "interval '946684800 seconds'"
_NONE: Final[LiteralString] = "'\\x8000000000000000'"
_ENTRY: Final[LiteralString] = f"""
    convert_to(login, 'UTF8') || '\\x00' || convert_to(device_key, 'UTF8'), order_number, deleted,
    CASE presence WHEN 'present' THEN '\\x01'::bytea WHEN 'absent' THEN '\\x02'
                  WHEN 'unobservable' THEN '\\x03' ELSE '\\x00' END
    || CASE WHEN may_close THEN '\\x01'::bytea ELSE '\\x00' END
    || coalesce(timestamptz_send(evidence_at + {_AT_2000}), {_NONE})
    || coalesce(timestamptz_send(fresh_until + {_AT_2000}), {_NONE})
    || timestamptz_send(closes_at + {_AT_2000})
    || coalesce(timestamptz_send(noticed_at + {_AT_2000}), {_NONE})
    || coalesce(timestamptz_send(lock_accepted_at + {_AT_2000}), {_NONE})
    || coalesce(timestamptz_send(attested_at + {_AT_2000}), {_NONE})
    || coalesce(timestamptz_send(override_until + {_AT_2000}), {_NONE}), checksum
"""
_CHANGED: Final[LiteralString] = f"""
    SELECT {_ENTRY}, version, id FROM enforcement_doorentry
    WHERE (version, id) > (%s, %s) ORDER BY version, id LIMIT %s
"""  # noqa: S608  (constants of ours)
_WAITING: Final[LiteralString] = """
    SELECT count(*) FROM (
        SELECT FROM enforcement_doorentry WHERE (version, id) > (%s, %s) LIMIT %s
    ) AS waiting
"""
_ALL: Final[LiteralString] = f"SELECT {_ENTRY} FROM enforcement_doorentry WHERE NOT deleted"  # noqa: S608
_AT_ONCE: Final = 2_000  # so that the thread that answers gets its turn
_LONGEST_READING: Final[LiteralString] = "SET LOCAL statement_timeout = '15min'"


class Changes(NamedTuple):
    """What changed above a place, up to another; None for each row that cannot be understood."""

    rows: list[FeedRow | None]
    version: int
    row_id: int


def changed(connection: psycopg.Connection[Any], version: int, row_id: int, most: int) -> Changes:
    """Return at most so many rows above a place, in the order in which they were committed."""
    rows: list[FeedRow | None] = []
    with connection.cursor(binary=True) as cursor:
        cursor.execute(_CHANGED, [version, row_id, most])
        while found := cursor.fetchmany(_AT_ONCE):
            rows += map(_change, found)
            *_, version, row_id = found[-1]
    return Changes(rows, version, row_id)


def waiting(connection: psycopg.Connection[Any], version: int, row_id: int, most: int) -> int:
    """Return how many rows are above a place, counted up to `most`."""
    row = connection.execute(_WAITING, [version, row_id, most]).fetchone()
    return int(row[0]) if row else 0


def everything(connection: psycopg.Connection[Any]) -> Iterator[FeedRow | None]:
    """Return all entries in no order, None for each that cannot be understood.

    Must be called inside a transaction.
    """
    connection.execute(_LONGEST_READING)
    with connection.cursor("all_entries", binary=True) as cursor:
        cursor.execute(_ALL)
        while found := cursor.fetchmany(_AT_ONCE):
            yield from map(_change, found)


def _change(row: Sequence[Any]) -> FeedRow | None:
    names, number, deleted, facts, checksum, *_ = row
    door = named_door_key(names)
    if deleted:
        return FeedRow(door, number, None)
    try:
        record = _order(number) + facts + bytes.fromhex(checksum)
    except ValueError:
        return None
    return FeedRow(door, number, record) if len(record) == RECORD_BYTES else None


_order = lru_cache(maxsize=256)(order_bytes)
