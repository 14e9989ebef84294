"""How entries of doors are read out of the database: a few that changed, or all of them at once.

All of them come as a stream in PostgreSQL's own binary form, with instants as whole numbers: so a
new gate is right within seconds also where it has to read a million.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final, LiteralString

import psycopg

from countermand.domain.device_key import door_key
from countermand.domain.door_record import SEAL_BYTES, body_of, body_of_numbers
from countermand.domain.verdict import (
    NEVER,
    EntryFacts,
    microseconds,
    order_bytes,
    presence_number,
)
from countermand.gate.table import FeedRow

_CHANGED: Final[LiteralString] = """
    SELECT id, version, deleted, login, device_key, order_number, presence, evidence_at,
           fresh_until, may_close, closes_at, noticed_at, lock_accepted_at, attested_at,
           override_until, checksum
    FROM enforcement_doorentry WHERE (version, id) > (%s, %s) ORDER BY version, id LIMIT %s
"""
_WAITING: Final[LiteralString] = """
    SELECT count(*) FROM (
        SELECT FROM enforcement_doorentry WHERE (version, id) > (%s, %s) LIMIT %s
    ) AS waiting
"""
_ALL: Final[LiteralString] = """
    COPY (
        SELECT login, device_key, order_number, presence, may_close, evidence_at, fresh_until,
               closes_at, noticed_at, lock_accepted_at, attested_at, override_until, checksum
        FROM enforcement_doorentry WHERE NOT deleted
    ) TO STDOUT (FORMAT BINARY)
"""
# An instant is eight bytes, microseconds since 2000: read as the number that it is.
_TYPES: Final = ("text", "text", "text", "text", "bool", *["int8"] * 7, "text")
_MICROSECONDS_TO_2000: Final = microseconds(datetime(2000, 1, 1, tzinfo=UTC))
_LONGEST_READING: Final[LiteralString] = "SET LOCAL statement_timeout = '15min'"


def changed(
    connection: psycopg.Connection[Any], version: int, row_id: int, most: int
) -> list[tuple[Any, ...]]:
    """Return at most so many rows above a place; their first two values are the place they end."""
    return connection.execute(_CHANGED, [version, row_id, most]).fetchall()


def waiting(connection: psycopg.Connection[Any], version: int, row_id: int, most: int) -> int:
    """Return how many rows are above a place, counted up to `most`."""
    row = connection.execute(_WAITING, [version, row_id, most]).fetchone()
    return int(row[0]) if row else 0


def change_of(row: tuple[Any, ...]) -> FeedRow | None:
    """Return what a row of `changed` says, None if it cannot be understood."""
    (_, _, deleted, login, device, number, presence, evidence, fresh, may_close,
     closes, noticed, lock, attested, override, checksum) = row  # fmt: skip
    door = door_key(login, device)
    if deleted:
        return FeedRow(door, number, None)
    facts = EntryFacts(
        order_number=number,
        presence=presence,
        evidence_at=evidence,
        fresh_until=fresh,
        may_close=may_close,
        closes_at=closes,
        noticed_at=noticed,
        lock_accepted_at=lock,
        attested_at=attested,
        override_until=override,
    )
    seal = _seal(checksum)
    return None if seal is None else FeedRow(door, number, body_of(facts) + seal)


def everything(connection: psycopg.Connection[Any]) -> Iterator[FeedRow | None]:
    """Return all entries in no order, None for each that cannot be understood.

    Must be called inside a transaction.
    """
    connection.execute(_LONGEST_READING)
    with connection.cursor().copy(_ALL) as copy:
        copy.set_types(_TYPES)
        for row in copy.rows():
            login, device, number, presence, may_close, *instants, checksum = row
            seal = _seal(checksum)
            if seal is None:
                yield None
                continue
            body = body_of_numbers(
                order_bytes(number),
                presence_number(presence),
                int(may_close),
                [NEVER if each is None else each + _MICROSECONDS_TO_2000 for each in instants],
            )
            yield FeedRow(door_key(login, device), number, body + seal)


def _seal(checksum: str) -> bytes | None:
    try:
        seal = bytes.fromhex(checksum)
    except ValueError:
        return None
    return seal if len(seal) == SEAL_BYTES else None
