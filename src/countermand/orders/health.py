"""Signs that something is wrong with a mailing: what servers refuse or send back, silence, doubt.

While notices leave, each sweep asks; what is found pauses the order, with its cause. Three mails
and a greater share than is tolerated pause it. In a small group two pause it, where two of so few
would happen less than once in a hundred times if only the tolerated share went wrong: two of up to
7 that came back (2 %), two of up to 30 whose answer was lost (0.5 %).
"""

from __future__ import annotations

from typing import Final

from countermand.domain import causes, check_code
from countermand.domain.phases import Phase
from countermand.notices import actions as notices
from countermand.notices import queries as ledger
from countermand.orders import checking
from countermand.orders.models import Order

_PHASES: Final = (Phase.CANARY, Phase.SENDING)
_BOUNCED_PER_CENT: Final = 2.0
_UNCERTAIN_PER_CENT: Final = 0.5
_AT_LEAST: Final = 3
_SELDOM: Final = 0.01


def cause_to_pause(number: str) -> str:
    """Return why an order should pause now, as `domain.causes` writes it; empty when all is well.

    What a person has looked at and let pass is not counted again.
    """
    order = Order.objects.get(number=number)
    if order.phase not in _PHASES:
        return ""
    health = ledger.health(number)
    undelivered, answered = health.undelivered, health.answered
    if _is_too_many(undelivered, answered, _BOUNCED_PER_CENT):
        return causes.line("cause.undelivered", undelivered=undelivered, answered=answered)
    uncertain, mails = health.uncertain, health.mails
    if _is_too_many(uncertain, mails, _UNCERTAIN_PER_CENT):
        return causes.line("cause.uncertain", uncertain=uncertain, mails=mails)
    doubted = checking.doubts(number, after=order.doubts_known_to)
    # Two people can agree on a hoax; three and a share are asked for.
    if _is_mass(doubted, health.accepted, check_code.DOUBTS_PER_CENT):
        return causes.line("cause.doubted", doubted=doubted, accepted=health.accepted)
    return ""


def let_pass(order: Order) -> None:
    """A person has looked at what made the program pause: it does not pause for the same again."""
    notices.let_pass(order.number)
    order.doubts_known_to = checking.last_answer(order.number)


def _is_too_many(some: int, of_all: int, per_cent: float) -> bool:
    if some == 2:  # noqa: PLR2004  (two of a few are no chance any more)
        return _chance_of_two(of_all, per_cent / 100) < _SELDOM
    return _is_mass(some, of_all, per_cent)


def _is_mass(some: int, of_all: int, per_cent: float) -> bool:
    return some >= _AT_LEAST and some * 100 > of_all * per_cent


def _chance_of_two(of_all: int, share: float) -> float:
    """Return how probable two or more of so many are, if each goes wrong by itself."""
    good: float = 1.0 - share
    return 1.0 - good**of_all - of_all * share * good ** (of_all - 1)
