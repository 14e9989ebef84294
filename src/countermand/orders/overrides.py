"""A person lets one device through for a while: at once at every gate, with a reason, and an end.

The help desk may give four hours from now, whoever answers for the order may give longer. An
override ends by itself; nobody has to remember it. It never shuts anything: ending one early gives
the door back to what is known of the device.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar, Final

from django.db import transaction

from countermand.devices import calling, sightings
from countermand.domain.approvals import Role
from countermand.domain.errors import CountermandError, gettext_noop
from countermand.domain.phases import Phase
from countermand.enforcement import actions as enforcement
from countermand.enforcement import queries as enforced
from countermand.enforcement.actions import Publisher
from countermand.orders import cells, telling
from countermand.orders.documents import document_of
from countermand.orders.models import Order
from countermand.orders.refusals import not_known
from countermand.orders.stepping import current, locked, note
from countermand.people import queries as people
from countermand.people.queries import Actor

HELP_DESK_AT_MOST: Final = timedelta(hours=4)
ANYBODY_AT_MOST: Final = timedelta(days=90)
SHORTEST_REASON: Final = 5
_LONGER: Final = frozenset({Role.AUTHOR, Role.APPROVER, Role.OPERATOR})
_SHORT: Final = frozenset({Role.HELP_DESK, Role.MAIL_ADMIN})
_OVER: Final = (Phase.CLOSED, Phase.WITHDRAWN, Phase.CORRECTED, Phase.ABANDONED)


@dataclass(eq=False)
class OverrideNotYours(CountermandError):
    """Somebody without a role that may let a device through."""

    code: ClassVar[str] = "override.not_allowed"
    sentence: ClassVar[str] = gettext_noop("Your roles do not allow letting a device through.")
    remedy: ClassVar[str] = gettext_noop("Ask the help desk: it may do so for four hours.")


@dataclass(eq=False)
class OverridesNotForYou(CountermandError):
    """Somebody without a role wanted to see who is let through, and why."""

    code: ClassVar[str] = "override.list_not_allowed"
    sentence: ClassVar[str] = gettext_noop("Only people with a role see who is let through.")
    remedy: ClassVar[str] = gettext_noop("Ask somebody who has one: countermand staff list.")


@dataclass(eq=False)
class OverrideTooLong(CountermandError):
    """Longer than these roles may give."""

    hours: str
    most: int

    code: ClassVar[str] = "override.too_long"
    sentence: ClassVar[str] = gettext_noop("You may give {most} hours, not {hours}.")
    remedy: ClassVar[str] = gettext_noop(
        "Give fewer hours, or ask an author, approver or operator of company notices."
    )


@dataclass(eq=False)
class OverrideTooLongForAnybody(OverrideTooLong):
    """Longer than anybody may give."""

    remedy: ClassVar[str] = gettext_noop("Give fewer hours; nobody may give more.")


@dataclass(eq=False)
class OverrideWithoutReason(CountermandError):
    """Without a reason nobody can look at it later."""

    code: ClassVar[str] = "override.reason_missing"
    sentence: ClassVar[str] = gettext_noop("Nobody could tell later why this was done.")
    remedy: ClassVar[str] = gettext_noop("Give the reason in one sentence: --because '…'")


@dataclass(eq=False)
class DeviceToLetThroughNotKnown(CountermandError):
    """No device has this name."""

    device: str

    code: ClassVar[str] = "override.device_not_known"
    sentence: ClassVar[str] = gettext_noop("No device “{device}” is known here.")
    remedy: ClassVar[str] = gettext_noop("Give the id that the inventory gives the device.")


@dataclass(eq=False)
class OrderIsOver(CountermandError):
    """An order that is over keeps no door shut."""

    number: str

    code: ClassVar[str] = "override.order_is_over"
    sentence: ClassVar[str] = gettext_noop("{number} is over and pauses no mail.")
    remedy: ClassVar[str] = gettext_noop("Look whether another company notice names the device.")


@dataclass(eq=False)
class NoOverride(CountermandError):
    """There is nothing to end."""

    device: str
    number: str

    code: ClassVar[str] = "override.not_found"
    sentence: ClassVar[str] = gettext_noop("Nobody has let “{device}” through for {number}.")
    remedy: ClassVar[str] = gettext_noop("List them: countermand override list {number}.")


@dataclass(frozen=True, slots=True)
class Given:
    """An override: whose device, until when, and how many of its doors learned of it now."""

    device_id: int
    number: str
    person: str
    device: str
    until: datetime
    doors: int


@transaction.atomic(durable=True)
def give(
    device: str,
    number: str,
    *,
    lasting: timedelta,
    because: str,
    actor: Actor,
    publisher: Publisher,
    now: datetime,
) -> Given:
    """Let one device through under one order, from now on.

    Raises OverrideNotYours, OverrideTooLong, OverrideWithoutReason, DeviceToLetThroughNotKnown,
    OrderIsOver or OrderNotKnown.
    """
    _check(lasting, because, actor)
    order = locked(number)
    if order.phase in _OVER:
        raise OrderIsOver(number=number)
    found = cells.find_device(device)
    if found is None:
        raise DeviceToLetThroughNotKnown(device=device)
    until = now + lasting
    # A shorter one ends no longer one: what is said is what holds.
    others = [o.until for o in enforced.overrides(number, now=now) if o.device_id == found.id]
    doors = enforcement.set_override(
        found.id,
        number,
        until=until,
        reason=because.strip(),
        by_person_id=actor.person_id,
        publisher=publisher,
        now=now,
    )
    _note(order, "order.let_through", found.id, actor=actor, now=now, until=until, because=because)
    owner = people.by_ids([found.person_id])[found.person_id]
    holds_until = max([until, *others])
    return Given(found.id, number, owner.name, found.name or device, holds_until, doors)


@transaction.atomic(durable=True)
def end(
    device: str, number: str, *, because: str, actor: Actor, publisher: Publisher, now: datetime
) -> Given:
    """End the overrides of one device under one order before their time.

    Raises OverrideNotYours, OverrideWithoutReason, DeviceToLetThroughNotKnown, NoOverride.
    """
    _check(timedelta(0), because, actor)
    order = locked(number)
    found = cells.find_device(device)
    if found is None:
        raise DeviceToLetThroughNotKnown(device=device)
    standing = [o for o in enforced.overrides(number, now=now) if o.device_id == found.id]
    if not standing:
        raise NoOverride(device=device, number=number)
    excepted = telling.exceptions_of(order, document_of(current(order)))
    doors = enforcement.clear_override(
        found.id,
        number,
        publisher=publisher,
        by_person_id=actor.person_id,
        remaining=excepted.get(found.person_id),
        now=now,
    )
    _note(order, "order.let_through_ended", found.id, actor=actor, now=now, because=because)
    owner = people.by_ids([found.person_id])[found.person_id]
    return Given(found.id, number, owner.name, found.name or device, now, doors)


def _check(lasting: timedelta, because: str, actor: Actor) -> None:
    if not actor.roles & (_LONGER | _SHORT):
        raise OverrideNotYours
    may_give_longer = bool(actor.roles & _LONGER)
    most = ANYBODY_AT_MOST if may_give_longer else HELP_DESK_AT_MOST
    hour = timedelta(hours=1)
    if not timedelta(0) <= lasting <= most:
        too_long = OverrideTooLongForAnybody if may_give_longer else OverrideTooLong
        raise too_long(hours=f"{lasting / hour:.6g}", most=most // hour)
    if len(because.strip()) < SHORTEST_REASON:
        raise OverrideWithoutReason


def _note(
    order: Order,
    event: str,
    device_id: int,
    *,
    actor: Actor,
    now: datetime,
    because: str,
    until: datetime | None = None,
) -> None:
    facts = {"device": device_id, "until": until.isoformat() if until else now.isoformat()}
    words = {"because": because.strip()}
    note(order, event, actor_id=actor.person_id, now=now, facts=facts, words=words)


@dataclass(frozen=True, slots=True)
class Standing:
    """One override that holds, in words that people read; `id` is what the inventory says."""

    device: str
    id: str
    person: str
    by: str
    because: str
    until: datetime


def listed(number: str, *, actor: Actor, now: datetime) -> list[Standing]:
    """Return the same as `standing` to whoever has a role.

    Raises OverridesNotForYou and OrderNotKnown.
    """
    if not actor.roles:
        raise OverridesNotForYou
    return standing(number, now=now)


def standing(number: str, *, now: datetime) -> list[Standing]:
    """Return the overrides of an order that hold at `now`, the longest last.

    Raises OrderNotKnown.
    """
    if not Order.objects.filter(number=number).exists():
        raise not_known(number, Order.objects.values_list("number", flat=True))
    found = []
    let_through = enforced.overrides(number, now=now)
    ids = calling.ids_of([each.device_id for each in let_through])
    for each in let_through:
        device = sightings.one(each.device_id, ())
        known = people.by_ids([each.by_person_id, *([device.person_id] if device else [])])
        owner = known.get(device.person_id) if device else None
        by = known.get(each.by_person_id)
        found.append(
            Standing(
                device=(device.name or device.short_id) if device else str(each.device_id),
                id=ids.get(each.device_id, ""),
                person=owner.name if owner else "",
                by=by.name if by else "",
                because=each.reason,
                until=each.until,
            )
        )
    return found
