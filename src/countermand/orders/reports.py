"""Reports of forged mail, for those who look at them: how many, of which notice, and since when.

Counts alone are told. Nobody proves on the look-up page who they are, and what they typed is not
kept; of a number that is none of ours, or no number, it is said that there is no such notice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from django.db import transaction
from django.db.models import Case, CharField, Count, Max, Min, Q, QuerySet, Value, When

from countermand.audit import actions as audit
from countermand.domain.check_code import Said
from countermand.domain.errors import CountermandError, gettext_noop
from countermand.orders.models import Order, StaffAnswer
from countermand.orders.refusals import not_known
from countermand.people.queries import Actor

_WAITING = Q(looked_at__isnull=True)


@dataclass(eq=False)
class ReportsNotForYou(CountermandError):
    """Somebody without a role wanted to see what was reported."""

    code: ClassVar[str] = "reports.not_allowed"
    sentence: ClassVar[str] = gettext_noop("Only people with a role see what was reported.")
    remedy: ClassVar[str] = gettext_noop("Ask somebody who has one: countermand staff list.")


@dataclass(frozen=True, slots=True)
class Reports:
    """What was reported of one notice; `number` is empty where there is no such notice."""

    number: str
    reports: int
    not_looked_at: int
    addresses: int
    not_ours: int  # of these addresses, those that nobody here has
    networks: int
    first_at: datetime
    last_at: datetime
    looked_at: datetime | None  # when somebody last said that they looked


def listed(number: str | None, *, actor: Actor) -> list[Reports]:
    """Return what was reported, of one order or of all and of what is no notice, the newest first.

    Raises ReportsNotForYou and OrderNotKnown.
    """
    named = Case(
        When(order_number__in=Order.objects.values("number"), then="order_number"),
        default=Value(""),
        output_field=CharField(),
    )
    rows = (
        _reports(number, actor)
        .annotate(named=named)
        .values("named")
        .annotate(
            reports=Count("pk"),
            not_looked_at=Count("pk", filter=_WAITING),
            addresses=Count("address_ref", distinct=True),
            not_ours=Count("address_ref", distinct=True, filter=Q(person_id__isnull=True)),
            networks=Count("network_ref", distinct=True, filter=~Q(network_ref="")),
            first_at=Min("at"),
            last_at=Max("at"),
            last_look=Max("looked_at"),
        )
        .order_by("-last_at")
    )
    return [
        Reports(
            number=row["named"],
            reports=row["reports"],
            not_looked_at=row["not_looked_at"],
            addresses=row["addresses"],
            not_ours=row["not_ours"],
            networks=row["networks"],
            first_at=row["first_at"],
            last_at=row["last_at"],
            looked_at=row["last_look"],
        )
        for row in rows
    ]


@transaction.atomic(durable=True)
def look(number: str | None, *, actor: Actor, now: datetime) -> int:
    """Note that somebody looked at these reports, and return how many nobody had looked at.

    Raises ReportsNotForYou and OrderNotKnown.
    """
    waiting = _reports(number, actor).filter(_WAITING, at__lte=now)
    looked_at = waiting.update(looked_at=now)
    if looked_at:
        audit.record(
            "reports.looked_at",
            order_number=number or "",
            actor_id=actor.person_id,
            facts={"reports": looked_at},
            now=now,
        )
    return looked_at


def counted(number: str) -> tuple[int, int]:
    """Return how many reports there are of one order, and how many nobody has looked at."""
    found = _all().filter(order_number=number)
    return found.count(), found.filter(_WAITING).count()


def _reports(number: str | None, actor: Actor) -> QuerySet[StaffAnswer]:
    if not actor.roles:
        raise ReportsNotForYou
    if number is None:
        return _all()
    if not Order.objects.filter(number=number).exists():
        raise not_known(number, Order.objects.values_list("number", flat=True))
    return _all().filter(order_number=number)


def _all() -> QuerySet[StaffAnswer]:
    return StaffAnswer.objects.filter(kind=Said.REPORT)
