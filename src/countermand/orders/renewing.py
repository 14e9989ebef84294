"""No mail names a time that has come too near: what had to wait too long is written anew.

After a pause at once; and while a relay is away or puts mails off, before they leave after all.

A mail is frozen at birth, so the old row is given up unsent and a new one takes its place.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Self

from django.db import transaction

from countermand.domain.delivery import NoticeKind
from countermand.domain.order_parts import OrderDocument
from countermand.domain.order_sections import MINIMUM_NOTICE
from countermand.domain.phases import TOLD_BEYOND_FIRST_GROUP, Phase
from countermand.notices import actions as notices
from countermand.notices import waiting as waiting_mails
from countermand.notices.waiting import Waiting
from countermand.orders import shared_use, stepping, telling
from countermand.orders.cells import PersonCells, cells_of
from countermand.orders.documents import document_of
from countermand.orders.models import Affected, Order, ToldDevice
from countermand.orders.planning import PlanContext, least_notice, promised_deadline
from countermand.people import queries as people

MAY_BE_LATE: Final = TOLD_BEYOND_FIRST_GROUP | {Phase.CANARY}
# So long a mail may wait for its turn at a busy relay without being written anew.
_A_WHILE: Final = timedelta(hours=1)
# Looked at before its turn comes again, and before a sender is quicker.
_AHEAD: Final = timedelta(minutes=2)


def is_near(order: Order, now: datetime) -> bool:
    """Tell whether a mail that waits may name a time too near; mostly it cannot."""
    at = order.first_deadline_at
    return at is not None and now > at - MINIMUM_NOTICE + _A_WHILE


def renew_what_was_kept(number: str, *, context: PlanContext, now: datetime) -> int:
    """Write anew what a relay kept waiting until its deadline came too near; returns how many."""
    kept = _kept(number, now)
    return _renew_kept(number, context=context, now=now) if kept else 0


def _kept(number: str, now: datetime) -> list[Waiting]:
    return waiting_mails.of_kind(
        number, NoticeKind.NOTICE, due_by=now + _AHEAD, dated_by=now - _A_WHILE
    )


@transaction.atomic(durable=True)
def _renew_kept(number: str, *, context: PlanContext, now: datetime) -> int:
    order = stepping.locked(number)
    if order.phase not in MAY_BE_LATE:
        return 0
    document = document_of(stepping.current(order))
    least = least_notice(document) - _A_WHILE
    return _renew_short(order, document, _kept(number, now), least, context=context, now=now)


def renew_deadlines(
    order: Order, document: OrderDocument, *, context: PlanContext, now: datetime
) -> int:
    """Write anew what waits and would name a time too near, after a pause; returns how many.

    The old row is given up unsent, a mail being frozen at birth; the new one names a deadline that
    leaves the promised notice, and so does the record of the person.
    """
    waiting = waiting_mails.of_kind(order.number, NoticeKind.NOTICE)
    least = least_notice(document)
    return _renew_short(order, document, waiting, least, context=context, now=now)


def _renew_short(
    order: Order,
    document: OrderDocument,
    waiting: Iterable[Waiting],
    least: timedelta,
    *,
    context: PlanContext,
    now: datetime,
) -> int:
    rows = list(waiting)
    named = _Named.of(order, rows)
    short = [
        row
        for row in rows
        if (at := named.deadline(row)) is not None and at - max(row.due_at, now) < least
    ]
    _write_anew(order, document, short, named, context=context, now=now)
    return len(short)


def write_anew(
    order: Order,
    document: OrderDocument,
    waiting: Sequence[Waiting],
    *,
    context: PlanContext,
    now: datetime,
) -> None:
    """Give up notices that wait, and write others in their place, by what is known of people now.

    One that a sender took in hand meanwhile stays as it is.
    """
    _write_anew(order, document, waiting, _Named.of(order, waiting), context=context, now=now)


@dataclass(frozen=True, slots=True)
class _Named:
    """What waiting notices name: the devices, by person and step, and people on the list."""

    told: Mapping[tuple[int, int], Sequence[ToldDevice]]
    listed: Mapping[int, Affected]

    @classmethod
    def of(cls, order: Order, waiting: Iterable[Waiting]) -> Self:
        people = {row.person_id for row in waiting}
        told: dict[tuple[int, int], list[ToldDevice]] = {}
        for device in ToldDevice.objects.filter(order=order, person_id__in=people):
            told.setdefault((device.person_id, device.step), []).append(device)
        listed = Affected.objects.filter(
            order=order, revision_number=order.revision_number, person_id__in=people
        )
        return cls(told, {row.person_id: row for row in listed})

    def devices(self, row: Waiting) -> Sequence[ToldDevice]:
        return self.told.get((row.person_id, row.step), ())

    def deadline(self, row: Waiting) -> datetime | None:
        listed = self.listed.get(row.person_id)
        named = [device.own_deadline_at for device in self.devices(row)]
        return min(named, default=listed.own_deadline_at if listed else None)


def _write_anew(
    order: Order,
    document: OrderDocument,
    waiting: Sequence[Waiting],
    named: _Named,
    *,
    context: PlanContext,
    now: datetime,
) -> None:
    if not waiting:
        return
    voice = telling.voice_of(order, document)
    for some in telling.sliced(sorted(waiting, key=lambda row: (row.person_id, row.step))):
        cells = {w.person.id: w for w in cells_of(document, {row.person_id for row in some})}
        given_up = set(notices.give_up([row.notice_id for row in some]))
        _renew(
            voice,
            [
                (cells[row.person_id], named.listed[row.person_id], row.due_at, named.devices(row))
                for row in some
                if row.notice_id in given_up and row.person_id in cells
            ],
            context=context,
            now=now,
        )


def _renew(
    voice: telling.Voice,
    waiting: Sequence[tuple[PersonCells, Affected, datetime, Sequence[ToldDevice]]],
    *,
    context: PlanContext,
    now: datetime,
) -> None:
    fresh: list[notices.NewNotice] = []
    moved: dict[int, datetime | None] = {}
    latest: list[datetime] = []
    wholes = [whole for whole, *_ in waiting]
    also = shared_use.beside(voice.document, wholes, people.mail_readers())
    all_named = _devices_named(voice.order, {whole.person.id for whole in wholes})
    for whole, row, due_at, devices in waiting:
        due = max(due_at, now)
        ids = {device.device_id for device in devices}
        # Another notice named the others: their deadline, and the person's own, stays what it was.
        is_further = bool(all_named.get(row.person_id, set()) - ids)
        deadline = promised_deadline(
            voice.document,
            whole.person,
            told_at=due,
            is_late=is_further or row.joined_at is not None,
        )
        cells = [cell for cell in whole.cells if cell.in_scope and cell.device.id in ids]
        if not devices:
            cells = [cell for cell in whole.cells if cell.in_scope]
        fresh.append(
            telling.notice_row(
                voice, whole, cells, row, due=due, deadline=deadline, now=now, beside=also
            )
        )
        for device in devices:
            device.step, device.own_deadline_at = row.notices, deadline
        ToldDevice.objects.bulk_update(devices, ["step", "own_deadline_at"])
        latest.append(deadline)
        if not is_further:
            moved[row.person_id] = row.own_deadline_at = deadline
        row.notices += 1
        row.save(update_fields=["own_deadline_at", "notices"])
    notices.add_notices(fresh, ids=context.ids)
    telling.deadlines_moved(voice.order, moved, latest=latest, now=now)


def _devices_named(order: Order, person_ids: Collection[int]) -> dict[int, set[int]]:
    """Return the devices that any notice named, by person."""
    named: dict[int, set[int]] = {}
    rows = ToldDevice.objects.filter(order=order, person_id__in=person_ids)
    for person_id, device_id in rows.values_list("person_id", "device_id"):
        named.setdefault(person_id, set()).add(device_id)
    return named
