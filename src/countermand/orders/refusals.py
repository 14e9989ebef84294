"""Why an order may not take a step: each refusal says the fact and the way out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from countermand.domain.errors import CountermandError, gettext_noop
from countermand.domain.order_number import nearest
from countermand.domain.phases import STEP_WORDS, Step


@dataclass(eq=False)
class OrderNotKnown(CountermandError):
    """There is no order of this number."""

    number: str

    code: ClassVar[str] = "order.not_known"
    sentence: ClassVar[str] = gettext_noop("There is no order {number}.")
    remedy: ClassVar[str] = gettext_noop("Look at the list of orders: countermand order list.")


@dataclass(eq=False)
class OrderNotKnownButNear(OrderNotKnown):
    """There is no order of this number, and one is near."""

    nearest: str

    remedy: ClassVar[str] = gettext_noop("The nearest one is {nearest}.")


def not_known(number: str, known: Iterable[str]) -> OrderNotKnown:
    """Return the refusal of a number, with the nearest known one if there is any."""
    near = nearest(number, known)
    return OrderNotKnownButNear(number=number, nearest=near) if near else OrderNotKnown(number)


@dataclass(eq=False)
class NotYours(CountermandError):
    """Nobody with these roles may take this step; `may` names those who may."""

    step: Step
    roles: str
    may: str
    wanted: str = ""

    code: ClassVar[str] = "order.not_yours"
    sentence: ClassVar[str] = gettext_noop("Your roles ({roles}) do not include: {wanted}.")
    remedy: ClassVar[str] = gettext_noop("Ask somebody who has one of these roles: {may}.")

    def __post_init__(self) -> None:
        self.wanted = self.wanted or STEP_WORDS[self.step]


@dataclass(eq=False)
class OutsideYourUnits(CountermandError):
    """An order that would reach people whom its author may not order anything."""

    units: str

    code: ClassVar[str] = "order.outside_your_units"
    sentence: ClassVar[str] = gettext_noop(
        "This order reaches people of units that you may not order anything: {units}."
    )
    remedy: ClassVar[str] = gettext_noop(
        "Narrow the scope, or ask somebody who may order all of them."
    )


@dataclass(eq=False)
class ModeIsFixed(CountermandError):
    """An exercise never becomes a live order, nor the other way round."""

    number: str
    mode: str

    code: ClassVar[str] = "order.mode_is_fixed"
    sentence: ClassVar[str] = gettext_noop("Order {number} is {mode}, and stays so for ever.")
    remedy: ClassVar[str] = gettext_noop("Plan a new order with a number of its own.")


@dataclass(eq=False)
class PlanTooOld(CountermandError):
    """A plan holds for a day; after that it must be made again and approved again."""

    number: str

    code: ClassVar[str] = "order.plan_too_old"
    sentence: ClassVar[str] = gettext_noop("The plan of {number} is more than 24 hours old.")
    remedy: ClassVar[str] = gettext_noop(
        "It was planned again just now, and is another one: have it approved "
        "(countermand order review {number}), then release it."
    )


@dataclass(eq=False)
class PlanHasDrifted(CountermandError):
    """Too many people came or went since the plan that was approved."""

    number: str
    came: int
    went: int

    code: ClassVar[str] = "order.plan_has_drifted"
    sentence: ClassVar[str] = gettext_noop(
        "Since the plan of {number} was approved, {came} people came in and {went} fell out."
    )
    remedy: ClassVar[str] = gettext_noop(
        "It was planned again just now: have it approved "
        "(countermand order review {number}), then release it."
    )


@dataclass(eq=False)
class TooLittleNotice(CountermandError):
    """Time went by between approval and release; the deadline is now too near."""

    number: str
    hours: int
    needed_hours: int

    code: ClassVar[str] = "order.too_little_notice"
    sentence: ClassVar[str] = gettext_noop(
        "Only {hours} hours are left until the first deadline of {number}; it takes {needed_hours}."
    )
    remedy: ClassVar[str] = gettext_noop(
        "Give a later deadline, or state the emergency and get the third approval."
    )


@dataclass(eq=False)
class LookupPageNotLive(CountermandError):
    """Staff could not check that the notice is genuine, so it may not leave."""

    place: str

    code: ClassVar[str] = "order.lookup_page_not_live"
    sentence: ClassVar[str] = gettext_noop("The look-up page cannot be read at {place}.")
    remedy: ClassVar[str] = gettext_noop("Start the web part of Countermand and try again.")


@dataclass(eq=False)
class RelayNotHealthy(CountermandError):
    """The mail relay does not answer, so corrections could not leave either."""

    place: str

    code: ClassVar[str] = "order.relay_not_healthy"
    sentence: ClassVar[str] = gettext_noop("The mail relay {place} does not answer.")
    remedy: ClassVar[str] = gettext_noop("Mend the relay, then release again.")


@dataclass(eq=False)
class FencedMeanwhile(CountermandError):
    """Somebody stopped the order while this step was being taken; the stop wins."""

    number: str

    code: ClassVar[str] = "order.stopped_meanwhile"
    sentence: ClassVar[str] = gettext_noop("{number} was stopped in the meantime.")
    remedy: ClassVar[str] = gettext_noop("Look at the order: countermand order show {number}.")


@dataclass(eq=False)
class NothingToUndo(CountermandError):
    """There is no closing of somebody else's to be undone, or it is undone already."""

    number: str

    code: ClassVar[str] = "order.nothing_to_undo"
    sentence: ClassVar[str] = gettext_noop("Nothing is left to be undone for {number}.")
    remedy: ClassVar[str] = gettext_noop("Look at the order: countermand order show {number}.")
