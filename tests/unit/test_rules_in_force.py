from __future__ import annotations

from datetime import UTC, datetime, timedelta

from countermand.domain.phases import Enforcement
from countermand.domain.rules_in_force import (
    CameUnder,
    Ended,
    Excepted,
    PutInForce,
    RuleEvent,
    TakenBack,
    rules,
)

DAY_0 = datetime(2020, 7, 7, 4, 0, tzinfo=UTC)
CLIPS = frozenset({"clips"})


def day(number: float) -> datetime:
    return DAY_0 + timedelta(days=number)


def applies(events: list[RuleEvent], at: float, **who: object) -> list[str]:
    found = rules(events, app="clips", person_id=int(str(who.get("person", 1))), at=day(at))
    return [rule.number for rule in found]


FIRST: list[RuleEvent] = [
    PutInForce("CM-1", day(0), CLIPS, Enforcement.GATE),
    CameUnder("CM-1", 1, day(0), deadline_at=day(5)),
    CameUnder("CM-1", 2, day(0), deadline_at=day(5)),
]
AMENDMENT: list[RuleEvent] = [
    PutInForce("CM-2", day(2), CLIPS, Enforcement.GATE, amends="CM-1"),
    CameUnder("CM-2", 1, day(2), deadline_at=day(9)),
]


def test_nothing_applies_before_an_order_is_put_in_force() -> None:
    assert applies(FIRST, -1) == []


def test_an_amendment_holds_instead_of_the_order_beneath_it_where_it_covers() -> None:
    assert applies(FIRST + AMENDMENT, 3) == ["CM-2"]
    assert applies(FIRST + AMENDMENT, 3, person=2) == ["CM-1"]


def test_an_amendment_names_what_stands_beneath_it() -> None:
    (rule,) = rules(FIRST + AMENDMENT, app="clips", person_id=1, at=day(3))

    assert rule.over == ("CM-1",)
    assert rule.deadline_at == day(9)


def test_taking_back_the_amendment_leaves_the_older_order_with_its_own_deadline() -> None:
    (rule,) = rules(
        [*FIRST, *AMENDMENT, TakenBack("CM-2", day(3))], app="clips", person_id=1, at=day(4)
    )

    assert rule.number == "CM-1"
    assert rule.deadline_at == day(5)


def test_taking_back_a_replacement_revives_nothing() -> None:
    replacement = PutInForce("CM-3", day(2), CLIPS, Enforcement.GATE, replaces="CM-1")

    assert applies([*FIRST, replacement, TakenBack("CM-3", day(3))], 4) == []


def test_a_replacement_that_was_taken_back_in_hold_ends_nothing() -> None:
    replacement = PutInForce("CM-3", day(2), CLIPS, Enforcement.GATE, replaces="CM-1")

    assert applies([*FIRST, TakenBack("CM-3", day(1)), replacement], 4) == ["CM-1"]


def test_an_exception_to_the_amendment_excepts_from_what_lies_beneath() -> None:
    events = [*FIRST, *AMENDMENT, Excepted("CM-2", 1, day(3), until=day(6))]

    assert applies(events, 4) == []
    assert applies(events, 6) == ["CM-2"]


def test_a_late_joiner_comes_under_an_order_on_an_own_day() -> None:
    events = [*FIRST, CameUnder("CM-1", 3, day(4), deadline_at=day(7))]

    assert applies(events, 3, person=3) == []
    assert applies(events, 4, person=3) == ["CM-1"]


def test_an_extension_moves_the_deadline_and_not_the_beginning() -> None:
    events = [*FIRST, CameUnder("CM-1", 1, day(3), deadline_at=day(8))]

    (rule,) = rules(events, app="clips", person_id=1, at=day(4))

    assert (rule.since, rule.deadline_at) == (day(0), day(8))


def test_an_order_that_has_ended_applies_to_nobody() -> None:
    assert applies([*FIRST, Ended("CM-1", day(2))], 2) == []


def test_what_names_some_devices_applies_to_those_alone() -> None:
    events: list[RuleEvent] = [
        FIRST[0],
        CameUnder("CM-1", 1, day(0), devices=frozenset({"phone"})),
    ]

    on_phone = rules(events, app="clips", person_id=1, at=day(1), device="phone")
    on_tablet = rules(events, app="clips", person_id=1, at=day(1), device="tablet")

    assert [rule.number for rule in on_phone] == ["CM-1"]
    assert on_tablet == ()


def test_an_order_about_another_app_does_not_apply() -> None:
    assert rules(FIRST, app="other", person_id=1, at=day(1)) == ()


def test_orders_that_amend_each_other_in_a_circle_are_still_answered() -> None:
    events: list[RuleEvent] = [
        PutInForce("CM-1", day(0), CLIPS, Enforcement.GATE, amends="CM-2"),
        PutInForce("CM-2", day(1), CLIPS, Enforcement.GATE, amends="CM-1"),
        CameUnder("CM-1", 1, day(0)),
    ]

    assert applies(events, 2) == []
