"""The door shuts for one family of cases only."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from _pytest.mark.structures import ParameterSet

from countermand.domain.phases import Enforcement
from countermand.domain.verdict import (
    NEVER,
    EntryFacts,
    OrderStateFacts,
    Reason,
    Verdict,
    decide,
    facts_of,
    judge,
    microseconds,
    numbers_of,
    rule_of,
)

NOW = datetime(2026, 12, 10, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
TICK = timedelta(microseconds=1)

SHUTTING_ENTRY = EntryFacts(
    order_number="CM-7Q4K",
    presence="present",
    evidence_at=NOW - 5 * HOUR,
    fresh_until=NOW + 5 * HOUR,
    may_close=True,
    closes_at=NOW,
    noticed_at=NOW - timedelta(hours=72),
    lock_accepted_at=NOW - timedelta(minutes=30),
    attested_at=None,
    override_until=None,
)
SHUTTING_STATE = OrderStateFacts(
    number="CM-7Q4K",
    phase="enforcing",
    enforcement="gate",
    epoch=2,
    stopped_epoch=1,
    withdrawn=False,
    valid=True,
)


def verdict_of(entry: EntryFacts, state: OrderStateFacts | None, now: datetime = NOW) -> Verdict:
    return decide([entry], {} if state is None else {state.number: state}, now)


def test_everything_proven_shuts_the_door() -> None:
    verdict = verdict_of(SHUTTING_ENTRY, SHUTTING_STATE)

    assert verdict.closed
    assert verdict.order_number == "CM-7Q4K"
    assert verdict.reason is Reason.PAUSED_ON_DEVICE


# Each axis: the values that shut, then those that keep it open. Written apart from the code.
ENTRY_AXES: dict[str, tuple[list[Any], list[Any]]] = {
    "presence": (["present"], ["absent", "unobservable", "unknown", "", "PRESENT"]),
    "may_close": ([True], [False]),
    "evidence_at": ([NOW - 5 * HOUR, NOW], [None, NOW + TICK]),
    "fresh_until": ([NOW + TICK], [None, NOW, NOW - HOUR]),
    "attested_at": ([None, NOW - 6 * HOUR], [NOW - 5 * HOUR, NOW - HOUR, NOW, NOW + HOUR]),
    "override_until": ([None, NOW - HOUR, NOW], [NOW + TICK]),
    "closes_at": ([NOW, NOW - HOUR], [NOW + TICK]),
    "noticed_at": ([NOW - 72 * HOUR], [None, NOW - 72 * HOUR + TICK, NOW + HOUR]),
    "lock_accepted_at": ([NOW - HOUR / 2], [None, NOW - HOUR / 2 + TICK, NOW + HOUR]),
}
STATE_AXES: dict[str, tuple[list[Any], list[Any]]] = {
    "phase": (
        ["enforcing"],
        [
            "draft", "planned", "review", "approved", "hold", "canary", "sending", "notified",
            "collecting", "handed_over", "closed", "paused", "withdrawn", "stopping",
            "correcting", "corrected", "abandoned", "", "a word of a later version",
        ],
    ),
    "enforcement": (["gate"], ["cloud", "none", "handed-over", "", "a word of a later version"]),
    "epoch": ([2], [1, 0]),
    "withdrawn": ([False], [True]),
    "valid": ([True], [False]),
    "exercise": ([False], [True]),
}  # fmt: skip


def single_faults() -> Iterator[ParameterSet]:
    for axis, (_, opening) in ENTRY_AXES.items():
        for value in opening:
            yield pytest.param(
                replace(SHUTTING_ENTRY, **{axis: value}),
                SHUTTING_STATE,
                id=f"{axis}={value}",
            )
    for axis, (_, opening) in STATE_AXES.items():
        for value in opening:
            yield pytest.param(
                SHUTTING_ENTRY,
                replace(SHUTTING_STATE, **{axis: value}),
                id=f"{axis}={value!r}",
            )


@pytest.mark.parametrize(("entry", "state"), list(single_faults()))
def test_one_missing_or_doubtful_fact_is_enough_to_stay_open(
    entry: EntryFacts, state: OrderStateFacts
) -> None:
    verdict = verdict_of(entry, state)

    assert not verdict.closed
    assert verdict.reason is not Reason.PAUSED_ON_DEVICE


def test_the_whole_truth_table_shuts_in_exactly_one_family_of_cells() -> None:
    """Every combination of one good and one bad value on all fifteen axes: 32,768 cells."""
    entry_axes = list(ENTRY_AXES.items())
    state_axes = list(STATE_AXES.items())
    shut = []
    for goods in itertools.product((True, False), repeat=len(entry_axes) + len(state_axes)):
        of_entry, of_state = goods[: len(entry_axes)], goods[len(entry_axes) :]
        entry = replace(
            SHUTTING_ENTRY,
            **{
                axis: (good if is_good else bad)[0]
                for (axis, (good, bad)), is_good in zip(entry_axes, of_entry, strict=True)
            },
        )
        state = replace(
            SHUTTING_STATE,
            **{
                axis: (good if is_good else bad)[0]
                for (axis, (good, bad)), is_good in zip(state_axes, of_state, strict=True)
            },
        )
        if verdict_of(entry, state).closed:
            shut.append(goods)

    # An answer is only older than evidence that exists; all else must be good.
    assert shut == [(True,) * len(goods)]


def test_every_combination_of_good_values_shuts() -> None:
    names = [*ENTRY_AXES, *STATE_AXES]
    values = [good for good, _ in (*ENTRY_AXES.values(), *STATE_AXES.values())]
    for cell in itertools.product(*values):
        chosen = dict(zip(names, cell, strict=True))
        entry = replace(SHUTTING_ENTRY, **{axis: chosen[axis] for axis in ENTRY_AXES})
        state = replace(SHUTTING_STATE, **{axis: chosen[axis] for axis in STATE_AXES})

        assert verdict_of(entry, state).closed, chosen


@pytest.mark.parametrize("enforcement", Enforcement)
def test_of_all_that_an_order_may_say_only_gate_shuts_our_gate(enforcement: Enforcement) -> None:
    state = replace(SHUTTING_STATE, enforcement=enforcement.value)

    verdict = verdict_of(SHUTTING_ENTRY, state)

    assert verdict.closed is (enforcement is Enforcement.GATE)
    assert verdict.closed or verdict.reason is Reason.NOT_OUR_DOOR


def test_an_entry_without_an_instant_at_which_its_door_closes_never_shuts() -> None:
    # No publisher writes one; a record of a table may hold anything.
    endless = numbers_of(SHUTTING_ENTRY)._replace(closes_at=NEVER)
    rules = {endless.order: rule_of(SHUTTING_STATE)}

    assert judge([endless], rules, microseconds(NOW))[1] is Reason.DEADLINE_AHEAD
    assert judge([endless, endless], rules, microseconds(NOW))[1] is Reason.DEADLINE_AHEAD
    assert facts_of(endless).closes_at == datetime.max.replace(tzinfo=UTC)


@pytest.mark.parametrize("presence", ["present", "absent", "unobservable", "unknown"])
@pytest.mark.parametrize("may_close", [True, False])
def test_facts_come_back_from_their_numbers_as_they_were(presence: str, may_close: bool) -> None:
    facts = replace(SHUTTING_ENTRY, presence=presence, may_close=may_close, attested_at=NOW - TICK)

    assert facts_of(numbers_of(facts)) == facts


def test_numbers_that_no_calendar_and_no_list_holds_are_read_as_none() -> None:
    strange = numbers_of(SHUTTING_ENTRY)._replace(presence=4, fresh_until=2**62)

    assert facts_of(strange).presence == "unknown"
    assert facts_of(strange).fresh_until is None


def test_of_several_orders_that_came_equally_near_the_least_number_speaks() -> None:
    entries = [replace(SHUTTING_ENTRY, order_number=f"CM-{n}", closes_at=NOW + HOUR) for n in "321"]
    states = {e.order_number: replace(SHUTTING_STATE, number=e.order_number) for e in entries}

    assert decide(entries, states, NOW).order_number == "CM-1"


def test_a_device_without_entry_is_open() -> None:
    verdict = decide([], {"CM-7Q4K": SHUTTING_STATE}, NOW)

    assert not verdict.closed
    assert verdict.reason is Reason.NO_ENTRY


def test_an_order_whose_state_nobody_signed_is_open() -> None:
    verdict = verdict_of(SHUTTING_ENTRY, None)

    assert not verdict.closed
    assert verdict.reason is Reason.STATE_NOT_VALID


def test_a_take_back_opens_without_touching_any_entry() -> None:
    before = verdict_of(SHUTTING_ENTRY, SHUTTING_STATE)
    after = verdict_of(SHUTTING_ENTRY, replace(SHUTTING_STATE, withdrawn=True))

    assert before.closed
    assert not after.closed
    assert after.reason is Reason.TAKEN_BACK


def test_a_pause_opens_and_a_higher_epoch_shuts_again() -> None:
    paused = replace(SHUTTING_STATE, stopped_epoch=2)
    resumed = replace(paused, epoch=3)

    assert verdict_of(SHUTTING_ENTRY, paused).reason is Reason.STOPPED
    assert verdict_of(SHUTTING_ENTRY, resumed).closed


def test_the_older_order_still_shuts_when_its_amendment_is_taken_back() -> None:
    older = replace(SHUTTING_ENTRY, order_number="CM-2222")
    states = {
        "CM-2222": replace(SHUTTING_STATE, number="CM-2222"),
        "CM-7Q4K": replace(SHUTTING_STATE, withdrawn=True),
    }

    verdict = decide([SHUTTING_ENTRY, older], states, NOW)

    assert verdict.closed
    assert verdict.order_number == "CM-2222"


def test_an_emergency_order_states_a_shorter_notice() -> None:
    told_yesterday = replace(SHUTTING_ENTRY, noticed_at=NOW - 24 * HOUR)

    assert verdict_of(told_yesterday, SHUTTING_STATE).reason is Reason.TOLD_TOO_LATE
    assert verdict_of(
        told_yesterday, replace(SHUTTING_STATE, minimum_notice=timedelta(hours=24))
    ).closed


def test_of_several_open_orders_the_one_that_came_nearest_gives_the_reason() -> None:
    ahead = replace(SHUTTING_ENTRY, order_number="CM-9999", closes_at=NOW + HOUR)
    states = {
        "CM-7Q4K": replace(SHUTTING_STATE, valid=False),
        "CM-9999": replace(SHUTTING_STATE, number="CM-9999"),
    }

    verdict = decide([SHUTTING_ENTRY, ahead], states, NOW)

    assert (verdict.order_number, verdict.reason) == ("CM-9999", Reason.DEADLINE_AHEAD)
