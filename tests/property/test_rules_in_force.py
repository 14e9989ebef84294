"""What applies to whom, against a second telling of the same rules, step by step in time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from countermand.domain.phases import Enforcement
from countermand.domain.rules_in_force import (
    CameUnder,
    Ended,
    Excepted,
    LeftScope,
    PutInForce,
    RuleEvent,
    TakenBack,
    rules,
)

START = datetime(2020, 7, 7, 4, 0, tzinfo=UTC)
NUMBERS = ("CM-A", "CM-B", "CM-C", "CM-D")
APPS = ("clips", "clips-lite")
PEOPLE = (1, 2)


def at_hour(hour: int) -> datetime:
    return START + timedelta(hours=hour)


@st.composite
def histories(draw: st.DrawFn) -> list[RuleEvent]:
    """Any events about four orders, no two at the same instant, given in any order."""
    events: list[RuleEvent] = []
    for hour in range(draw(st.integers(1, 16))):
        number = draw(st.sampled_from(NUMBERS))
        person = draw(st.sampled_from(PEOPLE))
        at = at_hour(hour)
        older = [other for other in NUMBERS if other < number]
        link = draw(st.sampled_from([None, *older]))
        kind = draw(st.sampled_from(["put", "put", "under", "under", "back", "end", "not", "left"]))
        if kind == "put":
            amends = draw(st.booleans())
            events.append(
                PutInForce(
                    number=number,
                    at=at,
                    apps=frozenset(draw(st.sets(st.sampled_from(APPS), min_size=1))),
                    enforcement=draw(st.sampled_from(Enforcement)),
                    amends=link if amends else None,
                    replaces=None if amends else link,
                )
            )
        elif kind == "under":
            events.append(CameUnder(number, person, at, deadline_at=at_hour(hour + 72)))
        elif kind == "back":
            events.append(TakenBack(number, at))
        elif kind == "end":
            events.append(Ended(number, at))
        elif kind == "not":
            until = draw(st.one_of(st.none(), st.integers(hour + 1, 20).map(at_hour)))
            events.append(Excepted(number, person, at, until=until))
        else:
            events.append(LeftScope(number, person, at))
    return draw(st.permutations(events))


def told_step_by_step(  # noqa: C901, PLR0912 (one plain walk, to be read against the rules)
    events: list[RuleEvent], app: str, person: int, at: datetime
) -> set[str]:
    """The oracle: walk through time and keep the set of orders that stand."""
    standing: dict[str, PutInForce] = {}
    known: dict[str, PutInForce] = {}
    dead: set[str] = set()
    members: set[str] = set()
    excepted: dict[str, datetime | None] = {}
    for event in sorted(events, key=lambda e: e.at):
        if event.at > at:
            break
        if isinstance(event, PutInForce):
            if event.number in known:
                continue
            known[event.number] = event
            if event.number not in dead:
                standing[event.number] = event
                if event.replaces:
                    dead.add(event.replaces)
                    standing.pop(event.replaces, None)
        elif isinstance(event, TakenBack | Ended):
            dead.add(event.number)
            standing.pop(event.number, None)
        elif event.person_id != person:
            continue
        elif isinstance(event, CameUnder):
            members.add(event.number)
        elif isinstance(event, LeftScope):
            members.discard(event.number)
        else:
            excepted[event.number] = event.until
    covering = {n for n, o in standing.items() if n in members and app in o.apps}
    hidden: set[str] = set()
    for number in covering:
        older = known[number].amends
        while older is not None:
            hidden.add(older)
            older = known[older].amends if older in known else None
    free = {number for number, until in excepted.items() if until is None or at < until}
    return covering - hidden - free


@given(events=histories(), hour=st.integers(0, 20))
def test_what_applies_is_what_a_walk_through_time_finds(events: list[RuleEvent], hour: int) -> None:
    at = at_hour(hour)

    for app in APPS:
        for person in PEOPLE:
            found = {rule.number for rule in rules(events, app=app, person_id=person, at=at)}
            assert found == told_step_by_step(events, app, person, at)


@given(events=histories(), hour=st.integers(0, 20))
def test_the_future_changes_nothing(events: list[RuleEvent], hour: int) -> None:
    at = at_hour(hour)
    past = [event for event in events if event.at <= at]

    for app in APPS:
        assert rules(events, app=app, person_id=1, at=at) == rules(
            past, app=app, person_id=1, at=at
        )


@given(events=histories(), number=st.sampled_from(NUMBERS))
def test_what_was_taken_back_never_applies_again(events: list[RuleEvent], number: str) -> None:
    history = [*events, TakenBack(number, at_hour(16)), PutInForceAgain(number)]

    for app in APPS:
        for person in PEOPLE:
            found = rules(history, app=app, person_id=person, at=at_hour(30))
            assert number not in {rule.number for rule in found}


def PutInForceAgain(number: str) -> PutInForce:  # noqa: N802 (reads as an event)
    return PutInForce(number, at_hour(17), frozenset(APPS), Enforcement.GATE)


@given(events=histories(), number=st.sampled_from(NUMBERS))
def test_taking_back_an_amendment_leaves_what_applied_without_it(
    events: list[RuleEvent], number: str
) -> None:
    amendments = [
        replace(event, replaces=None) if isinstance(event, PutInForce) else event
        for event in events
    ]
    at = at_hour(20)

    with_it_taken_back = [*amendments, TakenBack(number, at_hour(18))]
    without_it = [
        event
        for event in amendments
        if not (isinstance(event, PutInForce) and event.number == number)
    ]

    for app in APPS:
        for person in PEOPLE:
            left = {r.number for r in rules(with_it_taken_back, app=app, person_id=person, at=at)}
            never = {r.number for r in rules(without_it, app=app, person_id=person, at=at)}
            # A younger amendment that stands reaches through the dead one to what lies beneath.
            assert left <= never
            if not any(is_over(other, number, amendments) for other in NUMBERS):
                assert left == never


def is_over(number: str, older: str, events: list[RuleEvent]) -> bool:
    return any(
        isinstance(event, PutInForce) and event.number == number and event.amends == older
        for event in events
    )
