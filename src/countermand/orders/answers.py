"""What a person says about an app on a device: "I removed it" opens at once, and is kept.

The help desk writes it down for whoever calls. An answer never closes anything; the next list of
apps that was provably taken afterwards confirms it or not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from django.db import transaction

from countermand.devices import given_answers, hints
from countermand.devices.sightings import SeenDevice
from countermand.domain.errors import CountermandError, gettext_noop
from countermand.domain.presence import OPENING_ANSWERS, Answer
from countermand.enforcement import actions as enforcement
from countermand.enforcement.actions import Publisher
from countermand.notices.wording import Because
from countermand.orders import cells, doors, restored
from countermand.orders.models import NamedApp, Order, ToldDevice
from countermand.orders.planning import PlanContext
from countermand.orders.stepping import locked
from countermand.people import queries as people
from countermand.people.queries import Actor


@dataclass(eq=False)
class NoSuchDevice(CountermandError):
    """Nobody's device has this name, or its owner was not told about it."""

    device: str

    code: ClassVar[str] = "answer.device_not_known"
    sentence: ClassVar[str] = gettext_noop("No device “{device}” is known here.")
    remedy: ClassVar[str] = gettext_noop("Give the id that the inventory gives the device.")


@dataclass(eq=False)
class NotForYou(CountermandError):
    """Somebody without a role spoke for somebody else's device."""

    code: ClassVar[str] = "answer.not_allowed"
    sentence: ClassVar[str] = gettext_noop("This is not your device, and you have no role here.")
    remedy: ClassVar[str] = gettext_noop("Ask the help desk to write it down.")


@dataclass(eq=False)
class NothingAsked(CountermandError):
    """No notice that reached its person asks about this device, so no answer can be kept."""

    device: str
    name: str

    code: ClassVar[str] = "answer.nothing_asked"
    sentence: ClassVar[str] = gettext_noop(
        "No company notice asks {name} about {device} now; nothing was written down."
    )
    remedy: ClassVar[str] = gettext_noop(
        "Look whether one is still to come (countermand order list), and name it with --order."
    )


@dataclass(frozen=True, slots=True)
class Answered:
    """Whose device it is, the orders concerned, and how many of its doors were opened by it."""

    device_id: int
    person_id: int
    name: str
    device: str
    orders: tuple[str, ...]
    opened: int


@transaction.atomic(durable=True)
def record_answer(
    device: str,
    answer: Answer,
    *,
    actor: Actor,
    publisher: Publisher,
    context: PlanContext,
    now: datetime,
    number: str | None = None,
) -> Answered:
    """Keep an answer about every ordered app on a device; open its doors if it says so.

    `device` is the id that the inventory gives it, or a name by which mail gates know it. Raises
    NoSuchDevice, NotForYou, NothingAsked or OrderNotKnown.
    """
    found = cells.find_device(device)
    if found is None:
        raise NoSuchDevice(device=device)
    if not actor.roles and actor.person_id != found.person_id:
        raise NotForYou
    numbers = _orders_about(found.id, number)
    owner = people.by_ids([found.person_id])[found.person_id]
    if not numbers:
        raise NothingAsked(device=found.name or device, name=owner.name)
    apps = NamedApp.objects.filter(order_id__in=numbers).values_list("app_id", flat=True)
    opened = keep(
        found,
        answer,
        apps=apps,
        numbers=numbers,
        actor_id=actor.person_id,
        publisher=publisher,
        context=context,
        now=now,
    )
    return Answered(
        device_id=found.id,
        person_id=owner.id,
        name=owner.name,
        device=found.name or device,
        orders=tuple(numbers),
        opened=opened,
    )


def keep(
    device: SeenDevice,
    answer: Answer,
    *,
    apps: Iterable[str],
    numbers: Iterable[str],
    actor_id: int,
    publisher: Publisher,
    context: PlanContext,
    now: datetime,
) -> int:
    """Write an answer down for each app; open the device under each order if it says so.

    Returns how many doors were opened. Runs inside the caller's transaction.
    """
    for app in sorted(set(apps)):
        given_answers.record(
            device_id=device.id,
            person_id=device.person_id,
            app_id=app,
            answer=answer,
            actor_id=actor_id,
            now=now,
        )
    if answer not in OPENING_ANSWERS:
        return 0
    # Once it is kept: no answer waits for a source, nor is lost with one.
    transaction.on_commit(lambda: hints.look_again([device.id], actor_id=None, now=now))
    return sum(
        _open(each, device.id, publisher=publisher, context=context, now=now) for each in numbers
    )


def _orders_about(device_id: int, number: str | None) -> list[str]:
    if number is not None:
        return [locked(number).number]
    told = ToldDevice.objects.filter(device_id=device_id, order__ended_at__isnull=True)
    return sorted(told.values_list("order_id", flat=True))


def _open(
    number: str, device_id: int, *, publisher: Publisher, context: PlanContext, now: datetime
) -> int:
    """Open the doors of one device under one order; tell its owner if mail was paused on it."""
    was_closed = doors.closed_devices(number, now=now, device_id=device_id)
    opened = enforcement.set_attested(
        device_id, at=now, publisher=publisher, order_numbers=[number]
    )
    if was_closed:
        order = Order.objects.get(number=number)
        restored.tell_restored(
            order, frozenset({device_id}), Because.SAID_REMOVED, context=context, now=now
        )
    return opened
