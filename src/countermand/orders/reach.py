"""Whom an order reached, and whom it did not: those, too, for whom no mail was written yet.

A wave's mails are written down as it begins, so the ledger alone knows nobody of later waves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from django.db.models import OuterRef, QuerySet

from countermand.domain.phases import FINAL, Phase
from countermand.notices import queries as ledger
from countermand.notices.queries import Reach
from countermand.orders.models import Affected, Order
from countermand.orders.refusals import not_known

_OVER: Final = FINAL | {Phase.STOPPING, Phase.CORRECTING, Phase.CLOSED}


class NoMail(StrEnum):
    """Why somebody on the list of an order has no notice."""

    WAVE_NOT_BEGUN = "wave_not_begun"
    HAD_LEFT = "had_left"
    ENDED_FIRST = "ended_first"
    FORGOTTEN = "forgotten"


@dataclass(frozen=True, slots=True)
class Unwritten:
    """Somebody on the list of an order of whom the ledger has no notice, and why."""

    person_id: int
    why: NoMail


def of(number: str, written: Reach) -> Reach:
    """Return how many people got an order, may have got it, or did not get it.

    `written` is what the ledger says of those whose mails are written down.
    """
    waiting = _without_notice(_order(number)).filter(notices=0)  # others' mails are forgotten
    return replace(written, not_sent=written.not_sent + waiting.count())


def without_mail(number: str, *, person_id: int | None = None) -> list[Unwritten]:
    """Return everybody on the list for whom there is no notice; of one person, if that is given."""
    order = _order(number)
    listed = _without_notice(order)
    if person_id is not None:
        listed = listed.filter(person_id=person_id)
    rows = listed.order_by("person_id").values_list("person_id", "wave", "notices")
    return [Unwritten(each, _why(order, wave, notices)) for each, wave, notices in rows]


def _without_notice(order: Order) -> QuerySet[Affected]:
    return Affected.objects.filter(
        ~ledger.has_notice(order.number, OuterRef("person_id")),
        order=order,
        revision_number=order.revision_number,
    )


def _why(order: Order, wave: int, notices: int) -> NoMail:
    if notices:
        return NoMail.FORGOTTEN
    if (order.sending_at if wave else order.first_group_at) is not None:
        return NoMail.HAD_LEFT  # nobody else is passed over when a wave is written down
    return NoMail.ENDED_FIRST if order.phase in _OVER else NoMail.WAVE_NOT_BEGUN


def _order(number: str) -> Order:
    order = Order.objects.filter(number=number).first()
    if order is None:
        raise not_known(number, Order.objects.values_list("number", flat=True))
    return order
