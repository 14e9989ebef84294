"""The gate follows the database when it is there, and does without it when it is not.

Two followers, each with a connection of its own: states of orders are few and travel apart, so
that a long catch-up of entries never delays an opening. A follower is woken by a notice and looks
every second all the same; what it is told is only that there may be something to read.

Entries are read level by level: everything above the version that the table has. Versions are in
the order of commits, so nothing can appear below. Whatever was lost all the same shows in a
tally of all entries and is healed by reading them all.
"""

from __future__ import annotations

import threading
from base64 import b64decode
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import lmdb
import psycopg

from countermand.gate import feed_rows, log_lines
from countermand.gate.counts import Counts
from countermand.gate.machine_time import MachineTime
from countermand.gate.order_states import OrderStates, Received, SignedSet
from countermand.gate.table import FeedRow, Table

CHANNEL: Final = "countermand_gate"
TALLY_EVERY_MS: Final = 60_000
# Entries of one order lie far apart in the table: a small batch puts nearly all of it on the disk.
_BATCH: Final = 100_000
# From here on, a table of which as much as a half has changed is read anew.
_MANY: Final = 20_000
_CONNECT_S: Final = 5
_LONGEST_STATEMENT_MS: Final = 60_000
# A set read this soon after the look before cannot have waited for us.
_AT_ONCE_MS: Final = 5_000
_HEAD: Final = "SELECT version FROM enforcement_feedhead WHERE id = 1"
_TALLY: Final = """
    SELECT (SELECT version FROM enforcement_feedhead WHERE id = 1), count(*),
           coalesce(bit_xor(('x' || left(checksum, 16))::bit(64)::bigint), 0),
           EXISTS (SELECT FROM enforcement_doorentry WHERE (version, id) > (%s, %s))
    FROM enforcement_doorentry WHERE NOT deleted
"""
_NEWEST: Final = """
    SELECT sequence, payload, signature, key_id FROM enforcement_publishedstate
    WHERE sequence > %s ORDER BY sequence DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class Source:
    """Where to look and how often; the address is asked for anew before each connection."""

    url: Callable[[], str]
    poll_s: float
    counts: Counts


class Follower:
    """A thread that keeps a connection, looks, and waits to be woken; it never gives up."""

    def __init__(self, source: Source, *, name: str) -> None:
        """Prepare; nothing runs yet."""
        self._source = source
        self._name = name
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.follows = False

    @property
    def is_alive(self) -> bool:
        """Tell whether the thread still runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def stop(self, longest_s: float = 2.0) -> None:
        """Ask the thread to end, and wait for it."""
        self._stop.set()
        self._thread.join(longest_s)

    def begin(self) -> None:
        """Forget what a lost connection had promised."""

    def look(self, connection: psycopg.Connection[Any]) -> None:
        """Read whatever is new."""
        raise NotImplementedError

    def _run(self) -> None:
        while not self._stop.is_set():
            url = self._source.url()
            if url:
                self._follow_until_lost(url)
            self._stop.wait(self._source.poll_s)

    def _follow_until_lost(self, url: str) -> None:
        try:
            with psycopg.connect(
                url,
                autocommit=True,
                connect_timeout=_CONNECT_S,
                application_name=f"countermand {self._name}",
                options=f"-c statement_timeout={_LONGEST_STATEMENT_MS}",
                prepare_threshold=None,
            ) as connection:
                connection.execute(f"LISTEN {CHANNEL}")
                self.begin()
                self._look_and_wait(connection)
        except Exception as error:  # noqa: BLE001 - the gate goes on with what it has, whatever it is
            if self.follows:
                log_lines.warning("feed.lost", follower=self._name, error=type(error).__name__)
            self._source.counts.add("feed", follower=self._name, outcome="lost")
        finally:
            self.follows = False

    def _look_and_wait(self, connection: psycopg.Connection[Any]) -> None:
        while not self._stop.is_set():
            self.look(connection)
            self.follows = True
            self._source.counts.add("feed", follower=self._name, outcome="read")
            for _ in connection.notifies(timeout=self._source.poll_s, stop_after=1):
                pass


class StatesFollower(Follower):
    """Keeps the states of orders as new as the database has them, and on disk."""

    def __init__(
        self,
        source: Source,
        *,
        states: OrderStates,
        time: MachineTime,
        snapshot: Path,
        ring: Callable[[], None],
    ) -> None:
        """Follow into `states`, write each set to `snapshot`, and then `ring`."""
        super().__init__(source, name="states")
        self._states = states
        self._time = time
        self._snapshot = snapshot
        self._ring = ring
        self._looked_at_ms: int | None = None
        self._seen = 0

    def begin(self) -> None:
        """Believe no more that sets arrive at once."""
        self._looked_at_ms = None

    def look(self, connection: psycopg.Connection[Any]) -> None:
        """Take the newest set over, if there is a newer one."""
        now_ms = self._time.since_boot_ms()
        before_ms, self._looked_at_ms = self._looked_at_ms, now_ms
        at_once = before_ms is not None and now_ms - before_ms < _AT_ONCE_MS
        row = connection.execute(_NEWEST, [max(self._states.sequence, self._seen)]).fetchone()
        if row is None:
            return
        sequence, payload, signature, key_id = row
        self._seen = max(self._seen, sequence)
        arrived = SignedSet(payload.encode(), _unpacked(signature), key_id)
        result = self._states.receive(arrived, at_once=at_once)
        self._source.counts.add("states_received", outcome=result)
        if result is Received.ACCEPTED:
            self._states.remember(self._snapshot, arrived)
            self._ring()
        else:
            log_lines.warning("states.left_out", sequence=sequence, why=result.value)


class EntriesFollower(Follower):
    """Keeps the table of doors as the database has it."""

    def __init__(self, source: Source, *, table: Table, time: MachineTime) -> None:
        """Follow into `table`."""
        super().__init__(source, name="entries")
        self._table = table
        self._time = time
        self._tallied_at_ms: int | None = None
        self._read_all_at_ms: int | None = None
        self._damage_seen = 0

    def look(self, connection: psycopg.Connection[Any]) -> None:
        """Read what is above the table's version, then heal what does not add up."""
        head = _head(connection)
        if self._damage() > self._damage_seen and self._is_due(self._read_all_at_ms):
            self._read_all(connection, why="whoever answers met a damaged page")
            return
        if head < self._table.place().version:
            self._read_all(connection, why="the database is older than the table")
            return
        place = self._table.place()
        many = max(_MANY, place.count // 2)
        if feed_rows.waiting(connection, place.version, place.row_id, many) == many:
            # Each batch is put on the disk, where its entries lie far apart: all at once is less.
            self._read_all(connection, why="many entries changed")
            return
        try:
            self._read_above(connection)
        except lmdb.Error as error:
            # Pages that the disk has spoiled: written anew they are sound, and nothing is missing.
            self._source.counts.add("doubts", kind="table_damaged")
            self._read_all(connection, why=f"the table is damaged: {error}")
            return
        gap = self._table.place().version < head
        if gap or self._is_due(self._tallied_at_ms):
            self._tallied_at_ms = self._time.since_boot_ms()
            self._heal(connection)

    def _damage(self) -> int:
        """Return how often any process of this gate met a page that cannot be read."""
        return self._source.counts.get("doubts", kind="table_damaged")

    def _is_due(self, last_ms: int | None) -> bool:
        return last_ms is None or self._time.since_boot_ms() - last_ms >= TALLY_EVERY_MS

    def _read_above(self, connection: psycopg.Connection[Any]) -> None:
        place = self._table.place()
        version, row_id = place.version, place.row_id
        while not self._stop.is_set():
            rows, version, row_id = feed_rows.changed(connection, version, row_id, _BATCH)
            if not rows:
                return
            self._table.apply(self._understood(rows), version=version, row_id=row_id)

    def _heal(self, connection: psycopg.Connection[Any]) -> None:
        place = self._table.place()
        row = connection.execute(_TALLY, [place.version, place.row_id]).fetchone()
        if row is None or row[3]:
            return  # rows came meanwhile: they are read first, and the tally waits for its turn
        head, count, folded, _ = row
        if (count, folded) != (place.count, place.folded):
            self._read_all(connection, why="the tally differs")
        elif (head or 0) > place.version:
            # Whatever these versions held is gone again.
            self._table.apply((), version=head, row_id=_LAST_ID)

    def _read_all(self, connection: psycopg.Connection[Any], *, why: str) -> None:
        log_lines.warning("table.read_anew", why=why)
        self._source.counts.add("feed", follower=self._name, outcome="read_anew")
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            head = _head(connection)
            try:
                entries = self._understood(feed_rows.everything(connection))
                self._table.replace_all(entries, version=head, row_id=_LAST_ID)
            except lmdb.Error as error:
                # What holds the pages together is spoiled: nothing can be written any more.
                self._source.counts.add("doubts", kind="table_damaged")
                log_lines.error("table.damaged", why=str(error), consequence="a new file is filled")
                entries = self._understood(feed_rows.everything(connection))
                self._table.replace_file(entries, version=head, row_id=_LAST_ID)
        self._damage_seen = self._damage()
        self._read_all_at_ms = self._time.since_boot_ms()

    def _understood(self, changes: Iterable[FeedRow | None]) -> Iterable[FeedRow]:
        for change in changes:
            if change is None:
                self._source.counts.add("doubts", kind="entry_not_understood")
            else:
                yield change


# After reading everything of a version there is nothing left of it.
_LAST_ID: Final = 2**63 - 1


def _head(connection: psycopg.Connection[Any]) -> int:
    row = connection.execute(_HEAD).fetchone()
    return int(row[0]) if row else 0


def _unpacked(signature: str) -> bytes:
    try:
        return b64decode(signature, validate=True)
    except ValueError:
        return b""
