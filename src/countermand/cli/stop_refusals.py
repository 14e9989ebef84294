"""Why `pause` and `take-back` stop nothing: each a fact, a code, and a way out.

Standard library only, as all that a stop loads before it is durable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from countermand.domain.errors import CountermandError, gettext_noop
from countermand.domain.order_number import CheckCharacterWrong


@dataclass(eq=False)
class WhoIsActing(CountermandError):
    """No token, or one that proves nobody."""

    code: ClassVar[str] = "stop.who_is_acting"
    sentence: ClassVar[str] = gettext_noop("It is not proven who you are.")
    remedy: ClassVar[str] = gettext_noop(
        "Give your personal token in COUNTERMAND_TOKEN, or in ~/.config/countermand/token."
    )


@dataclass(eq=False)
class CodeNotRight(CountermandError):
    """An emergency code that fits neither here nor at any gate."""

    number: str

    code: ClassVar[str] = "stop.code_not_right"
    sentence: ClassVar[str] = gettext_noop(
        "This is not the emergency code of {number}, or nobody who could tell was reached."
    )
    remedy: ClassVar[str] = gettext_noop(
        "Compare it with what was printed at the release, or take the order back with your token."
    )


@dataclass(eq=False)
class NotForYourRole(CountermandError):
    """Pausing takes any role; taking back takes author, approver or operator."""

    roles: str

    code: ClassVar[str] = "stop.not_for_your_role"
    sentence: ClassVar[str] = gettext_noop("Your roles ({roles}) do not allow this.")
    remedy: ClassVar[str] = gettext_noop(
        "Pause it (countermand pause): anyone with a role may. Then call an approver or operator."
    )


@dataclass(eq=False)
class NoSuchOrder(CountermandError):
    """The number is well formed, and no order has it."""

    number: str

    code: ClassVar[str] = "stop.no_such_order"
    sentence: ClassVar[str] = gettext_noop("There is no order {number}; nothing was stopped.")
    remedy: ClassVar[str] = gettext_noop(
        "Compare the number with the notice. If it is right all the same, add --force."
    )


@dataclass(eq=False)
class NoSuchOrderButNear(NoSuchOrder):
    """The number is well formed, no order has it, and one is near."""

    suggestion: str

    remedy: ClassVar[str] = gettext_noop("The nearest one is {suggestion}.")


@dataclass(eq=False)
class MistypedButNear(CheckCharacterWrong):
    """A character is wrong, and one order is near."""

    suggestion: str

    remedy: ClassVar[str] = gettext_noop("The nearest one is {suggestion}.")


@dataclass(eq=False)
class NothingToStop(CountermandError):
    """Nothing of this order leaves or closes, so there is nothing to stop."""

    number: str
    phase: str

    code: ClassVar[str] = "stop.nothing_to_stop"
    sentence: ClassVar[str] = gettext_noop("{number} is “{phase}”: there is nothing to stop.")
    remedy: ClassVar[str] = gettext_noop("Look at it: countermand order show {number}.")


@dataclass(eq=False)
class PauseInHold(CountermandError):
    """Nobody was told yet; what can be done is to withdraw."""

    number: str

    code: ClassVar[str] = "stop.pause_in_hold"
    sentence: ClassVar[str] = gettext_noop("{number} waits; nothing of it has left yet.")
    remedy: ClassVar[str] = gettext_noop(
        "Withdraw it: countermand take-back {number} --because mistake. "
        "Nobody was told, so nobody is corrected."
    )
