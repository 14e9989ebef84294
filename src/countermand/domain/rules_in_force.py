"""What applies to whom, now: worked out from the log alone. The message is not the rule.

    put in force --+-- taken back (final) ----> stands no more
                   +-- ended ----------------> stands no more
                   +-- replaced by another --> stands no more, and never again
                   +-- amended by another ---> stands beneath it, and applies again without it

An order *stands* from the instant at which it was put in force until it is taken back, ended or
replaced. It *applies* to a person, an app and a device while it stands, the person came under it,
no exception holds, and no standing amendment covers the same person, app and device.

Decided here, and relied upon by gate, pages, corrections and `countermand rules`:
- `amends`: the amendment holds instead of the older order where it covers; elsewhere the older one
  applies as before. Take the amendment back, or let it end, and the older order applies as written.
- `replaces`: the older order ends, for everybody, at the instant when the new one is put in force.
  Taking the new one back revives nothing: what people were told is over stays over.
- an exception to an amendment excepts from what lies beneath it as well (the younger text decides);
- a late joiner comes under an order at an own instant; who left comes under nothing from then on;
- a pause changes no rule: it stops mails, not the order;
- taking back is final: a later "put in force" of the same number is not heard.

Pure: no clock, no database. `at` is an argument, and events after it are not looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from countermand.domain.phases import Enforcement


@dataclass(frozen=True, slots=True)
class PutInForce:
    """An order was put in force, with the apps that it names and the order that it builds on."""

    number: str
    at: datetime
    apps: frozenset[str]
    enforcement: Enforcement
    amends: str | None = None
    replaces: str | None = None


@dataclass(frozen=True, slots=True)
class CameUnder:
    """A person came under an order: on the affected list, or later on, with an own deadline.

    `devices` are the ids of the devices meant; None means every device that reads company mail.
    The last such event about a person and an order holds (an extension is one more).
    """

    number: str
    person_id: int
    at: datetime
    deadline_at: datetime | None = None
    devices: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Excepted:
    """A person was excepted from an order, until an instant or for good."""

    number: str
    person_id: int
    at: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class LeftScope:
    """A person came out from under an order (left, moved on, was listed wrongly)."""

    number: str
    person_id: int
    at: datetime


@dataclass(frozen=True, slots=True)
class TakenBack:
    """An order was taken back; final."""

    number: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Ended:
    """An order was closed: its time was over, or nobody was left to do anything."""

    number: str
    at: datetime


RuleEvent = PutInForce | CameUnder | Excepted | LeftScope | TakenBack | Ended


@dataclass(frozen=True, slots=True, order=True)
class RuleInForce:
    """One order that applies; `over` names the older orders that stand beneath it, newest first."""

    number: str
    app: str
    since: datetime
    deadline_at: datetime | None
    enforcement: Enforcement
    over: tuple[str, ...] = ()


@dataclass(slots=True)
class _Story:
    """What the events up to one instant say, order by order; membership of one person only."""

    put: dict[str, PutInForce] = field(default_factory=dict)
    over_since: dict[str, datetime] = field(default_factory=dict)
    under: dict[str, CameUnder] = field(default_factory=dict)
    joined: dict[str, datetime] = field(default_factory=dict)
    excepted: dict[str, Excepted] = field(default_factory=dict)

    def stands(self, number: str) -> bool:
        return number in self.put and number not in self.over_since

    def covers(self, number: str, app: str, device: str | None) -> bool:
        """Tell whether an order that stands names this app and has this person (and device)."""
        if not self.stands(number) or app not in self.put[number].apps:
            return False
        membership = self.under.get(number)
        if membership is None:
            return False
        return device is None or membership.devices is None or device in membership.devices

    def is_excepted(self, number: str, at: datetime) -> bool:
        exception = self.excepted.get(number)
        return exception is not None and (exception.until is None or at < exception.until)

    def beneath(self, number: str) -> tuple[str, ...]:
        """Return the chain of orders that this one amends, newest first; never goes in circles."""
        chain: list[str] = []
        while number in self.put and (older := self.put[number].amends) is not None:
            if older in chain:
                break
            chain.append(older)
            number = older
        return tuple(chain)


def rules(
    events: Iterable[RuleEvent],
    *,
    app: str,
    person_id: int,
    at: datetime,
    device: str | None = None,
) -> tuple[RuleInForce, ...]:
    """Return the orders that apply to this app and person (and device) at `at`, by number.

    Without a device the answer says what applies to the person on any device. `events` may come in
    any order; of two with the same instant the one that ends an order wins.
    """
    story = _read(events, person_id, at)
    covering = [number for number in sorted(story.put) if story.covers(number, app, device)]
    covered_up = {older for number in covering for older in story.beneath(number)}
    return tuple(
        RuleInForce(
            number=number,
            app=app,
            since=max(story.put[number].at, story.joined[number]),
            deadline_at=story.under[number].deadline_at,
            enforcement=story.put[number].enforcement,
            over=tuple(older for older in story.beneath(number) if older in covering),
        )
        for number in covering
        if number not in covered_up and not story.is_excepted(number, at)
    )


def rules_for_apps(
    events: Sequence[RuleEvent],
    *,
    apps: Iterable[str],
    person_id: int,
    at: datetime,
) -> Mapping[str, tuple[RuleInForce, ...]]:
    """Return what applies to one person, app by app, in the order in which the apps are named."""
    return {app: rules(events, app=app, person_id=person_id, at=at) for app in apps}


def rules_before(
    events: Sequence[RuleEvent],
    *,
    number: str,
    apps: Iterable[str],
    person_id: int,
) -> Mapping[str, tuple[RuleInForce, ...]]:
    """Return what applied to a person right before the order `number` began to, app by app.

    For a late joiner that is the instant of joining. An order that never was put in force has no
    such instant: the answer is then that nothing applied.
    """
    put = [e.at for e in events if isinstance(e, PutInForce) and e.number == number]
    joined = [
        e.at
        for e in events
        if isinstance(e, CameUnder) and (e.number, e.person_id) == (number, person_id)
    ]
    if not put:
        return dict.fromkeys(apps, ())
    at = max(min(put), min(joined, default=min(put)))
    earlier = [event for event in events if event.at < at]
    found = {app: rules(earlier, app=app, person_id=person_id, at=at) for app in apps}
    return {app: tuple(r for r in held if r.number != number) for app, held in found.items()}


def _read(events: Iterable[RuleEvent], person_id: int, at: datetime) -> _Story:
    """Put together what was known at `at`."""
    story = _Story()
    for event in sorted((event for event in events if event.at <= at), key=lambda event: event.at):
        match event:
            case PutInForce():
                story.put.setdefault(event.number, event)
            case TakenBack() | Ended():
                story.over_since.setdefault(event.number, event.at)
            case _:
                if event.person_id == person_id:
                    _move_person(story, event)
    _end_the_replaced(story)
    return story


def _move_person(story: _Story, event: CameUnder | Excepted | LeftScope) -> None:
    match event:
        case CameUnder():
            story.under[event.number] = event
            story.joined.setdefault(event.number, event.at)
        case LeftScope():
            story.under.pop(event.number, None)
            story.joined.pop(event.number, None)
        case Excepted():
            story.excepted[event.number] = event


def _end_the_replaced(story: _Story) -> None:
    """Let every order that was really put in force end the one that it replaces; oldest first."""
    for order in story.put.values():
        over = story.over_since.get(order.number)
        if order.replaces is not None and (over is None or order.at < over):
            earlier = story.over_since.get(order.replaces, order.at)
            story.over_since[order.replaces] = min(earlier, order.at)
