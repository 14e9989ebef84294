"""Looks at every interleaving of the permit design: senders, crashes, stalls, and a take-back.

The model is small (two or three people, two senders, up to two crashes) and complete: whatever
order the steps of senders, database, mail server and stop may come in, it is looked at. A stall
needs no step of its own: any sender may rest at any point while all others go on.

What a sender does for one notice, and what is durable at that point:

    claim --> ask --> permit --> look --> dot --> reply --> acknowledge
             (queued) (DURABLE)  (fence)  (sent)            (DURABLE)

and what the stop does:

    fence (DURABLE) --> kill every sender, wait for the wire --> settle (DURABLE) --> correct

Taken out one at a time, to see that each is needed (`--without`):
- `fence`: senders do not look at the fence right before the dot;
- `permit`: nothing is durable before the dot, only the reply is booked;
- `barrier`: the ledger is settled and corrections leave while senders may still be alive.

    python -m simulation.permit_model [--without fence|permit|barrier] [--people N] [--crashes N]

Ends with 0 when no state violates an invariant, otherwise with 1 and the shortest way there.
"""

from __future__ import annotations

import argparse
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

SENDERS: Final = 2
NAMES: Final = ("Asha", "Ravi", "Meera", "Lena")


class Part(StrEnum):
    """A part of the design that can be taken out."""

    FENCE = "fence"
    PERMIT = "permit"
    BARRIER = "barrier"


INVARIANTS: Final = {
    "I1": "nobody is corrected without a permit, or whose notice provably did not leave",
    "I2": "everybody whose server took the notice is corrected in the end",
    "I3": "after the fence one dot a connection at most, after settling none, and no permit",
    "I4": "the ledger never says “not told” of a notice that a server took",
    "I5": "the last word that a person receives is the correction",
}


class Row(NamedTuple):
    """A notice in the ledger. `floor` says that an earlier attempt may have arrived."""

    state: str  # pending | claimed | permitted | sent | maybe | skipped
    owner: int
    floor: bool


class Sender(NamedTuple):
    """A sender: where it is with which person's notice, and what it has read."""

    phase: str  # idle | claimed | asking | permitted | looked | waiting | replied | dead
    person: int
    reply: str  # what the server answered: taken | deferred | lost


class State(NamedTuple):
    """Everything at one instant: ledger, senders, wire, server, stop."""

    rows: tuple[Row, ...]
    senders: tuple[Sender, ...]
    queued: frozenset[tuple[int, int]]  # permits asked for and not committed: sender, person
    wire: frozenset[tuple[int, int]]  # dots written and not yet judged by the server
    permitted: frozenset[int]  # a permit is durable, and no proof that it came to nothing
    accepted: frozenset[int]  # people whose server took the notice
    corrected: frozenset[int]
    late: tuple[int, ...]  # dots after the fence, by sender
    is_fenced: bool
    is_settled: bool
    crashes: int


class Step(NamedTuple):
    """One step: in words, the state after it, and what it breaks by itself."""

    words: str
    after: State
    breaks: tuple[str, ...] = ()


IDLE: Final = Sender("idle", -1, "")
DEAD: Final = Sender("dead", -1, "")


@dataclass(frozen=True, slots=True)
class Result:
    """What looking at all states found: how many there are, and how often what is violated."""

    states: int
    violations: dict[str, int]


class Model:
    """The design, or the design without one of its parts."""

    def __init__(self, *, people: int, crashes: int, without: Part | None = None) -> None:
        self.people = people
        self.crashes = crashes
        self.has_fence = without is not Part.FENCE
        self.has_permit = without is not Part.PERMIT
        self.has_barrier = without is not Part.BARRIER

    def start(self) -> State:
        """Return the state before anything was done."""
        return State(
            rows=(Row("pending", -1, floor=False),) * self.people,
            senders=(IDLE,) * SENDERS,
            queued=frozenset(),
            wire=frozenset(),
            permitted=frozenset(),
            accepted=frozenset(),
            corrected=frozenset(),
            late=(0,) * SENDERS,
            is_fenced=False,
            is_settled=False,
            crashes=0,
        )

    def steps(self, state: State) -> Iterator[Step]:
        """Yield every step that may come next."""
        for number, sender in enumerate(state.senders):
            if sender.phase == "dead":
                yield from self._boot(state, number)
            else:
                yield from self._sender_steps(state, number, sender)
                yield from self._death(state, number)
        yield from self._database(state)
        yield from self._server(state)
        yield from self._stop(state)

    # --- a sender ---

    def _sender_steps(self, state: State, number: int, sender: Sender) -> Iterator[Step]:
        person = sender.person
        match sender.phase:
            case "idle":
                yield from self._claims(state, number)
            case "claimed":
                yield self._ask(state, number, person)
            case "permitted":
                yield self._look(state, number, person)
            case "looked":
                yield self._dot(state, number, person)
            case "replied":
                yield self._acknowledge(state, number, sender)
            case _:  # asking and waiting: the database or the server is next
                return

    def _claims(self, state: State, number: int) -> Iterator[Step]:
        for person, row in enumerate(state.rows):
            if row.state in {"pending", "maybe"} and not state.is_settled:
                floor = row.floor or row.state == "maybe"
                after = _with_row(state, person, Row("claimed", number, floor))
                after = _with_sender(after, number, Sender("claimed", person, ""))
                yield Step(f"sender {number + 1} takes the notice to {NAMES[person]}", after)

    def _ask(self, state: State, number: int, person: int) -> Step:
        if not self.has_permit:
            after = _with_sender(state, number, Sender("permitted", person, ""))
            return Step(f"sender {number + 1} writes the body to {NAMES[person]}", after)
        after = _with_sender(state, number, Sender("asking", person, ""))
        after = after._replace(queued=after.queued | {(number, person)})
        return Step(f"sender {number + 1} asks for the permit to {NAMES[person]}", after)

    def _look(self, state: State, number: int, person: int) -> Step:
        if self.has_fence and state.is_fenced:
            after = _with_sender(state, number, DEAD)
            after = _with_row(after, person, _given_back(state.rows[person], number))
            after = _without_permit(after, person)
            return Step(
                f"sender {number + 1} sees the fence, gives {NAMES[person]} back and ends", after
            )
        after = _with_sender(state, number, Sender("looked", person, ""))
        words = "looks: no fence" if self.has_fence else "does not look for a fence"
        return Step(f"sender {number + 1} {words}", after)

    def _dot(self, state: State, number: int, person: int) -> Step:
        after = _with_sender(state, number, Sender("waiting", person, ""))
        after = after._replace(wire=after.wire | {(number, person)})
        breaks: tuple[str, ...] = ()
        if state.is_fenced:
            count = state.late[number] + 1
            late = (*state.late[:number], count, *state.late[number + 1 :])
            after = after._replace(late=late)
            breaks = ("I3",) if count > 1 or state.is_settled else ()
        return Step(f"sender {number + 1} writes the dot to {NAMES[person]}", after, breaks)

    def _acknowledge(self, state: State, number: int, sender: Sender) -> Step:
        row = state.rows[sender.person]
        after = _with_sender(state, number, IDLE)
        if sender.reply == "taken":
            row = Row("sent", -1, floor=True)
        elif row.state in {"claimed", "permitted"} and row.owner == number:
            is_unsure = row.floor or (sender.reply == "lost" and self.has_permit)
            row = Row("maybe" if is_unsure else "pending", -1, floor=is_unsure)
        after = _without_permit(_with_row(after, sender.person, row), sender.person)
        return Step(f"sender {number + 1} books “{sender.reply}” for {NAMES[sender.person]}", after)

    def _death(self, state: State, number: int) -> Iterator[Step]:
        """Killed by the stop, or crashed by itself; what is on the wire or queued stays there."""
        after = _with_sender(state, number, DEAD)
        if state.is_fenced:
            yield Step(f"the stop kills sender {number + 1}", after)
        elif state.crashes < self.crashes:
            after = after._replace(crashes=state.crashes + 1)
            yield Step(f"sender {number + 1} crashes", after)

    def _boot(self, state: State, number: int) -> Iterator[Step]:
        """A sender reads the fence before anything else, and books what its predecessor left."""
        if state.is_fenced:
            return
        after = _with_sender(state, number, IDLE)
        for person, row in enumerate(state.rows):
            if row.owner == number:
                after = _with_row(after, person, _left_behind(row))
        yield Step(f"sender {number + 1} starts again and books what was left", after)

    # --- database and mail server ---

    def _database(self, state: State) -> Iterator[Step]:
        """Commits may come late: also when whoever asked is dead by then."""
        for number, person in sorted(state.queued):
            after = state._replace(queued=state.queued - {(number, person)})
            sender, row = state.senders[number], state.rows[person]
            asks = sender.phase == "asking" and sender.person == person
            if state.is_settled or row.state != "claimed" or row.owner != number:
                if asks:
                    after = _with_sender(after, number, IDLE)
                yield Step(f"the permit to {NAMES[person]} is refused", after)
                continue
            after = _with_row(after, person, Row("permitted", number, row.floor))
            after = after._replace(permitted=after.permitted | {person})
            if asks:
                after = _with_sender(after, number, Sender("permitted", person, ""))
            yield Step(f"the permit to {NAMES[person]} is durable", after)

    def _server(self, state: State) -> Iterator[Step]:
        for number, person in sorted(state.wire):
            gone = state._replace(wire=state.wire - {(number, person)})
            taken = gone._replace(accepted=gone.accepted | {person})
            breaks = ("I5",) if person in state.corrected else ()
            name = NAMES[person]
            yield Step(
                f"the server takes the notice to {name}",
                _told(taken, number, person, "taken"),
                breaks,
            )
            yield Step(
                f"the server takes the notice to {name}, its reply is lost",
                _told(taken, number, person, "lost"),
                breaks,
            )
            yield Step(
                f"the server does not take the notice to {name}",
                _told(gone, number, person, "deferred"),
            )
            yield Step(
                f"the link breaks before the server has the notice to {name}",
                _told(gone, number, person, "lost"),
            )

    # --- the stop ---

    def _stop(self, state: State) -> Iterator[Step]:
        if not state.is_fenced:
            yield Step(
                "somebody takes the order back: the fence is durable",
                state._replace(is_fenced=True),
            )
        elif not state.is_settled:
            all_dead = all(sender.phase == "dead" for sender in state.senders)
            if not self.has_barrier or (all_dead and not state.wire):
                yield Step("the ledger is settled", _settled(state))
        else:
            for person, row in enumerate(state.rows):
                if row.state in {"sent", "maybe"} and person not in state.corrected:
                    breaks = () if person in self._about_to_be_told(state) else ("I1",)
                    after = state._replace(corrected=state.corrected | {person})
                    yield Step(f"{NAMES[person]} gets the correction", after, breaks)

    def _about_to_be_told(self, state: State) -> frozenset[int]:
        return state.permitted | state.accepted if self.has_permit else state.accepted

    # --- what must hold in every state ---

    def broken_in(self, state: State, *, is_last: bool) -> tuple[str, ...]:
        """Return the invariants that this state violates; `is_last` if nothing can follow."""
        broken = []
        for person in state.accepted:
            row = state.rows[person]
            unbooked = row.state in {"pending", "skipped"} and not row.floor
            if unbooked or (
                row.state == "claimed" and not row.floor and not self._in_flight(state, person)
            ):
                broken.append("I4")
            if is_last and state.is_fenced and person not in state.corrected:
                broken.append("I2")
        return tuple(broken)

    def _in_flight(self, state: State, person: int) -> bool:
        """Whether a living sender still holds the reply that will be booked."""
        return not self.has_permit and any(
            s.person == person and s.phase in {"waiting", "replied"} for s in state.senders
        )


def _with_row(state: State, person: int, row: Row) -> State:
    return state._replace(rows=(*state.rows[:person], row, *state.rows[person + 1 :]))


def _with_sender(state: State, number: int, sender: Sender) -> State:
    senders = state.senders
    return state._replace(senders=(*senders[:number], sender, *senders[number + 1 :]))


def _without_permit(state: State, person: int) -> State:
    """Forget a permit that provably came to nothing: a correction would now be a stray one."""
    if state.rows[person].state != "pending":
        return state
    return state._replace(permitted=state.permitted - {person})


def _told(state: State, number: int, person: int, reply: str) -> State:
    """Let the sender read what became of its dot, if it still lives and waits for it."""
    sender = state.senders[number]
    if sender.phase != "waiting" or sender.person != person:
        return state
    return _with_sender(state, number, Sender("replied", person, reply))


def _given_back(row: Row, number: int) -> Row:
    """The dot was provably not written: as if this attempt had not been."""
    if row.owner != number or row.state not in {"claimed", "permitted"}:
        return row
    return Row("maybe" if row.floor else "pending", -1, row.floor)


def _left_behind(row: Row) -> Row:
    """What a dead sender held: permitted may have arrived, merely claimed was never sent."""
    if row.state == "permitted" or (row.state == "claimed" and row.floor):
        return Row("maybe", -1, floor=True)
    return Row("pending", -1, floor=False) if row.state == "claimed" else row


def _settled(state: State) -> State:
    """One transaction: nothing stays in flight, and no permit commits after it."""
    return state._replace(rows=tuple(_settled_row(row) for row in state.rows), is_settled=True)


def _settled_row(row: Row) -> Row:
    if row.state == "permitted" or (row.floor and row.state in {"pending", "claimed"}):
        return Row("maybe", -1, floor=True)
    return Row("skipped", -1, floor=False) if row.state in {"pending", "claimed"} else row


def _alike(state: State) -> State:
    """Return one and the same state for states that differ in names only.

    Senders are interchangeable, and so are people: they are put into an order. Where that leaves
    a tie, alike states may stay different: then both are looked at, and nothing is missed.
    """
    marks = [
        (
            row.state,
            row.floor,
            person in state.permitted,
            person in state.accepted,
            person in state.corrected,
        )
        for person, row in enumerate(state.rows)
    ]
    senders = state.senders
    traits = [(*sender, state.late[number]) for number, sender in enumerate(senders)]
    if marks != sorted(marks) or traits != sorted(traits):
        people = sorted(range(len(marks)), key=marks.__getitem__)
        return _renamed(state, people, sorted(range(len(senders)), key=traits.__getitem__))
    return state


def _renamed(state: State, people: list[int], senders: list[int]) -> State:
    person_of = {old: new for new, old in enumerate(people)} | {-1: -1}
    sender_of = {old: new for new, old in enumerate(senders)} | {-1: -1}

    def pairs(old: frozenset[tuple[int, int]]) -> frozenset[tuple[int, int]]:
        return frozenset((sender_of[sender], person_of[person]) for sender, person in old)

    def flags(old: frozenset[int]) -> frozenset[int]:
        return frozenset(person_of[person] for person in old)

    rows = [state.rows[old] for old in people]
    moved = [state.senders[old] for old in senders]
    return State(
        rows=tuple(Row(row.state, sender_of[row.owner], row.floor) for row in rows),
        senders=tuple(Sender(each.phase, person_of[each.person], each.reply) for each in moved),
        queued=pairs(state.queued),
        wire=pairs(state.wire),
        permitted=flags(state.permitted),
        accepted=flags(state.accepted),
        corrected=flags(state.corrected),
        late=tuple(state.late[old] for old in senders),
        is_fenced=state.is_fenced,
        is_settled=state.is_settled,
        crashes=state.crashes,
    )


def explore(model: Model) -> Result:
    """Look at every state that can be reached, but not beyond a step that breaks an invariant."""
    first = _alike(model.start())
    seen = {first}
    violations: dict[str, int] = {}
    waiting = deque([first])
    while waiting:
        state = waiting.popleft()
        steps = list(model.steps(state))
        broken = [*model.broken_in(state, is_last=not steps)]
        for step in steps:
            broken += step.breaks
            after = _alike(step.after)
            if not step.breaks and after not in seen:
                seen.add(after)
                waiting.append(after)
        for invariant in broken:
            violations[invariant] = violations.get(invariant, 0) + 1
    return Result(len(seen), dict(sorted(violations.items())))


def shortest_way(model: Model, invariant: str) -> tuple[str, ...]:
    """Return the fewest steps, in words, that lead to a violation of this invariant.

    Raises LookupError when there are none. Names stay what they are here, so alike states are
    not taken together.
    """
    first = model.start()
    came_from: dict[State, tuple[State, str] | None] = {first: None}
    waiting = deque([first])
    while waiting:
        state = waiting.popleft()
        steps = list(model.steps(state))
        if invariant in model.broken_in(state, is_last=not steps):
            return _way_to(state, came_from)
        for step in steps:
            if invariant in step.breaks:
                return (*_way_to(state, came_from), step.words)
            if not step.breaks and step.after not in came_from:
                came_from[step.after] = (state, step.words)
                waiting.append(step.after)
    raise LookupError(f"{invariant} is not violated")


def _way_to(state: State, came_from: dict[State, tuple[State, str] | None]) -> tuple[str, ...]:
    way: list[str] = []
    earlier = came_from[state]
    while earlier is not None:
        way.append(earlier[1])
        earlier = came_from[earlier[0]]
    return tuple(reversed(way))


# People and crashes. One crash is enough to see that a part is missing.
WHOLE_SIZES: Final = ((2, 2), (3, 0))
BROKEN_SIZES: Final = ((2, 1),)


def main(arguments: list[str] | None = None) -> int:
    """Print what was looked at; return 1 when an invariant can be violated."""
    parser = argparse.ArgumentParser(prog="python -m simulation.permit_model")
    parser.add_argument("--without", choices=[part.value for part in Part])
    parser.add_argument("--people", type=int, choices=range(1, len(NAMES) + 1))
    parser.add_argument("--crashes", type=int, choices=range(4), default=1)
    asked = parser.parse_args(arguments)
    without = Part(asked.without) if asked.without else None
    sizes = BROKEN_SIZES if without else WHOLE_SIZES
    if asked.people:
        sizes = ((asked.people, asked.crashes),)
    found = False
    for people, crashes in sizes:
        model = Model(people=people, crashes=crashes, without=without)
        found = _show(model, without) or found
    return 1 if found else 0


def _show(model: Model, without: Part | None) -> bool:
    """Print what one model shows; return whether anything is violated."""
    result = explore(model)
    design = f"the design without its {without}" if without else "the whole design"
    print(
        f"{design}: {model.people} people, {SENDERS} senders, up to {model.crashes} crashes, "
        f"a take-back at any instant: {result.states:,} states, "
        f"{len(result.violations)} of {len(INVARIANTS)} invariants violated"
    )
    for invariant, count in result.violations.items():
        print(f"\n  {invariant}: {INVARIANTS[invariant]} - violated {count:,} times; shortest:")
        for place, words in enumerate(shortest_way(model, invariant), start=1):
            print(f"    {place:2}. {words}")
    return bool(result.violations)


if __name__ == "__main__":
    sys.exit(main())
