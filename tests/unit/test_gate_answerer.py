"""One question, one answer: what shuts is checked first, and whatever goes wrong opens.

Doors that only an order's state decides are answered alike, until that state changes.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import lmdb
import pytest

from countermand.domain.device_key import door_key
from countermand.domain.door_record import KNOWN_DEVICE, SealedEntry, body_of, seal
from countermand.domain.published_states import PublishedOrder
from countermand.domain.verdict import EntryFacts, Reason, order_bytes, rule_of
from countermand.gate.answerer import KNOWN, NOBODY, UNKNOWN, Answer, Answerer, Door
from countermand.gate.counts import Counts
from countermand.stop.fence import TAKEN_BACK_EPOCH

ORDER, OTHER = "CM-7Q4K", "CM-9999"
KEY = b"e" * 32
DOOR, KNOWN_DOOR = b"d" * 16, b"k" * 16
AT = datetime(2026, 12, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
SHUTTING = EntryFacts(
    order_number=ORDER,
    presence="present",
    evidence_at=AT - HOUR,
    fresh_until=AT + HOUR,
    may_close=True,
    closes_at=AT,
    noticed_at=AT - 72 * HOUR,
    lock_accepted_at=AT - HOUR,
    attested_at=None,
    override_until=None,
)
OF_ANOTHER = replace(SHUTTING, order_number=OTHER)


def in_force(number: str, **changed: Any) -> PublishedOrder:
    return PublishedOrder(
        number=number, phase="enforcing", enforcement="gate", exercise=False, epoch=1, **changed
    )


class ChangingStates:
    """One order, in force until it is taken back, and another that stays in force."""

    def __init__(self) -> None:
        self.stopped_epoch = 0
        self.change()

    def change(self) -> None:
        facts = in_force(ORDER).facts(
            valid=True, stopped_epoch=self.stopped_epoch, withdrawn=self.stopped_epoch > 1
        )
        other = in_force(OTHER).facts(valid=True)
        self._rules = {order_bytes(ORDER): rule_of(facts), order_bytes(OTHER): rule_of(other)}

    def take_back(self) -> None:
        self.stopped_epoch = TAKEN_BACK_EPOCH
        self.change()

    def rules(self) -> Any:
        return self._rules

    def order(self, number: str) -> PublishedOrder | None:
        known = {ORDER: in_force(ORDER), OTHER: in_force(OTHER, sending_while_paused=False)}
        return known.get(number)


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


def stored(answerer: Answerer, *records: bytes, door: bytes = DOOR) -> None:
    """Lay these records down for one door."""
    answerer.table[door] = b"".join(records)  # type: ignore[index]


def doubts(answerer: Answerer) -> int:
    return answerer.counts.get("doubts", kind="seal_broken")


def changed(sealed: bytes, at: int = 29) -> bytes:
    """Change one bit of a record: as it stands, of until when its evidence is fresh."""
    return sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]


def test_what_is_sealed_and_says_that_mail_pauses_pauses_it(answerer: Answerer) -> None:
    stored(answerer, record(DOOR, SHUTTING))

    said = answerer.answer_key(DOOR)

    assert (said.paused, said.order_number) == (True, ORDER)
    assert (said.reason, said.device_known) == (Reason.PAUSED_ON_DEVICE, "known")
    assert doubts(answerer) == 0


@pytest.mark.parametrize(
    "forged",
    [
        changed(record(DOOR, SHUTTING)),
        changed(record(DOOR, SHUTTING), at=80),
        record(KNOWN_DOOR, SHUTTING),
        body_of(SHUTTING) + bytes(16),
    ],
    ids=["a bit", "a bit of the seal", "of another door", "no seal"],
)
def test_what_nobody_with_the_key_wrote_shuts_nothing_and_is_counted(
    answerer: Answerer, forged: bytes
) -> None:
    stored(answerer, forged)

    assert not answerer.answer_key(DOOR).paused
    assert doubts(answerer) == 1


def test_a_forged_record_beside_a_genuine_one_changes_nothing_of_its_answer(
    answerer: Answerer,
) -> None:
    genuine = record(DOOR, OF_ANOTHER)
    stored(answerer, changed(record(DOOR, SHUTTING)), genuine)

    said = answerer.answer_key(DOOR)

    assert (said.paused, said.order_number) == (True, OTHER)
    assert doubts(answerer) == 1
    stored(answerer, changed(record(DOOR, SHUTTING)), changed(genuine))
    assert not answerer.answer_key(DOOR).paused
    assert doubts(answerer) == 3


def test_a_genuine_record_shuts_also_with_a_forged_one_of_its_own_order(
    answerer: Answerer,
) -> None:
    stored(answerer, changed(record(DOOR, SHUTTING)), record(DOOR, SHUTTING))

    assert answerer.answer_key(DOOR).paused


def of(device: str) -> Door:
    return Door("asha@amber.example", device)


@pytest.fixture
def doors(answerer: Answerer) -> Answerer:
    for device, facts in (("shut", SHUTTING), ("known", KNOWN_DEVICE)):
        key = door_key("asha@amber.example", device)
        stored(answerer, record(key, facts), door=key)
    return answerer


@pytest.mark.parametrize(
    ("devices", "expected"),
    [
        ([], NOBODY),
        ([""], NOBODY),
        (["stranger"], UNKNOWN),
        (["known"], KNOWN),
        (["stranger", "known"], KNOWN),
        (["known", "stranger"], KNOWN),
        (["known", ""], KNOWN),
    ],
)
def test_of_several_names_of_a_device_the_one_that_is_known_gives_the_answer(
    doors: Answerer, devices: list[str], expected: Answer
) -> None:
    assert doors.answer(map(of, devices)) is expected


@pytest.mark.parametrize(
    "devices", [["shut"], ["known", "shut"], ["stranger", "shut"], ["", "shut"], ["shut", "known"]]
)
def test_whoever_names_another_device_beside_a_paused_one_gains_nothing(
    doors: Answerer, devices: list[str]
) -> None:
    assert doors.answer(map(of, devices)).paused


class LoudTable:
    def __init__(self, error: Exception) -> None:
        self._error = error

    def stored(self, door: bytes) -> bytes | None:
        del door
        raise self._error


@pytest.mark.parametrize(
    ("error", "kind"),
    [(ValueError("?"), "fault"), (lmdb.CorruptedError("?"), "table_damaged")],
    ids=["fault", "damage"],
)
def test_whatever_goes_wrong_opens_and_is_counted(
    answerer: Answerer, error: Exception, kind: str
) -> None:
    answerer.table = LoudTable(error)

    assert answerer.answer_key(DOOR) is NOBODY
    assert answerer.counts.by_label("doubts", "kind") == {kind: 1}


def test_what_is_remembered_of_answers_has_a_bound_and_changes_none(answerer: Answerer) -> None:
    # Only a damaged table names so many orders.
    for number in range(5000):
        stored(answerer, record(DOOR, replace(SHUTTING, order_number=f"CM-{number}")))
        said = answerer.answer_key(DOOR)
        assert (said.order_number, said.reason) == (f"CM-{number}", Reason.STATE_NOT_VALID)

    assert len(answerer._alike) <= 4096
    assert len(answerer._answers) <= 4096


class MovingClock:
    """Later at each look."""

    def __init__(self) -> None:
        self.looks = 0

    def now(self) -> datetime:
        self.looks += 1
        return AT + self.looks * HOUR


def test_all_doors_of_a_turn_are_judged_by_one_instant_and_of_the_next_by_another(
    answerer: Answerer,
) -> None:
    answerer.clock = MovingClock()
    stored(answerer, record(DOOR, replace(SHUTTING, fresh_until=AT + 2 * HOUR)))

    answerer.begin_turn()
    assert [answerer.answer_key(DOOR).paused for _ in range(3)] == [True] * 3
    answerer.begin_turn()
    assert answerer.answer_key(DOOR).reason is Reason.EVIDENCE_STALE


def test_outside_of_turns_each_door_is_judged_by_its_own_instant(answerer: Answerer) -> None:
    answerer.clock = MovingClock()
    stored(answerer, record(DOOR, replace(SHUTTING, fresh_until=AT + 2 * HOUR)))

    assert [answerer.answer_key(DOOR).paused for _ in range(2)] == [True, False]


def test_a_device_may_send_unless_its_order_is_known_to_say_otherwise(answerer: Answerer) -> None:
    assert answerer.sends_while_paused(ORDER)
    assert not answerer.sends_while_paused(OTHER)
    assert answerer.sends_while_paused("CM-2K7Q")
    assert answerer.sends_while_paused(None)
