"""What a relay kept past its time never names the old one.

A reminder stops at the deadline; a last notice is written anew, with a later time at which the
door then closes.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from countermand.domain.delivery import NoticeKind
from countermand.domain.order_parts import OrderDocument, Send
from countermand.domain.phases import TOLD_BEYOND_FIRST_GROUP
from countermand.domain.schedule import DueStep
from countermand.domain.verdict import LOCK_NOTICE_LEAD
from countermand.notices import actions as notices
from countermand.notices import queries as ledger
from countermand.notices import waiting as waiting_mails
from countermand.notices.waiting import Waiting
from countermand.orders import followups, stepping, telling
from countermand.orders.documents import document_of
from countermand.orders.doors import STEPS_A_NOTICE
from countermand.orders.models import Order, ToldDevice
from countermand.orders.planning import PlanContext

# Whether a mail that waits was kept is looked at after a while, and before its turn comes again.
_A_WHILE: Final = timedelta(minutes=5)
_AHEAD: Final = timedelta(minutes=2)
_TO_ARRIVE: Final = timedelta(minutes=15)  # between a last notice and the last instant for it


def may_be_kept(order: Order, now: datetime) -> bool:
    """Tell whether a reminder or a last notice that waits may name a time that is over."""
    at = order.first_deadline_at
    return at is not None and now > at - LOCK_NOTICE_LEAD - _AHEAD


def renew_what_was_kept(number: str, *, context: PlanContext, now: datetime) -> int:
    """Stop reminders kept past the deadline, write last notices anew; returns how many of both."""
    if not (_kept(number, NoticeKind.REMINDER, now) or _kept(number, NoticeKind.LOCK, now)):
        return 0
    return _renew_kept(number, context=context, now=now)


def _kept(number: str, kind: NoticeKind, now: datetime) -> list[Waiting]:
    return waiting_mails.of_kind(number, kind, due_by=now + _AHEAD, dated_by=now - _A_WHILE)


@transaction.atomic(durable=True)
def _renew_kept(number: str, *, context: PlanContext, now: datetime) -> int:
    order = stepping.locked(number)
    if order.phase not in TOLD_BEYOND_FIRST_GROUP:
        return 0
    document = document_of(stepping.current(order))
    soon = now + _AHEAD
    reminders = _named_by(order, _kept(number, NoticeKind.REMINDER, now), until=soon)
    found = len(notices.give_up([row.notice_id for row, _ in reminders]))
    last_words = _named_by(
        order, _kept(number, NoticeKind.LOCK, now), until=soon + LOCK_NOTICE_LEAD
    )
    for some in telling.sliced(last_words):
        given_up = set(notices.give_up([row.notice_id for row, _ in some]))
        kept = [each for each in some if each[0].notice_id in given_up]
        _say_anew(order, document, kept, context=context, now=now)
        found += len(kept)
    return found


def _named_by(
    order: Order, waiting: Collection[Waiting], *, until: datetime
) -> list[tuple[Waiting, list[ToldDevice]]]:
    """Return the mails that name a deadline not after `until`, with the devices concerned."""
    told: dict[tuple[int, int], list[ToldDevice]] = {}
    people = {row.person_id for row in waiting}
    for device in ToldDevice.objects.filter(order=order, person_id__in=people).order_by("pk"):
        told.setdefault((device.person_id, device.step), []).append(device)
    named = ((row, told.get((row.person_id, row.step // STEPS_A_NOTICE), [])) for row in waiting)
    return [
        (row, devices)
        for row, devices in named
        if devices and max(device.own_deadline_at for device in devices) <= until
    ]


def _say_anew(
    order: Order,
    document: OrderDocument,
    kept: Collection[tuple[Waiting, list[ToldDevice]]],
    *,
    context: PlanContext,
    now: datetime,
) -> None:
    """Write last notices with the time at which the door closes now; the records say so, too."""
    people = {row.person_id for row, _ in kept}
    told_at = ledger.told_at(order.number, people)
    said: dict[tuple[int, int], list[tuple[int, datetime]]] = {}
    for person_id, step, dated_at in ledger.follow_ups(order.number, NoticeKind.LOCK, people):
        notice, place = divmod(step, STEPS_A_NOTICE)
        said.setdefault((person_id, notice), []).append((place, dated_at))
    last_word = next(each for each in document.steps if each.send is Send.LOCK_NOTICE)
    due = []
    moved: dict[int, datetime | None] = {}
    for row, devices in kept:
        notice = row.step // STEPS_A_NOTICE
        before = said[row.person_id, notice]
        # Each time twice as far ahead: a relay that is away for days costs a handful of rows.
        waited = now - min(dated_at for _, dated_at in before)
        closes_at = _whole_minute(now + LOCK_NOTICE_LEAD + max(_TO_ARRIVE, waited))
        next_place = max(len(document.steps), *(place for place, _ in before)) + 1
        if next_place >= STEPS_A_NOTICE or (row.person_id, notice) not in told_at:
            continue
        ids = frozenset(device.device_id for device in devices)
        due.append(
            followups.Due(
                row.person_id,
                notice,
                ids,
                closes_at,
                told_at[row.person_id, notice],
                DueStep(next_place, last_word, now),
            )
        )
        for device in devices:
            device.own_deadline_at = closes_at
        ToldDevice.objects.bulk_update(devices, ["own_deadline_at"])
        moved[row.person_id] = max(moved.get(row.person_id) or closes_at, closes_at)
    followups.write(order, document, due, context=context, now=now)
    telling.deadlines_moved(order, moved, now=now)


def _whole_minute(at: datetime) -> datetime:
    return at.replace(second=0, microsecond=0) + timedelta(minutes=1)
