"""What an order left of people in this room is forgotten with its mails, by batches, with a log.

That is who checked or reported a mail, which devices notices named, and what became of copies.
What checks only limit others by is forgotten sooner: it says nothing about anybody of ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from countermand.audit import actions as audit
from countermand.domain.check_code import LIMITS_LOOK_BACK, REPORTS_KEPT, Said
from countermand.notices import purging
from countermand.orders.models import Order, StaffAnswer, ToldDevice, WithdrawnCopy
from countermand.row_batches import delete_some

BATCH: Final = 5_000


@dataclass(frozen=True, slots=True)
class Due:
    """What is to be forgotten of an order that is over: of people of these countries.

    `people` are those of the countries that the period is for; of none: all but these people.
    """

    order_number: str
    kept_days: int
    people: QuerySet[Any]
    countries: tuple[str, ...] = ()

    @property
    def meant(self) -> Q:
        """The condition under which a row is of the people who are meant."""
        theirs = Q(person_id__in=self.people)
        return theirs if self.countries else ~theirs


def forget_checks(due: Due, *, now: datetime) -> int:
    """Forget who checked or reported a mail of this order; 5,000 rows at most."""
    rows = _past_limits(now).filter(due.meant, order_number=due.order_number)
    return _forget(rows, "checks.forgotten", due.order_number, _period(due), now)


def forget_told_devices(due: Due, *, now: datetime) -> int:
    """Forget which devices notices of this order named; 5,000 rows at most."""
    rows = ToldDevice.objects.filter(due.meant, order_id=due.order_number)
    return _forget(rows, "told_devices.forgotten", due.order_number, _period(due), now)


def forget_copies(order_number: str, *, now: datetime) -> int:
    """Forget what became of copies of mails that are forgotten themselves; 5,000 rows at most.

    Never before: a copy of a mail that is kept would be asked for anew.
    """
    rows = WithdrawnCopy.objects.filter(
        purging.is_forgotten("notice_id"), order_number=order_number
    )
    return _forget(rows, "copies.forgotten", order_number, {}, now)


def forget_strangers(*, now: datetime) -> int:
    """Forget checks that name nobody here, or no order of ours, once no limit needs them.

    Reports stay longer, so that somebody looks at them; 5,000 rows at most.
    """
    orders = Order.objects.filter(pk=OuterRef("order_number"))
    rows = _past_limits(now).filter(Q(person_id__isnull=True) | ~Exists(orders))
    rows = rows.exclude(kind=Said.REPORT, at__gt=now - REPORTS_KEPT)
    return _forget(rows, "checks.forgotten", "", {}, now)


def _past_limits(now: datetime) -> QuerySet[StaffAnswer]:
    return StaffAnswer.objects.filter(at__lte=now - LIMITS_LOOK_BACK)


def _period(due: Due) -> dict[str, Any]:
    return {"kept_days": due.kept_days, "countries": list(due.countries)}


@transaction.atomic
def _forget(
    rows: QuerySet[Any], event: str, order_number: str, period: dict[str, Any], now: datetime
) -> int:
    if forgotten := delete_some(rows, BATCH):
        facts = {"rows": forgotten, **period}
        audit.record(event, order_number=order_number, actor_id=None, facts=facts, now=now)
    return forgotten
