"""Copies that nobody has read are taken away after a take-back, and counted person by person.

    about to (a row, committed) -> the mailbox is asked -> what it showed (the row, the log)

Never before the corrections are written down, and never instead of them: whoever got the notice is
corrected, whatever becomes of the copy. A round that is cut off is taken up by the next one; a copy
that is gone already is gone, so asking twice does no harm.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import transaction
from django.db.models import Q

from countermand.audit import actions as audit
from countermand.domain.delivery import Evidence, EvidenceKind
from countermand.domain.phases import Phase
from countermand.domain.withdrawal import (
    ASKED_AGAIN_AFTER,
    CopyAnswer,
    CopyState,
    MailCopy,
)
from countermand.notices import queries as mails
from countermand.orders.models import Order, WithdrawnCopy
from countermand.people import logins
from countermand.ports import CopyRemover, NoticeLedger

_A_ROUND: Final = 200
_PHASES: Final = (Phase.CORRECTING, Phase.CORRECTED)


@dataclass(frozen=True, slots=True)
class CopiesSoFar:
    """What became of the copies of an order, in mails."""

    asked: int
    withdrawn: int
    already_read: int
    not_found: int
    unknown: int


def withdraw(number: str, *, remover: CopyRemover, ledger: NoticeLedger, now: datetime) -> int:
    """Ask mailboxes about one round of copies; returns how many were asked about."""
    asked = _about_to(number, now)
    if not asked:
        return 0
    beside = logins.beside({row.person_id for row in asked})
    by_copy = {
        MailCopy(row.address, row.message_id, beside.get(row.person_id, ())): row for row in asked
    }
    answers = remover.withdraw(list(by_copy))
    _book(number, [(by_copy[each.copy], each) for each in answers], ledger, now)
    return len(asked)


@transaction.atomic(durable=True)
def _about_to(number: str, now: datetime) -> list[WithdrawnCopy]:
    """Write down what is to be asked, before anything is touched."""
    phase = Order.objects.filter(number=number).values_list("phase", flat=True).first()
    if phase not in _PHASES:
        return []
    _write_down(number, now)
    open_ones = WithdrawnCopy.objects.filter(_is_due(now), order_number=number)
    return list(open_ones.select_for_update(skip_locked=True).order_by("tries", "pk")[:_A_ROUND])


def _is_due(now: datetime) -> Q:
    """Choose the copies that are to be asked about now."""
    due = Q(tries=0)
    for tries, wait in enumerate(ASKED_AGAIN_AFTER, 1):
        due |= Q(tries=tries, answered_at__lte=now - wait)
    return due & Q(state__in=[CopyState.ASKED.value, CopyState.UNKNOWN.value])


def _write_down(number: str, now: datetime) -> None:
    rows = WithdrawnCopy.objects.filter(order_number=number)
    known = set(rows.values_list("notice_id", flat=True))
    fresh = [copy for copy in mails.copies(number) if copy.notice_id not in known]
    WithdrawnCopy.objects.bulk_create(
        (
            WithdrawnCopy(
                order_number=number,
                notice_id=copy.notice_id,
                person_id=copy.person_id,
                address=copy.address,
                message_id=copy.message_id,
                asked_at=now,
            )
            for copy in fresh
        ),
        batch_size=1000,
        ignore_conflicts=True,
    )


def take_up_late(number: str, *, now: datetime) -> None:
    """Write down copies of which it was heard after all others had been asked about.

    Where copies are not taken away nothing was begun, and nothing is.
    """
    if WithdrawnCopy.objects.filter(order_number=number).exists():
        _write_down(number, now)


@transaction.atomic(durable=True)
def _book(
    number: str,
    answers: Sequence[tuple[WithdrawnCopy, CopyAnswer]],
    ledger: NoticeLedger,
    now: datetime,
) -> None:
    for row, answer in answers:
        row.state, row.detail = answer.state.value, answer.detail[:200]
        row.answered_at = now
        row.tries += 1
    WithdrawnCopy.objects.bulk_update(
        [row for row, _ in answers], ["state", "detail", "answered_at", "tries"], batch_size=500
    )
    counts = Counter(answer.state.value for _, answer in answers)
    audit.record(
        "order.copies_withdrawn",
        order_number=number,
        actor_id=None,
        facts=dict(sorted(counts.items())),
        now=now,
    )
    ledger.evidence(
        evidence=[
            Evidence(row.notice_id, EvidenceKind.PULLED_UNREAD, now, "moved unread")
            for row, answer in answers
            if answer.state is CopyState.WITHDRAWN
        ]
    )


def so_far(number: str) -> CopiesSoFar:
    """Count what became of the copies of an order."""
    states = WithdrawnCopy.objects.filter(order_number=number).values_list("state", flat=True)
    found = Counter(states)
    return CopiesSoFar(**{state.value: found.get(state.value, 0) for state in CopyState})


def by_person(number: str) -> list[tuple[int, str, CopyState]]:
    """Return person, address and state of every copy, in the order in which they were sent."""
    rows = WithdrawnCopy.objects.filter(order_number=number).order_by("notice_id")
    return [
        (person_id, address, CopyState(state))
        for person_id, address, state in rows.values_list("person_id", "address", "state")
    ]


def open_orders(now: datetime) -> list[str]:
    """Return the orders of which mailboxes are to be asked now."""
    over = Order.objects.filter(phase=Phase.CORRECTING.value)
    asked = WithdrawnCopy.objects.filter(_is_due(now))
    begun = WithdrawnCopy.objects.values("order_number")
    never = Order.objects.filter(phase=Phase.CORRECTED.value).exclude(number__in=begun)
    return sorted(
        {*over.values_list("number", flat=True)}
        | {*never.values_list("number", flat=True)}
        | {*asked.values_list("order_number", flat=True).distinct()}
    )
