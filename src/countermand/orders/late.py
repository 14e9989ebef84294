"""Whoever comes under an order later is told on the day, with a deadline of their own.

Hired later, a new phone, the app seen for the first time: found after an import, told under the
texts that were approved. Too many on one day is no trickle but a mistake somewhere: it pauses the
order, and a person decides.
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
from countermand.orders import cell_sql, rule_log, stepping, telling
from countermand.orders.cells import PersonCells, cells_of
from countermand.orders.documents import document_of
from countermand.orders.models import Affected, Order, ToldDevice
from countermand.orders.planning import PlanContext, own_deadline

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
    found = _whom_to_look_at(order, document, now)
    listed = set(
        Affected.objects.filter(
            order=order, revision_number=order.revision_number, person_id__in=found
        ).values_list("person_id", flat=True)
    )
    for whole in cells_of(document, found):
        if whole.person.id not in listed:
            fresh = {cell.device.id for cell in whole.concerned}
            yield _Late(whole, frozenset(fresh), is_new=True)
            continue
        seen = {c.device.id for c in whole.concerned if c.presence is Presence.PRESENT}
        told = ToldDevice.objects.filter(order=order, device_id__in=seen)
        fresh = seen - set(told.values_list("device_id", flat=True))
        yield _Late(whole, frozenset(fresh), is_new=False)


# Who was told of nothing yet, and what nobody was told of: found without reading anybody else.
_LATE: Final = """
    SELECT DISTINCT cell.person_id FROM ({cells}) AS cell
    LEFT JOIN orders_affected AS listed
        ON listed.order_id = %(order)s AND listed.revision_number = %(revision)s
        AND listed.person_id = cell.person_id
    WHERE cell.presence <> 'absent' AND (
        listed.id IS NULL
        OR (listed.notices > 0 AND cell.presence = 'present' AND NOT EXISTS (
            SELECT FROM orders_tolddevice AS told
            WHERE told.order_id = %(order)s AND told.device_id = cell.device_id)))
"""


def _whom_to_look_at(order: Order, document: OrderDocument, now: datetime) -> list[int]:
    cells = cell_sql.in_scope(document, now=now)
    given: dict[str, Any] = {"order": order.number, "revision": order.revision_number}
    with connection.cursor() as cursor:
        cursor.execute(_LATE.format(cells=cells.sql), {**cells.parameters, **given})
        return [row[0] for row in cursor.fetchall()]


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
    Affected.objects.bulk_create(fresh, batch_size=1000)
    new = {each.whole.person.id: deadlines[each.whole.person.id] for each in late if each.is_new}
    rule_log.people_came(order.number, new, now=now)
    for each in late:
        telling.tell_one(order, document, each.whole, each.device_ids, context=context, now=now)
    latest = max(filter(None, deadlines.values()))
    order.last_deadline_at = max(order.last_deadline_at or latest, latest)
    stepping.note(
        order,
        "order.late_joiners_told",
        actor_id=None,
        now=now,
        facts={"people": len(new), "devices_of_others": len(late) - len(new)},
    )
