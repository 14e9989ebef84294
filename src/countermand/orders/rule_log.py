"""The rules in force, read out of the log alone: what was mailed is never asked.

What an order does to the rules is entered in the log as it happens: it was put in force, people
came under it (by salted reference, with their own deadline), somebody was excepted, it was taken
back or ended. `RuleBook` reads these entries once and answers for as many people as are asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from countermand.audit import actions as audit
from countermand.audit import queries as log
from countermand.domain.phases import Enforcement, Step
from countermand.domain.rules_in_force import (
    CameUnder,
    Ended,
    Excepted,
    LeftScope,
    PutInForce,
    RuleEvent,
    RuleInForce,
    TakenBack,
    rules,
)

PUT_IN_FORCE: Final = f"order.{Step.HOLD_OVER.value}"
TAKEN_BACK: Final = f"order.{Step.TAKE_BACK.value}"
ENDED: Final = f"order.{Step.CLOSE.value}"
PEOPLE_CAME: Final = "order.people_came"
PEOPLE_EXCEPTED: Final = "order.people_excepted"
PEOPLE_LEFT: Final = "order.people_left"
# One entry of the log names at most so many people.
_PEOPLE_AN_ENTRY: Final = 500


def people_came(number: str, deadlines: Mapping[int, datetime | None], *, now: datetime) -> None:
    """Enter in the log that people came under an order, each with an own deadline."""
    _record_people(PEOPLE_CAME, number, deadlines, now)


def people_excepted(number: str, until: Mapping[int, datetime | None], *, now: datetime) -> None:
    """Enter in the log that people are excepted, until an instant or for good."""
    _record_people(PEOPLE_EXCEPTED, number, until, now)


def people_left(number: str, people: Iterable[int], *, now: datetime) -> None:
    """Enter in the log that people are out from under an order: they left the organisation."""
    _record_people(PEOPLE_LEFT, number, dict.fromkeys(people), now)


def _record_people(
    event: str, number: str, instants: Mapping[int, datetime | None], now: datetime
) -> None:
    people = sorted(instants)
    for begin in range(0, len(people), _PEOPLE_AN_ENTRY):
        some = people[begin : begin + _PEOPLE_AN_ENTRY]
        refs = log.person_refs(some)
        facts = {refs[person]: _iso(instants[person]) for person in some}
        audit.record(event, order_number=number, actor_id=None, facts={"people": facts}, now=now)


def _iso(instant: datetime | None) -> str | None:
    return instant.isoformat() if instant else None


@dataclass(slots=True)
class RuleBook:
    """All events about rules; those about people lie by reference."""

    general: list[RuleEvent] = field(default_factory=list)
    _by_ref: dict[str, list[tuple[str, str, datetime, datetime | None]]] = field(
        default_factory=dict
    )

    @classmethod
    def from_log(cls) -> RuleBook:
        """Read the book out of the log, unnumbered entries included."""
        book = cls()
        events = (PUT_IN_FORCE, TAKEN_BACK, ENDED, PEOPLE_CAME, PEOPLE_EXCEPTED, PEOPLE_LEFT)
        for entry in log.entries(events=events):
            book._read(entry)
        return book

    def _read(self, entry: log.EntryView) -> None:
        number, at, facts = entry.order_number, entry.at, entry.facts
        match entry.event:
            case event if event == PUT_IN_FORCE and facts.get("mode") == "exercise":
                pass  # what is only practised rules nobody
            case event if event == PUT_IN_FORCE:
                self.general.append(
                    PutInForce(
                        number=number,
                        at=at,
                        apps=frozenset(facts["apps"]),
                        enforcement=Enforcement(facts["enforcement"]),
                        amends=facts["amends"] or None,
                        replaces=facts["replaces"] or None,
                    )
                )
            case event if event == TAKEN_BACK:
                self.general.append(TakenBack(number=number, at=_instant(facts, "pressed_at", at)))
            case event if event == ENDED:
                self.general.append(Ended(number=number, at=at))
            case event:
                for ref, instant in facts["people"].items():
                    told = datetime.fromisoformat(instant) if instant else None
                    self._by_ref.setdefault(ref, []).append((event, number, at, told))

    def events_of(self, person_id: int, ref: str) -> list[RuleEvent]:
        """Return all events that matter to one person."""
        return [*self.general, *self._own(person_id, ref)]

    def _own(self, person_id: int, ref: str) -> Iterator[RuleEvent]:
        for event, number, at, instant in self._by_ref.get(ref, ()):
            if event == PEOPLE_CAME:
                yield CameUnder(number=number, person_id=person_id, at=at, deadline_at=instant)
            elif event == PEOPLE_EXCEPTED:
                yield Excepted(number=number, person_id=person_id, at=at, until=instant)
            else:
                yield LeftScope(number=number, person_id=person_id, at=at)

    def rules(self, person_id: int, ref: str, *, app: str, at: datetime) -> tuple[RuleInForce, ...]:
        """Return what applies to one person and app at `at`."""
        return rules(self.events_of(person_id, ref), app=app, person_id=person_id, at=at)


def _instant(facts: Mapping[str, str], key: str, otherwise: datetime) -> datetime:
    text = facts.get(key)
    return datetime.fromisoformat(text) if text else otherwise
