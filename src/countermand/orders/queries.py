"""What others may read of orders: frozen values and ids, never rows."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, F, Q

from countermand.domain.app_id import IdentifierKey, SignedIdentifier
from countermand.orders.models import (
    Affected,
    Approval,
    NamedApp,
    Opening,
    Order,
    Revision,
    Timeline,
)
from countermand.orders.refusals import not_known


@dataclass(frozen=True, slots=True)
class OrderView:
    """One order as it stands. `people` counts the frozen list and the late joiners."""

    number: str
    mode: str
    enforcement: str
    phase: str
    paused_from: str
    epoch: int
    revision_number: int
    digest: str
    author_id: int
    created_at: datetime
    submitted_by: int | None
    released_by: int | None
    released_at: datetime | None
    hold_until: datetime | None
    first_group_at: datetime | None
    soak_until: datetime | None
    sending_at: datetime | None
    notified_at: datetime | None
    in_force_at: datetime | None
    first_deadline_at: datetime | None
    last_deadline_at: datetime | None
    paused_at: datetime | None
    paused_by: int | None
    pause_cause: str
    ended_at: datetime | None
    taken_back_by: int | None
    taken_back_at: datetime | None
    variant: str
    corrected_at: datetime | None
    statement_at: datetime | None
    undone_at: datetime | None
    amends: str
    replaces: str
    people: int


@dataclass(frozen=True, slots=True)
class RevisionView:
    """One immutable text of an order, with the plan that was made of it."""

    id: int
    number: int
    source_text: str
    content: Mapping[str, Any]
    digest: str
    affected_root: str
    plan: Mapping[str, Any]
    planned_at: datetime
    edited_by: int


@dataclass(frozen=True, slots=True)
class TimelineLine:
    """One thing that happened, with the facts that fill its sentence."""

    at: datetime
    event: str
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ApprovalView:
    """One person's approval; `void_at` says since when it no longer holds."""

    person_id: int
    digest: str
    outside_it: bool
    at: datetime
    void_at: datetime | None


_COPIED = tuple(
    each.name for each in dataclasses.fields(OrderView) if each.name not in {"digest", "people"}
)


def view(number: str) -> OrderView:
    """Return one order, or say that there is none."""
    return _views([_order(number)])[0]


def every_order() -> list[OrderView]:
    """Return all orders, the newest first."""
    return _views(list(Order.objects.order_by("-created_at", "number")))


def beside(number: str) -> list[OrderView]:
    """Return the orders that stand beside one: about an app of it, not over, and not its own past.

    Whoever two such orders reach is told twice. One that amends or replaces the other is not meant.
    """
    order = _order(number)
    apps = NamedApp.objects.filter(order=order).values("app_id")
    rows = (
        Order.objects.filter(mode=order.mode, ended_at__isnull=True)
        .filter(pk__in=NamedApp.objects.filter(app_id__in=apps).values("order_id"))
        .exclude(pk__in=[order.pk, order.amends, order.replaces])
        .exclude(Q(amends=order.pk) | Q(replaces=order.pk))
    )
    return _views(list(rows.order_by("-created_at", "number")))


def named_apps() -> frozenset[str]:
    """Return the catalogue ids that any order names; of other apps nothing is ever kept."""
    return frozenset(NamedApp.objects.values_list("app_id", flat=True))


def signed_identifiers() -> tuple[SignedIdentifier, ...]:
    """Return the identifiers and bare names that somebody signed in the newest text of an order."""
    rows = Revision.objects.filter(number=F("order__revision_number"))
    signed = (
        SignedIdentifier(
            app_id=each["app_id"],
            key=IdentifierKey.parse(each["key"]),
            publisher=each["publisher"],
        )
        for listed in rows.values_list("content__order__signed_identifiers", flat=True)
        for each in listed or ()
    )
    return tuple(dict.fromkeys(signed))


def newest_revision(number: str) -> RevisionView:
    """Return the newest text of an order with its plan."""
    order = _order(number)
    row = Revision.objects.get(order=order, number=order.revision_number)
    return RevisionView(
        id=row.pk,
        number=row.number,
        source_text=row.source_text,
        content=row.content,
        digest=row.digest,
        affected_root=row.affected_root,
        plan=row.plan,
        planned_at=row.planned_at,
        edited_by=row.edited_by,
    )


def timeline(number: str) -> list[TimelineLine]:
    """Return what happened to an order, oldest first."""
    rows = Timeline.objects.filter(order=_order(number)).order_by("at", "pk")
    return [TimelineLine(at=row.at, event=row.event, facts=row.facts) for row in rows]


def approvals(number: str) -> list[ApprovalView]:
    """Return every approval that was ever given to an order, void ones included."""
    rows = Approval.objects.filter(revision__order_id=number).order_by("at", "pk")
    return [
        ApprovalView(
            person_id=row.person_id,
            digest=row.digest,
            outside_it=row.outside_it,
            at=row.at,
            void_at=row.void_at,
        )
        for row in rows
    ]


def opened(number: str, person_id: int) -> frozenset[str]:
    """Return the parts of the newest text that a person has opened."""
    revision = newest_revision(number)
    rows = Opening.objects.filter(revision_id=revision.id, person_id=person_id)
    return frozenset(rows.values_list("part", flat=True))


@dataclass(frozen=True, slots=True)
class ListedPerson:
    """One person on an order's list; `joined_at` is there for late joiners alone."""

    person_id: int
    wave: int
    reason: str
    own_deadline_at: datetime | None
    joined_at: datetime | None


def listed_people(number: str) -> dict[int, ListedPerson]:
    """Return the people on an order's list by id, late joiners included."""
    order = _order(number)
    rows = Affected.objects.filter(order=order, revision_number=order.revision_number)
    return {
        row.person_id: ListedPerson(
            person_id=row.person_id,
            wave=row.wave,
            reason=row.reason,
            own_deadline_at=row.own_deadline_at,
            joined_at=row.joined_at,
        )
        for row in rows
    }


@dataclass(frozen=True, slots=True)
class RegisterLine:
    """What the stop needs to know of an order when the database is down."""

    epoch: int
    phase: str
    stop_hash: str


def register_lines() -> dict[str, RegisterLine]:
    """Return, by number, what the stop needs to know of every order."""
    rows = Order.objects.values_list("number", "epoch", "phase", "stop_hash")
    return {
        number: RegisterLine(epoch=epoch, phase=phase, stop_hash=stop_hash)
        for number, epoch, phase, stop_hash in rows
    }


def _order(number: str) -> Order:
    order = Order.objects.filter(number=number).first()
    if order is None:
        raise not_known(number, Order.objects.values_list("number", flat=True))
    return order


def _views(orders: Sequence[Order]) -> list[OrderView]:
    numbers = [order.number for order in orders]
    digests = {
        (row.order_id, row.number): row.digest
        for row in Revision.objects.filter(order_id__in=numbers)
    }
    counts = {
        (row["order_id"], row["revision_number"]): row["people"]
        for row in Affected.objects.filter(order_id__in=numbers)
        .values("order_id", "revision_number")
        .annotate(people=Count("pk"))
    }
    return [
        OrderView(
            digest=digests.get((order.number, order.revision_number), ""),
            people=counts.get((order.number, order.revision_number), 0),
            **{name: getattr(order, name) for name in _COPIED},
        )
        for order in orders
    ]
