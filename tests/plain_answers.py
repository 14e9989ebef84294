"""What an answer without a parser is compared by: a small world behind a gate, and its wire."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from countermand.domain.device_key import door_key
from countermand.domain.door_record import KNOWN_DEVICE, SealedEntry, body_of, seal
from countermand.domain.published_states import PublishedOrder
from countermand.domain.verdict import EntryFacts, order_bytes, rule_of
from countermand.gate.answerer import Answerer
from countermand.gate.counts import Counts
from countermand.gate.doors import WANTED_HEADERS, Doors
from countermand.gate.protocol import Connection, Learn, Listener, Responder

NOW = datetime(2026, 12, 10, 12, 0, tzinfo=UTC)
ORDER = "CM-7Q4K"
KEY = b"k" * 32
TOKEN = "of-the-gate"
ASHA, RAVI = "asha@amber.example", "ravi@amber.example"
PAUSED, OPEN = "AB45C9B0D3E4F506", "7f3a9b0d3e4f5061"

# Everything proven: refused as soon as the order is enforced.
SHUTTING = EntryFacts(
    order_number=ORDER,
    presence="present",
    evidence_at=NOW - timedelta(hours=5),
    fresh_until=NOW + timedelta(hours=5),
    may_close=True,
    closes_at=NOW,
    noticed_at=NOW - timedelta(hours=72),
    lock_accepted_at=NOW - timedelta(hours=1),
    attested_at=None,
    override_until=None,
)


class World:
    """A clock that stands, one order in force, and a table: Asha's phone is paused, Ravi's open."""

    def __init__(self) -> None:
        self.order_in_force = PublishedOrder(
            number=ORDER, phase="enforcing", enforcement="gate", exercise=False, epoch=1
        )
        self.doors = {
            door_key(login, device.lower()): facts
            for login, device, facts in (
                (ASHA, PAUSED, SHUTTING),
                (ASHA, OPEN, KNOWN_DEVICE),
                (RAVI, PAUSED, KNOWN_DEVICE),
                (RAVI, OPEN, SHUTTING),
                # What "50484f4e452d" spells.
                (ASHA, "phone-", SHUTTING),
            )
        }

    def now(self) -> datetime:
        return NOW

    def rules(self) -> Any:
        return {order_bytes(ORDER): rule_of(self.order_in_force.facts(valid=True))}

    def order(self, number: str) -> PublishedOrder:
        del number
        return self.order_in_force

    def stored(self, door: bytes) -> bytes | None:
        facts = self.doors.get(door)
        if facts is None:
            return None
        body = body_of(facts)
        return SealedEntry(body, seal(KEY, door, body)).to_bytes()


class Wire(asyncio.Transport):
    """Keeps what was written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.closed


def doors_of(world: World, counts: Counts, *, token: str = TOKEN) -> Doors:
    """Return the fronts before this world."""
    states: Any = world
    answerer = Answerer(table=world, states=states, clock=world, entry_key=KEY, counts=counts)
    return Doors(answerer, token=token, lookup_address="orders.example")


def connected(respond: Responder, learn: Learn | None) -> tuple[Connection, Wire]:
    """Return a connection to whoever responds, and what it writes to."""
    connection, wire = Connection(Listener(respond, WANTED_HEADERS, learn=learn)), Wire()
    connection.connection_made(wire)
    return connection, wire


def answered(pieces: Iterable[bytes], *, plainly: bool) -> tuple[bytes, bool, dict[Any, int]]:
    """Return what one connection got, whether it was closed, and what was counted."""
    counts = Counts()
    doors = doors_of(World(), counts)
    connection, wire = connected(doors.respond, doors.learn if plainly else None)
    for piece in pieces:
        if wire.closed:
            break
        connection.data_received(piece)
    counted = {(name, labels): n for name, labels, n in counts.take_changes()}
    return wire.written, wire.closed, counted


def same(pieces: list[bytes]) -> None:
    """Hold answers, counts and the end of the connection equal, with and without a parser."""
    assert answered(pieces, plainly=True) == answered(pieces, plainly=False)


def read_carefully(pieces: Iterable[bytes]) -> tuple[list[bytes], int]:
    """Return the answers to these pieces, and how many of them a parser had to read."""
    doors, carefully = doors_of(World(), Counts()), 0

    def respond(request: Any) -> Any:
        nonlocal carefully
        carefully += 1
        return doors.respond(request)

    connection, wire = connected(respond, doors.learn)
    for piece in pieces:
        connection.data_received(piece)
    return wire.written.split(b"HTTP/1.1 ")[1:], carefully
