"""Doors that only an order's state decides are answered alike, until that state changes."""

from datetime import UTC, datetime
from typing import Any

import pytest

from countermand.domain.door_record import KNOWN_DEVICE, SealedEntry, body_of, seal
from countermand.domain.published_states import PublishedOrder
from countermand.domain.verdict import EntryFacts, Reason, order_bytes, rule_of
from countermand.gate.answerer import KNOWN, Answerer
from countermand.gate.counts import Counts
from countermand.stop.fence import TAKEN_BACK_EPOCH

ORDER = "CM-7Q4K"
KEY = b"e" * 32
DOOR, KNOWN_DOOR = b"d" * 16, b"k" * 16
AT = datetime(2026, 12, 10, tzinfo=UTC)


class ChangingStates:
    """One order, in force until it is taken back."""

    def __init__(self) -> None:
        self.stopped_epoch = 0
        self.change()

    def change(self) -> None:
        order = PublishedOrder(
            number=ORDER, phase="enforcing", enforcement="gate", exercise=False, epoch=1
        )
        facts = order.facts(
            valid=True, stopped_epoch=self.stopped_epoch, withdrawn=self.stopped_epoch > 1
        )
        self._rules = {order_bytes(ORDER): rule_of(facts)}

    def take_back(self) -> None:
        self.stopped_epoch = TAKEN_BACK_EPOCH
        self.change()

    def rules(self) -> Any:
        return self._rules


class Table(dict[bytes, bytes]):
    def stored(self, door: bytes) -> bytes | None:
        return self.get(door)


class Clock:
    def now(self) -> datetime:
        return AT


def record(door: bytes, facts: EntryFacts) -> bytes:
    body = body_of(facts)
    return SealedEntry(body, seal(KEY, door, body)).to_bytes()


@pytest.fixture
def states() -> ChangingStates:
    return ChangingStates()


@pytest.fixture
def answerer(states: Any) -> Answerer:
    absent = EntryFacts(
        order_number=ORDER,
        presence="absent",
        evidence_at=AT,
        fresh_until=AT,
        may_close=True,
        closes_at=AT,
        noticed_at=AT,
        lock_accepted_at=AT,
        attested_at=None,
        override_until=None,
    )
    table = Table({DOOR: record(DOOR, absent), KNOWN_DOOR: record(KNOWN_DOOR, KNOWN_DEVICE)})
    return Answerer(table=table, states=states, clock=Clock(), entry_key=KEY, counts=Counts())


@pytest.mark.parametrize("in_turns", [False, True])
def test_an_order_that_changes_is_felt_by_doors_that_were_answered_before(
    answerer: Answerer, states: ChangingStates, in_turns: bool
) -> None:
    def reason() -> Reason:
        if in_turns:
            answerer.begin_turn()
        return answerer.answer_key(DOOR).reason

    assert [reason(), reason()] == [Reason.NOT_PRESENT] * 2
    states.take_back()
    assert [reason(), reason()] == [Reason.TAKEN_BACK] * 2


def test_doors_that_are_answered_alike_are_given_one_answer(answerer: Answerer) -> None:
    assert answerer.answer_key(DOOR) is answerer.answer_key(DOOR)
    assert answerer.answer_key(KNOWN_DOOR) is KNOWN
