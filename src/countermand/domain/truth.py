"""Which sentences of a correction are true for one person, chosen from the rules in force.

A correction is made of approved sentences, and only their choice differs from person to person.
The choice looks at the rules in force alone, never at what was mailed: while an older order still
stands for an app, nobody is told that it may be installed again.

Pure. The words behind the keys are in `notices/words`, and their digest is part of what was
approved.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from countermand.domain.order_parts import Variant
from countermand.domain.phases import Enforcement
from countermand.domain.rules_in_force import RuleInForce


class Headline(StrEnum):
    """The first line of a correction."""

    NOTHING_TO_DO = "headline.nothing_to_do"
    OTHER_STILL_APPLIES = "headline.other_still_applies"
    REPLACED = "headline.replaced"


class Says(StrEnum):
    """What one sentence of a correction says about the rules or about mail."""

    APP_FREE = "applies.app_free"  # no notice applies to the app; it may be installed again
    APP_STILL_RULED = "applies.app_still_ruled"  # another notice applies, with its own deadline
    APP_STILL_RULED_UNDATED = "applies.app_still_ruled_undated"
    SAME_AS_BEFORE = "applies.same_as_before"
    REPLACEMENT_APPLIES = "applies.replacement_applies"
    REPLACEMENT_LATER = "applies.replacement_later"
    NO_DOOR = "mail.no_door"  # this order could not pause mail
    NEVER_CLOSED = "mail.never_closed"  # it could have, and its time had not come
    OPEN_AGAIN = "mail.open_again"  # our gate: back with the next request
    OPEN_AGAIN_CLOUD = "mail.open_again_cloud"  # back when the mail service has taken it up
    BEING_UNDONE = "mail.being_undone"  # somebody else's policy
    OTHER_CAN_PAUSE = "mail.other_can_pause"  # another order that applies may pause mail


@dataclass(frozen=True, slots=True)
class Sentence:
    """One approved sentence and what fills it; `apps` are catalogue ids, instants are aware."""

    says: Says
    apps: tuple[str, ...] = ()
    number: str = ""
    deadline_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class TakenBackOrder:
    """The order that was taken back, as far as the words need it."""

    number: str
    apps: tuple[str, ...]
    enforcement: Enforcement
    variant: Variant
    taken_back_at: datetime
    replacement: str | None = None  # the order that takes its place, where one is named


@dataclass(frozen=True, slots=True)
class PersonRules:
    """What applies to one person, app by app, now and right before the order came in force.

    `own_deadline_at` is the person's deadline under the order that was taken back; without one the
    door could not have closed for this person.
    """

    now: Mapping[str, tuple[RuleInForce, ...]]
    before: Mapping[str, tuple[RuleInForce, ...]]
    own_deadline_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Correction:
    """The sentences of one person's correction, in the order in which they are read."""

    headline: Headline
    standing: tuple[str, ...]  # numbers named by the headline
    applies: tuple[Sentence, ...]
    mail: tuple[Sentence, ...]


def correct(order: TakenBackOrder, person: PersonRules) -> Correction:
    """Choose every sentence that depends on the person; deterministic for equal facts."""
    others = {
        app: tuple(rule for rule in person.now.get(app, ()) if rule.number != order.number)
        for app in order.apps
    }
    standing = tuple(sorted({rule.number for rules in others.values() for rule in rules}))
    return Correction(
        headline=_headline(order, standing),
        standing=standing,
        applies=(*_applies(order, others), *_unchanged(order, others, person)),
        mail=(_door(order, person), *_other_doors(others)),
    )


def _headline(order: TakenBackOrder, standing: tuple[str, ...]) -> Headline:
    if not standing:
        return Headline.NOTHING_TO_DO
    if order.replacement is not None and standing == (order.replacement,):
        return Headline.REPLACED
    return Headline.OTHER_STILL_APPLIES


def _applies(
    order: TakenBackOrder, others: Mapping[str, tuple[RuleInForce, ...]]
) -> Iterable[Sentence]:
    """Name what still applies, order by order, and what is free, all in one sentence each."""
    ruled: dict[tuple[str, datetime | None], list[str]] = {}
    for app, rules in others.items():
        for rule in rules:
            ruled.setdefault((rule.number, rule.deadline_at), []).append(app)
    for (number, deadline_at), apps in sorted(ruled.items(), key=lambda item: item[0][0]):
        yield _ruled(order, number, deadline_at, tuple(apps))
    free = tuple(app for app, rules in others.items() if not rules)
    if free:
        yield Sentence(Says.APP_FREE, apps=free)
    if order.variant is Variant.REPLACED and order.replacement is None and free:
        yield Sentence(Says.REPLACEMENT_LATER)


def _ruled(
    order: TakenBackOrder, number: str, deadline_at: datetime | None, apps: tuple[str, ...]
) -> Sentence:
    if deadline_at is None:
        return Sentence(Says.APP_STILL_RULED_UNDATED, apps=apps, number=number)
    if number == order.replacement:
        return Sentence(Says.REPLACEMENT_APPLIES, apps=apps, number=number, deadline_at=deadline_at)
    return Sentence(Says.APP_STILL_RULED, apps=apps, number=number, deadline_at=deadline_at)


def _unchanged(
    order: TakenBackOrder,
    others: Mapping[str, tuple[RuleInForce, ...]],
    person: PersonRules,
) -> Iterable[Sentence]:
    """Say that nothing has changed only when exactly the same holds as before the order."""
    before = {
        app: {(r.number, r.deadline_at) for r in person.before.get(app, ())} for app in order.apps
    }
    now = {app: {(r.number, r.deadline_at) for r in rules} for app, rules in others.items()}
    if before == now:
        yield Sentence(Says.SAME_AS_BEFORE, apps=order.apps)


def _door(order: TakenBackOrder, person: PersonRules) -> Sentence:
    """Say what the order did to mail: nothing, or what comes back and when."""
    deadline_at = person.own_deadline_at
    could_have_closed = deadline_at is not None and deadline_at <= order.taken_back_at
    match order.enforcement:
        case Enforcement.NONE:
            return Sentence(Says.NO_DOOR)
        case Enforcement.HANDED_OVER:
            return Sentence(Says.BEING_UNDONE)
        case Enforcement.CLOUD:
            return Sentence(Says.OPEN_AGAIN_CLOUD if could_have_closed else Says.NEVER_CLOSED)
        case Enforcement.GATE:
            return Sentence(Says.OPEN_AGAIN if could_have_closed else Says.NEVER_CLOSED)


def _other_doors(others: Mapping[str, tuple[RuleInForce, ...]]) -> Iterable[Sentence]:
    """Warn that another order which applies may pause mail; never promise more than is so."""
    closing: dict[str, datetime | None] = {}
    for rules in others.values():
        for rule in rules:
            if rule.enforcement is not Enforcement.NONE:
                closing[rule.number] = rule.deadline_at
    for number, deadline_at in sorted(closing.items()):
        if deadline_at is not None:
            yield Sentence(Says.OTHER_CAN_PAUSE, number=number, deadline_at=deadline_at)
