"""Which devices a notice named, and how many notices each person has: a statement for all of them.

Written row by row this took longer than everything else about telling somebody.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, NamedTuple

from django.db import connection

from countermand.orders.models import Affected


class Named(NamedTuple):
    """A device that a notice names, in which of its person's notices, and its deadline."""

    person_id: int
    device_id: int
    step: int
    own_deadline_at: datetime


_NAME: Final = """
    INSERT INTO orders_tolddevice AS told (order_id, person_id, device_id, step, own_deadline_at)
    SELECT %s, person_id, device_id, step, own_deadline_at
    FROM json_to_recordset(%s::json) AS named
        (person_id bigint, device_id bigint, step integer, own_deadline_at timestamptz)
    ON CONFLICT (order_id, device_id) DO UPDATE
        SET person_id = excluded.person_id, step = excluded.step,
            own_deadline_at = excluded.own_deadline_at
        WHERE told.person_id <> excluded.person_id
"""
_COUNT: Final = """
    UPDATE orders_affected AS listed
    SET own_deadline_at = told.own_deadline_at, notices = told.notices
    FROM json_to_recordset(%s::json) AS told
        (id bigint, own_deadline_at timestamptz, notices integer)
    WHERE listed.id = told.id
"""


def name_devices(order_number: str, named: Iterable[Named]) -> None:
    """Remember which devices were named; one that a notice of this person named stays as it is.

    One that was handed on is that of its new holder, who is told for the first time.
    """
    _execute(_NAME, order_number, [{**n._asdict(), "own_deadline_at": _at(n[3])} for n in named])


def keep_counts(rows: Iterable[Affected]) -> None:
    """Store the deadlines of listed people, and how many notices exist for each."""
    _execute(
        _COUNT,
        [
            {"id": row.pk, "own_deadline_at": _at(row.own_deadline_at), "notices": row.notices}
            for row in rows
        ],
    )


def _at(instant: datetime | None) -> str | None:
    return instant.isoformat() if instant else None


def _execute(statement: str, *given: Any) -> None:
    *others, rows = given
    with connection.cursor() as cursor:
        cursor.execute(statement, [*others, json.dumps(rows)])
