"""Stops under full send load, and what a kill leaves in doubt, judged by the sink's own journal."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.hindi_notice import DATED_AT, ORDER
from benchmarks.ledger_house import LedgerHouse, wait_until
from benchmarks.sinks import free_port, wait_for_port
from countermand.domain.delivery import StopKind
from countermand.ports import StopRow
from countermand.sender.postgres_ledger import PostgresLedger
from countermand.stop.press import press

CONNECTIONS: Final = 16
_UNDER_WAY: Final = 300  # dots that came before somebody presses
_SETTLE_TIME_S: Final = 0.3  # for what a socket still held
_SLOW_COMMIT: Final = """
    CREATE FUNCTION benchmark_slow() RETURNS trigger LANGUAGE plpgsql
        AS 'BEGIN PERFORM pg_sleep(0.02); RETURN NULL; END';
    CREATE CONSTRAINT TRIGGER benchmark_slow AFTER INSERT ON notices_openbatch
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION benchmark_slow();
"""
_QUICK_COMMIT: Final = "DROP FUNCTION benchmark_slow CASCADE"


@dataclass(slots=True)
class Recording:
    """A recording sink's port and journal."""

    port: int
    journal: Path

    def dots(self) -> list[tuple[int, int, str, str]]:
        """Return (nanoseconds, connection, Message-ID, verdict) of every dot so far."""
        lines = self.journal.read_text(encoding="ascii").splitlines()
        rows = [line.split(" ") for line in lines if line.count(" ") == 3]  # noqa: PLR2004
        return [(int(at), int(connection), mail, said) for at, connection, mail, said in rows]

    def is_under_way(self) -> bool:
        """Say whether enough dots came for the sender to be at full speed."""
        return self.journal.read_bytes().count(b"\n") >= _UNDER_WAY


@contextmanager
def recording_sink(house: LedgerHouse, *, asks_ledger: bool = False) -> Iterator[Recording]:
    """Run a recording sink."""
    made = Recording(free_port(), house.folder.path / f"journal-{time.monotonic_ns()}")
    made.journal.touch()
    command = [sys.executable, "-m", "benchmarks.recording_sink", "--port", str(made.port)]
    command += ["--journal", str(made.journal)]
    command += ["--ledger", house.url] if asks_ledger else []
    with subprocess.Popen(command) as sink:
        try:
            wait_for_port(made.port)
            yield made
        finally:
            sink.kill()


def dots_before_permit(house: LedgerHouse, mails: int) -> tuple[int, int]:
    """Return (dots, dots that came before their permit had committed).

    Commits of permits are held up by 20 ms for this, so that a dot written too early meets a
    ledger that does not know its permit yet.
    """
    house.empty()
    house.fill(mails)
    house.connection.execute(_SLOW_COMMIT)
    try:
        with recording_sink(house, asks_ledger=True) as sink:
            house.start_sender(f"127.0.0.1:{sink.port}", connections=CONNECTIONS)
            house.set_phase("sending")
            wait_until(house.is_idle)
            house.end_senders()
            dots = sink.dots()
    finally:
        house.connection.execute(_QUICK_COMMIT)
    return len(dots), sum(said != "permitted" for *_, said in dots)


def doubt(house: LedgerHouse, *, window: int, kills: int, mails: int) -> list[float]:
    """Return the rows in doubt per connection after each of `kills` in mid-run."""
    found: list[float] = []
    for _ in range(kills):
        house.empty()
        house.fill(mails)
        with recording_sink(house) as sink:
            sender = house.start_sender(
                f"127.0.0.1:{sink.port}", connections=CONNECTIONS, window=window
            )
            house.set_phase("sending")
            wait_until(sink.is_under_way)
            sender.send_signal(signal.SIGKILL)
            house.end_senders()
            time.sleep(_SETTLE_TIME_S)  # a commit that its session still carries out
        house.catch_up()
        found.append(house.count("state = 'permitted'") / CONNECTIONS)
    return found


@dataclass(slots=True)
class Stops:
    """What each press measured."""

    durable_ms: list[float] = field(default_factory=list)
    settled_ms: list[float] = field(default_factory=list)
    arrivals: list[float] = field(default_factory=list)  # per connection, after the stop
    late_ms: list[float] = field(default_factory=list)  # the last of them
    first_correction_s: list[float] = field(default_factory=list)
    missed: int = 0
    stray: int = 0
    precautionary: int = 0


def presses(house: LedgerHouse, *, count: int, mails: int, corrections: int) -> Stops:
    """Take an order back `count` times under full load; corrections are measured the first times.

    Corrections are written here by plain SQL, and a new sender process brings them: what the
    worker adds is measured by the story, not here.
    """
    stops = Stops()
    for number in range(count):
        house.empty()
        house.fill(mails)
        with recording_sink(house) as sink:
            relay = f"127.0.0.1:{sink.port}"
            house.start_sender(relay, connections=CONNECTIONS)
            house.set_phase("sending")
            wait_until(sink.is_under_way)
            _press(house, sink, stops)
            if number < corrections:
                begun = stops.first_correction_s.pop()
                stops.first_correction_s.append(_first_correction(house, sink, relay, begun))
            else:
                stops.first_correction_s.pop()
            house.end_senders()
    return stops


def _press(house: LedgerHouse, sink: Recording, stops: Stops) -> None:
    begun = time.monotonic()
    pressed = press(
        house.folder, ORDER, StopKind.TAKE_BACK, by=1, because="measured", now=DATED_AT, epoch=1
    )
    if not pressed.senders_proven_dead:
        raise RuntimeError("a sender was not proven dead")
    ledger = PostgresLedger(house.url)
    ledger.stop(StopRow(ORDER, StopKind.TAKE_BACK, pressed.fence.stopped_epoch, DATED_AT))
    ledger.settle(order_number=ORDER, now=DATED_AT)
    stops.settled_ms.append((time.monotonic() - begun) * 1e3)
    time.sleep(_SETTLE_TIME_S)
    owed = {each.notice_message_id for each in ledger.corrections(order_number=ORDER)}
    ledger.close()
    durable_at_ns = int((begun + pressed.durable_ms / 1e3) * 1e9)
    dots = sink.dots()
    after = [(at, connection) for at, connection, *_ in dots if at > durable_at_ns]
    stops.durable_ms.append(pressed.durable_ms)
    stops.arrivals.append(max(Counter(connection for _, connection in after).values(), default=0))
    stops.late_ms.append(max((at - durable_at_ns for at, _ in after), default=0) / 1e6)
    stops.first_correction_s.append(begun)
    accepted = {mail for _, _, mail, _ in dots}
    rows = house.connection.execute(
        "SELECT jsonb_array_elements_text(message_ids) FROM notices_permitbatch"
    ).fetchall()
    permitted = {str(row[0]) for row in rows}
    stops.missed += len(accepted - owed)
    stops.stray += len(owed - accepted - permitted)
    stops.precautionary += len((owed - accepted) & permitted)


def _first_correction(house: LedgerHouse, sink: Recording, relay: str, begun: float) -> float:
    rows = house.connection.execute(
        "SELECT person_id FROM notices_notice WHERE exposure > 0"
    ).fetchall()
    house.set_phase("correcting")
    house.add([int(row[0]) for row in rows], order=ORDER, kind="correction")
    house.start_sender(relay, name="sender-2", connections=CONNECTIONS)

    def came() -> list[int]:
        return [at for at, _, mail, _ in sink.dots() if ".correction." in mail]

    wait_until(lambda: bool(came()))
    return min(came()) / 1e9 - begun
