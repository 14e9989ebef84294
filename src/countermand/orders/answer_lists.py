"""What the people of an order have answered, in figures; and whom a person is left to ask.

Without any system that looks after devices this is the whole inventory. Silence proves nothing and
closes nothing: whoever says nothing comes on a list for a human. Somebody whose device is proven
to be without the app has nothing to answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from countermand.devices import calling, given_answers
from countermand.domain.errors import CountermandError, gettext_noop
from countermand.domain.presence import OPENING_ANSWERS, Answer, Presence
from countermand.orders import stepping
from countermand.orders.cells import cells_of
from countermand.orders.documents import document_of
from countermand.orders.models import Order, ToldDevice
from countermand.orders.refusals import not_known
from countermand.people.queries import Actor


@dataclass(eq=False)
class ListNotForYou(CountermandError):
    """Somebody without a role wanted to see who answered what."""

    code: ClassVar[str] = "answer.list_not_allowed"
    sentence: ClassVar[str] = gettext_noop("Only people with a role see who answered what.")
    remedy: ClassVar[str] = gettext_noop("Ask somebody who has one: countermand staff list.")


@dataclass(frozen=True, slots=True)
class ToAsk:
    """A device about which a person is to ask; `said` is None where nobody said anything.

    `id` is how its inventory calls it, and what an answer names it by.
    """

    person_id: int
    device: str
    id: str
    said: Answer | None


@dataclass(frozen=True, slots=True)
class Collected:
    """How many devices were told of, and what was said of them.

    `devices` = all of `said` + `found_without` + `silent`; `found_without` were not answered for,
    and a source shows that the app is not there.
    """

    devices: int
    people: int
    said: Mapping[Answer, int]
    found_without: int
    silent: int
    to_ask: tuple[ToAsk, ...]

    @property
    def answered(self) -> int:
        """Of how many devices somebody said something."""
        return sum(self.said.values())


@dataclass(frozen=True, slots=True)
class _Told:
    """One device that was told of, and what is known of it."""

    person_id: int
    device_id: int
    device: str
    said: Answer | None
    is_without: bool

    @property
    def is_to_be_asked(self) -> bool:
        return self.said not in OPENING_ANSWERS and not self.is_without


def collected(number: str, *, actor: Actor, now: datetime) -> Collected:
    """Count the answers to one order, and list whom to ask. Raises OrderNotKnown, ListNotForYou.

    Devices that are no longer whose they were, and people who have left, are not counted.
    """
    if not actor.roles:
        raise ListNotForYou
    order = Order.objects.filter(number=number).first()
    if order is None:
        raise not_known(number, Order.objects.values_list("number", flat=True))
    told = list(_told(order, now))
    said = Counter(each.said for each in told if each.said is not None)
    unanswered = [each.is_without for each in told if each.said is None]
    asked = [each for each in told if each.is_to_be_asked]
    ids = calling.ids_of([each.device_id for each in asked])
    to_ask = [
        ToAsk(each.person_id, each.device, ids.get(each.device_id, ""), each.said) for each in asked
    ]
    # Those who asked for help first, then those who said nothing.
    to_ask.sort(key=lambda each: (each.said is None, each.person_id))
    return Collected(
        devices=len(told),
        people=len({each.person_id for each in told}),
        said={answer: said[answer] for answer in Answer},
        found_without=sum(unanswered),
        silent=len(unanswered) - sum(unanswered),
        to_ask=tuple(to_ask),
    )


def _told(order: Order, now: datetime) -> Iterator[_Told]:
    document = document_of(stepping.current(order))
    rows = ToldDevice.objects.filter(order=order)
    owners = dict(rows.values_list("device_id", "person_id"))
    last = given_answers.last_by_device(
        list(owners), document.apps, since=order.released_at or order.created_at
    )
    for whole in cells_of(document, frozenset(owners.values())):
        if whole.person.has_left(now.date()):
            continue
        for cell in whole.cells:
            if owners.get(cell.device.id) == whole.person.id:
                yield _Told(
                    person_id=whole.person.id,
                    device_id=cell.device.id,
                    device=cell.device.name or cell.device.short_id,
                    said=last.get(cell.device.id),
                    is_without=cell.presence is Presence.ABSENT,
                )
