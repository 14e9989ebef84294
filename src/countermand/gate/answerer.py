"""One question, one answer, from memory: may this person's device read mail now?

Only an entry with an unbroken seal can refuse, and it is checked exactly then. Whatever goes
wrong on the way is counted and answered with an open door.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

import lmdb

from countermand.clock import Clock
from countermand.domain.device_key import door_key
from countermand.domain.door_record import (
    NO_ORDER,
    RECORD_BYTES,
    all_genuine,
    numbers_in,
    order_and_presence,
    without_forged,
)
from countermand.domain.verdict import (
    NO_RULE,
    ORDER_BYTES,
    OrderRule,
    Reason,
    judge,
    microseconds,
    open_at_any_time,
    order_text,
)
from countermand.gate import log_lines
from countermand.gate.counts import Counts
from countermand.gate.order_states import OrderStates


class DoorTable(Protocol):
    """Whatever knows the entries of a door."""

    def stored(self, door: bytes) -> bytes | None:
        """Return the records of one door, None if it has none."""
        ...


@dataclass(frozen=True, slots=True)
class Door:
    """One person's device, both names in normal form; `device` is empty where none is known."""

    login: str
    device: str


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """Whether mail is paused for whoever asked; `device_known` is "known", "unknown" or "none".

    Equal answers are one object, as long as they are remembered.
    """

    paused: bool
    order_number: str | None
    reason: Reason
    device_known: str


# Nine of ten answers are one of these.
NOBODY: Final = Answer(paused=False, order_number=None, reason=Reason.NO_ENTRY, device_known="none")
UNKNOWN: Final = Answer(
    paused=False, order_number=None, reason=Reason.NO_ENTRY, device_known="unknown"
)
_MOST_ANSWERS: Final = 4096
_MOST_ALIKE: Final = 4096
# A record's order and presence, where it begins.
_ALIKE_BYTES: Final = ORDER_BYTES + 1
_PAUSED: Final = Reason.PAUSED_ON_DEVICE
KNOWN: Final = Answer(paused=False, order_number=None, reason=Reason.NO_ENTRY, device_known="known")


class Answerer:
    """The table, the states and the clock behind every front."""

    def __init__(
        self,
        *,
        table: DoorTable,
        states: OrderStates,
        clock: Clock,
        entry_key: bytes,
        counts: Counts,
    ) -> None:
        """Answer from these."""
        self.table = table
        self.states = states
        self.clock = clock
        self.counts = counts
        self._entry_key = entry_key
        self._answers: dict[tuple[bytes, Reason], Answer] = {}
        self._in_turns = False
        self._now: int | None = None
        self._rules: Mapping[bytes, OrderRule] = {}
        # What is answered for every door whose only record begins so, whatever the time is.
        self._alike: dict[bytes, Answer] = {}

    def begin_turn(self) -> None:
        """Begin a turn of the event loop; all doors of one turn are judged by one instant.

        So are they by the orders as they stood when it began. A stop that is told meanwhile is
        acknowledged in a later turn.
        """
        self._in_turns = True
        self._now = None
        self._take_rules()

    def _take_rules(self) -> None:
        rules = self.states.rules()
        if rules is not self._rules:
            self._rules, self._alike = rules, {}

    def answer(self, doors: Iterable[Door]) -> Answer:
        """Answer for one question; it is paused if it is for any of the doors that it names.

        Several doors come from several headers that each name a person or a device: whoever adds
        a header of their own gains nothing by it.
        """
        nearest = NOBODY
        for door in doors:
            if not door.device:
                continue
            given = self.answer_key(door_key(door.login, door.device))
            if given.paused:
                return given
            if nearest.device_known != "known":
                nearest = given
        return nearest

    def answer_key(self, key: bytes) -> Answer:
        """Answer for the door that has this key."""
        try:
            stored = self.table.stored(key)
            if stored is None:
                return UNKNOWN
            if not self._in_turns:
                self._take_rules()
            if len(stored) == RECORD_BYTES:  # nearly always; and most of these need no time
                alike = self._alike.get(stored[:_ALIKE_BYTES]) or self._at_any_time(stored)
                if alike is not None:
                    return alike
            return self._judged(key, stored)
        except Exception as error:  # noqa: BLE001 - a fault of ours must never keep mail from anybody
            # Whoever follows the database hears of a damaged table by this count, and heals it.
            kind = "table_damaged" if isinstance(error, lmdb.Error) else "fault"
            self.counts.add("doubts", kind=kind)
            log_lines.error("question.failed", error=type(error).__name__, consequence="open")
            return NOBODY

    def _at_any_time(self, stored: bytes) -> Answer | None:
        """Answer by order and presence alone, None where more of a record has to be read."""
        order, presence = order_and_presence(stored)
        answer = KNOWN
        if order != NO_ORDER:
            reason = open_at_any_time(presence, self._rules.get(order, NO_RULE))
            if reason is None:
                return None
            answer = self._worded((order, reason))
        if len(self._alike) >= _MOST_ALIKE:
            self._alike.clear()
        self._alike[stored[:_ALIKE_BYTES]] = answer
        return answer

    def _judged(self, key: bytes, stored: bytes) -> Answer:
        rules = self._rules
        now = self._now
        if now is None:
            now = microseconds(self.clock.now())
            self._now = now if self._in_turns else None
        said = judge(numbers_in(stored), rules, now)
        while said[1] is _PAUSED:
            order = said[0]
            if all_genuine(stored, order, entry_key=self._entry_key, door=key):
                break
            self.counts.add("doubts", kind="seal_broken")
            stored = without_forged(stored, order, entry_key=self._entry_key, door=key)
            said = judge(numbers_in(stored), rules, now)
        return self._worded(said)

    def _worded(self, said: tuple[bytes, Reason]) -> Answer:
        answer = self._answers.get(said)
        if answer is None:
            order, reason = said
            answer = Answer(
                paused=reason is _PAUSED,
                order_number=order_text(order) or None,
                reason=reason,
                device_known="known",
            )
            if len(self._answers) >= _MOST_ANSWERS:
                self._answers.clear()
            self._answers[said] = answer
        return answer

    def sends_while_paused(self, number: str | None) -> bool:
        """Tell whether an order lets devices send that may not read; yes when it is not known."""
        order = self.states.order(number) if number else None
        return order is None or order.sending_while_paused

    def now(self) -> datetime:
        """Return the time by which deadlines are judged."""
        return self.clock.now()
