"""One question, one answer, from memory: may this person's device read mail now?

Only an entry with an unbroken seal can refuse, and it is checked exactly then. Whatever goes
wrong on the way is counted and answered with an open door.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from countermand.clock import Clock
from countermand.domain.device_key import door_key
from countermand.domain.door_record import SealedEntry
from countermand.domain.verdict import OPEN_WITHOUT_ENTRY, Reason, Verdict, decide
from countermand.gate import log_lines
from countermand.gate.counts import Counts
from countermand.gate.order_states import OrderStates


class EntryTable(Protocol):
    """Whatever knows the entries of a door."""

    def entries(self, door: bytes) -> tuple[SealedEntry, ...]:
        """Return what is known of one door, mostly nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Door:
    """One person's device, both names in normal form; `device` is empty where none is known."""

    login: str
    device: str


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether mail is paused for whoever asked; `device_known` is "known", "unknown" or "none"."""

    paused: bool
    order_number: str | None
    reason: Reason
    device_known: str


_NOBODY: Final = Answer(
    paused=False, order_number=None, reason=Reason.NO_ENTRY, device_known="none"
)


class Answerer:
    """The table, the states and the clock behind every front."""

    def __init__(
        self,
        *,
        table: EntryTable,
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

    def answer(self, doors: Iterable[Door]) -> Answer:
        """Answer for one question; it is paused if it is for any of the doors that it names.

        Several doors come from several headers that each name a person or a device: whoever adds
        a header of their own gains nothing by it.
        """
        try:
            return self._answer(doors)
        except Exception as error:  # noqa: BLE001 - a fault of ours must never keep mail from anybody
            self.counts.add("doubts", kind="fault")
            log_lines.error("question.failed", error=type(error).__name__, consequence="open")
            return _NOBODY

    def _answer(self, doors: Iterable[Door]) -> Answer:
        # An entry without an order says only that the device is known.
        nearest = _NOBODY
        for door in doors:
            if not door.device:
                continue
            key = door_key(door.login, door.device)
            entries = self.table.entries(key)
            known = "known" if entries else "unknown"
            ordered = tuple(each for each in entries if each.order_number)
            verdict = self._verdict(key, ordered) if ordered else OPEN_WITHOUT_ENTRY
            answer = Answer(verdict.closed, verdict.order_number, verdict.reason, known)
            if answer.paused:
                return answer
            if nearest.device_known != "known":
                nearest = answer
        return nearest

    def _verdict(self, door: bytes, entries: tuple[SealedEntry, ...]) -> Verdict:
        now = self.clock.now()
        while True:
            verdict = decide([each.facts() for each in entries], self.states.facts(), now)
            if not verdict.closed:
                return verdict
            broken = self._with_broken_seals(door, entries, verdict.order_number)
            if not broken:
                return verdict
            self.counts.add("doubts", kind="seal_broken")
            entries = tuple(each for each in entries if each not in broken)

    def _with_broken_seals(
        self, door: bytes, entries: Iterable[SealedEntry], number: str | None
    ) -> list[SealedEntry]:
        return [
            each
            for each in entries
            if each.order_number == number and not each.is_genuine(self._entry_key, door)
        ]

    def sends_while_paused(self, number: str | None) -> bool:
        """Tell whether an order lets devices send that may not read; yes when it is not known."""
        order = self.states.order(number) if number else None
        return order is None or order.sending_while_paused

    def now(self) -> datetime:
        """Return the time by which deadlines are judged."""
        return self.clock.now()
