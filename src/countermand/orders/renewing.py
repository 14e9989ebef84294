"""No mail names a time that has come too near: after a pause, what waits is written anew.

A mail is frozen at birth, so the old row is given up unsent and a new one takes its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from countermand.domain.delivery import NoticeKind
from countermand.domain.order_parts import OrderDocument
from countermand.notices import actions as notices
from countermand.notices import queries as ledger
from countermand.orders import telling
from countermand.orders.cells import PersonCells, cells_of
from countermand.orders.models import Affected, Order, ToldDevice
from countermand.orders.planning import PlanContext, least_notice, promised_deadline


def renew_deadlines(
    order: Order, document: OrderDocument, *, context: PlanContext, now: datetime
) -> int:
    """Write anew what waits and would name a time too near, after a pause; returns how many.

    The old row is given up unsent, a mail being frozen at birth; the new one names a deadline that
    leaves the promised notice, and so does the record of the person.
    """
    least = least_notice(document)
    rows = {
        (row.person_id, row.step): row
        for row in ledger.waiting(order.number, kind=NoticeKind.NOTICE)
    }
    told: dict[tuple[int, int], list[ToldDevice]] = {}
    for device in ToldDevice.objects.filter(order=order):
        told.setdefault((device.person_id, device.step), []).append(device)
    listed = {
        row.person_id: row
        for row in Affected.objects.filter(
            order=order,
            revision_number=order.revision_number,
            person_id__in=[person_id for person_id, _ in rows],
        )
    }
    short = {
        key: row
        for key, row in rows.items()
        if (at := _named_deadline(told.get(key, ()), listed.get(key[0]))) is not None
        and at - max(row.due_at, now) < least
    }
    voice = telling.voice_of(order, document)
    for some in telling.sliced(sorted(short)):
        cells = {w.person.id: w for w in cells_of(document, {person_id for person_id, _ in some})}
        given_up = set(notices.give_up([short[key].notice_id for key in some]))
        _renew(
            voice,
            [
                (cells[key[0]], listed[key[0]], short[key].due_at, told.get(key, []))
                for key in some
                if short[key].notice_id in given_up and key[0] in cells
            ],
            context=context,
            now=now,
        )
    return len(short)


def _named_deadline(devices: Sequence[ToldDevice], row: Affected | None) -> datetime | None:
    named = [device.own_deadline_at for device in devices]
    return min(named, default=row.own_deadline_at if row else None)


def _renew(
    voice: telling.Voice,
    waiting: Iterable[tuple[PersonCells, Affected, datetime, list[ToldDevice]]],
    *,
    context: PlanContext,
    now: datetime,
) -> None:
    fresh: list[notices.NewNotice] = []
    moved: dict[int, datetime | None] = {}
    for whole, row, due_at, devices in waiting:
        due = max(due_at, now)
        deadline = promised_deadline(
            voice.document, whole.person, told_at=due, is_late=row.joined_at is not None
        )
        ids = {device.device_id for device in devices}
        cells = [cell for cell in whole.cells if cell.in_scope and cell.device.id in ids]
        if not devices:
            cells = [cell for cell in whole.cells if cell.in_scope]
        fresh.append(
            telling.notice_row(voice, whole, cells, row, due=due, deadline=deadline, now=now)
        )
        for device in devices:
            device.step, device.own_deadline_at = row.notices, deadline
        ToldDevice.objects.bulk_update(devices, ["step", "own_deadline_at"])
        moved[row.person_id] = row.own_deadline_at = deadline
        row.notices += 1
        row.save(update_fields=["own_deadline_at", "notices"])
    notices.add_notices(fresh, ids=context.ids)
    telling.deadlines_moved(voice.order, moved, now=now)
