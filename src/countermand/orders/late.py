"""Whoever comes under an order later is told on the day, with a deadline of their own.

Hired later, back after having left before they were told, a new phone, the app seen for the first
time: found after an import, told under the texts that were approved. Too many on one day is no
trickle but a mistake somewhere: it pauses the order, and a person decides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection, transaction

from countermand.domain import plan
from countermand.domain.order_parts import OrderDocument
from countermand.domain.phases import TOLD_BEYOND_FIRST_GROUP
from countermand.domain.plan import AffectedBy
from countermand.domain.presence import Presence
from countermand.notices import waiting
from countermand.notices.waiting import TOLD_OR_TO_BE_TOLD
from countermand.orders import cell_sql, recipients, rule_log, stepping, telling
from countermand.orders.cells import PersonCells, cells_of
from countermand.orders.documents import document_of
from countermand.orders.models import Affected, Order, ToldDevice
from countermand.orders.planning import PlanContext, own_deadline
from countermand.people import queries as people

_A_DAY: Final = timedelta(days=1)
# The wave of those who joined late; they are in none.
LATE: Final = -1


@dataclass(frozen=True, slots=True)
class Surge:
    """So many people would join on one day that the order has to pause."""

    number: str
    joined: int
    people: int


@dataclass(frozen=True, slots=True)
class _Late:
    whole: PersonCells
    device_ids: frozenset[int]
    is_new: bool


def tell_late_joiners(
    number: str, *, learned: str, context: PlanContext, now: datetime
) -> int | Surge:
    """Tell whoever came under an order since it was looked at last; returns how many, or a surge.

    Costs nothing, and locks nothing, while `learned`, the stamp of all that sources and the
    directory have said, is the same, and the day.
    """
    known = hashlib.sha256(f"{learned} {now.date().isoformat()}".encode()).hexdigest()
    if Order.objects.filter(number=number, looked_for_late=known).exists():
        return 0
    return _tell_late_joiners(number, known, context=context, now=now)


@transaction.atomic(durable=True)
def _tell_late_joiners(
    number: str, known: str, *, context: PlanContext, now: datetime
) -> int | Surge:
    order = stepping.locked(number)
    if order.phase not in TOLD_BEYOND_FIRST_GROUP or order.looked_for_late == known:
        return 0
    document = document_of(stepping.current(order))
    # Before anybody else is: whoever left and is back is one of them.
    recipients.give_up_what_goes_astray(order, document, context=context, now=now)
    if now.date() > document.scope.late_joiners.until:
        return 0
    late = list(_late(order, document, now))
    listed = Affected.objects.filter(order=order, revision_number=order.revision_number)
    today = listed.filter(joined_at__gt=now - _A_DAY).count() + len(late)
    is_allowed = order.surge_allowed_until is not None and now < order.surge_allowed_until
    cap = document.scope.late_joiners.cap_per_day
    if (
        late
        and not is_allowed
        and plan.is_surge(joined_today=today, people=listed.count(), cap_per_day=cap)
    ):
        return Surge(number=number, joined=today, people=listed.count())
    _tell(order, document, late, context=context, now=now)
    order.looked_for_late = known
    order.save(update_fields=["looked_for_late", "last_deadline_at"])
    return len(late)


def _late(order: Order, document: OrderDocument, now: datetime) -> Iterator[_Late]:
    """Find people who are not on the list, and devices that no notice named.

    Somebody who was told hears of another device only once the app was seen on it.
    """
    found, untold = _whom_to_look_at(order, document, now)
    for whole in cells_of(document, found):
        if whole.person.id in untold:
            fresh = {cell.device.id for cell in whole.concerned}
            yield _Late(whole, frozenset(fresh), is_new=True)
            continue
        seen = {c.device.id for c in whole.concerned if c.presence is Presence.PRESENT}
        told = ToldDevice.objects.filter(order=order, device_id__in=seen, person_id=whole.person.id)
        fresh = seen - set(told.values_list("device_id", flat=True))
        yield _Late(whole, frozenset(fresh), is_new=False)


# Who was told of nothing yet, and what nobody was told of: found without reading anybody else.
# Everybody on the list was told by now, or has a notice that waits, but who had left at that time.
_LATE: Final = f"""
    SELECT DISTINCT cell.person_id, known.person_id IS NULL FROM ({{cells}}) AS cell
    LEFT JOIN (SELECT DISTINCT person_id FROM ({TOLD_OR_TO_BE_TOLD}) AS mail) AS known
        ON known.person_id = cell.person_id
    WHERE cell.presence <> 'absent' AND (
        known.person_id IS NULL
        OR (cell.presence = 'present' AND NOT EXISTS (
            SELECT FROM orders_tolddevice AS told
            WHERE told.order_id = %(order)s AND told.device_id = cell.device_id
              AND told.person_id = cell.person_id)))
"""  # noqa: S608  (constants of ours)


def _whom_to_look_at(
    order: Order, document: OrderDocument, now: datetime
) -> tuple[list[int], set[int]]:
    """Return whom to look at, and who of them was never told."""
    cells = cell_sql.in_scope(document, now=now)
    given: dict[str, Any] = waiting.parameters(order.number)
    with connection.cursor() as cursor:
        cursor.execute(_LATE.format(cells=cells.sql), {**cells.parameters, **given})
        rows = cursor.fetchall()
    return [person for person, _ in rows], {person for person, is_untold in rows if is_untold}


def _tell(
    order: Order,
    document: OrderDocument,
    late: list[_Late],
    *,
    context: PlanContext,
    now: datetime,
) -> None:
    if not late:
        return
    deadlines: dict[int, datetime | None] = {}
    fresh = []
    for each in late:
        person = each.whole.person
        deadlines[person.id] = own_deadline(document, person, told_at=now)
        if each.is_new:
            fresh.append(
                Affected(
                    order=order,
                    revision_number=order.revision_number,
                    person_id=person.id,
                    wave=LATE,
                    reason=AffectedBy.LATE.value,
                    joined_at=now,
                    own_deadline_at=deadlines[person.id],
                )
            )
    Affected.objects.bulk_create(
        fresh,
        batch_size=1000,
        update_conflicts=True,  # whoever is back is on the list, and joins it anew
        unique_fields=["order", "revision_number", "person_id"],
        update_fields=["joined_at", "own_deadline_at"],
    )
    new = {each.whole.person.id: deadlines[each.whole.person.id] for each in late if each.is_new}
    rule_log.people_came(order.number, new, now=now)
    readers = people.mail_readers()
    for each in late:
        telling.tell_one(
            order,
            document,
            each.whole,
            each.device_ids,
            readers=readers,
            context=context,
            now=now,
        )
    latest = max(filter(None, deadlines.values()))
    order.last_deadline_at = max(order.last_deadline_at or latest, latest)
    stepping.note(
        order,
        "order.late_joiners_told",
        actor_id=None,
        now=now,
        facts={"people": len(new), "devices_of_others": len(late) - len(new)},
    )
