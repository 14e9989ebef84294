"""To whom a reminder or a last notice may be due: found without reading anybody else.

What is due when follows from few things, deadlines and zones; who has them is looked up where they
lie. Whoever is found is looked at once more, one by one, by the rules of `domain.schedule`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import connection

from countermand.domain import schedule
from countermand.domain.order_parts import OrderDocument, Send
from countermand.notices import proof_sql
from countermand.orders import cell_sql
from countermand.orders.doors import STEPS_A_NOTICE
from countermand.orders.models import Order

_DEADLINES: Final = f"""
    SELECT DISTINCT told.own_deadline_at, person.zone
    FROM orders_tolddevice AS told
    JOIN ({cell_sql.EVERYBODY}) AS person ON person.person_id = told.person_id
    WHERE told.order_id = %(order)s AND (person.left_on IS NULL OR person.left_on > %(today)s)
"""  # noqa: S608  (constants of ours)
# A reminder is for whoever may still have to act, a last notice for whoever would lose mail.
_PEOPLE: Final = """
    WITH candidate AS (
        SELECT DISTINCT told.person_id, told.step, person.zone, known_at.at
        FROM orders_tolddevice AS told
        JOIN ({everybody}) AS person ON person.person_id = told.person_id
        JOIN unnest(%(deadlines)s::timestamptz[], %(zones)s::text[], %(places)s::int[],
                    %(instants)s::timestamptz[], %(last_words)s::boolean[])
            AS due (deadline, zone, place, at, is_last_word)
            ON due.deadline = told.own_deadline_at AND due.zone = person.zone
        JOIN ({told_at}) AS known_at
            ON known_at.person_id = told.person_id AND known_at.step = told.step
        JOIN ({devices}) AS known
            ON known.device_id = told.device_id AND known.person_id = told.person_id
        WHERE told.order_id = %(order)s
          AND (person.left_on IS NULL OR person.left_on > %(today)s)
          AND (due.is_last_word OR known_at.at < due.at)
          AND known.in_scope
          AND CASE WHEN due.is_last_word THEN known.loses_mail
                   ELSE known.presence <> 'absent'
                        AND NOT coalesce(known.attested_at >= known.evidence_at, false) END
          AND NOT EXISTS (
            SELECT FROM ({follow_ups}) AS done
            WHERE done.person_id = told.person_id
              AND done.step = told.step * %(steps_a_notice)s + due.place)
    )
    SELECT candidate.person_id, candidate.step, candidate.zone, candidate.at,
           max(told.own_deadline_at), array_agg(told.device_id),
           ARRAY(SELECT done.step %% %(steps_a_notice)s FROM ({follow_ups}) AS done
                 WHERE done.person_id = candidate.person_id
                   AND done.step / %(steps_a_notice)s = candidate.step)
    FROM candidate JOIN orders_tolddevice AS told
        ON told.order_id = %(order)s AND told.person_id = candidate.person_id
        AND told.step = candidate.step
    GROUP BY candidate.person_id, candidate.step, candidate.zone, candidate.at
    ORDER BY candidate.person_id, candidate.step
"""


@dataclass(frozen=True, slots=True)
class MaybeDue:
    """A notice of somebody to which something may follow now; `done` are the places of steps."""

    person_id: int
    step: int
    zone: str
    told_at: datetime
    own_deadline_at: datetime
    device_ids: frozenset[int]
    done: frozenset[int]


def deadlines(order: Order, *, now: datetime) -> list[tuple[datetime, str]]:
    """Return every own deadline and zone that somebody who was named has and who is still here."""
    with connection.cursor() as cursor:
        cursor.execute(_DEADLINES, {"order": order.number, "today": now.date()})
        return [(deadline, zone) for deadline, zone in cursor.fetchall()]


def whom_to_look_at(
    order: Order,
    document: OrderDocument,
    known: Collection[tuple[datetime, str]],
    *,
    now: datetime,
) -> Iterator[MaybeDue]:
    """Yield whoever was told and has a step whose instant is over and which is not done."""
    due = list(_due(document, known, now))
    if not due:
        return
    names = ("deadlines", "zones", "places", "instants", "last_words")
    devices = cell_sql.known_devices(document, now=now)
    given: dict[str, Any] = {
        **devices.parameters,
        **proof_sql.parameters(order.number, steps_a_notice=STEPS_A_NOTICE, now=now),
        **dict(zip(names, map(list, zip(*due, strict=True)), strict=True)),
    }
    sql = _PEOPLE.format(
        everybody=cell_sql.EVERYBODY,
        devices=devices.sql,
        told_at=proof_sql.TOLD_AT,
        follow_ups=proof_sql.FOLLOW_UPS,
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, given)
        rows = cursor.fetchall()
    for person_id, step, zone, told_at, deadline, device_ids, done in rows:
        yield MaybeDue(
            person_id, step, zone, told_at, deadline, frozenset(device_ids), frozenset(done)
        )


def _due(
    document: OrderDocument, known: Collection[tuple[datetime, str]], now: datetime
) -> Iterator[tuple[datetime, str, int, datetime, bool]]:
    """Yield deadline, zone, place, instant and "is a last word" of all steps that are due."""
    for deadline, zone in known:
        for place, step in enumerate(document.steps, start=1):
            if step.send is Send.CLOSE_DOOR:
                continue
            at = schedule.step_at(step, deadline, zone)
            is_last_word = step.send is Send.LOCK_NOTICE
            if at <= now and (is_last_word or now < deadline):
                yield deadline, zone, place, at, is_last_word
