"""The gate follows the database when it is there, and does without it when it is not.

Two followers, each with a connection of its own: states of orders are few and travel apart, so
that a long catch-up of entries (`feed_entries`) never delays an opening. A follower is woken by a
notice and looks every second all the same; what it is told is only that there may be something to
read.

Every gate follows the states of orders; of those on one data folder one alone follows entries and
writes. A disk that takes nothing keeps no list from any process: it is told in memory.
"""

from __future__ import annotations

import contextlib
import re
import threading
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import lmdb
import psycopg

from countermand.gate import disk_room, log_lines, rights
from countermand.gate.counts import Counts
from countermand.gate.entries_age import EntriesAge
from countermand.gate.machine_time import MachineTime
from countermand.gate.order_states import OrderStates, Received, SignedSet
from countermand.gate.table import Table

CHANNEL: Final = "countermand_gate"
_CONNECT_S: Final = 5
_LONGEST_STATEMENT_MS: Final = 60_000
# A way to the database that is cut says nothing. By itself the system would try it for a quarter of
# an hour, ever more seldom, and the gate would hear nothing for minutes after the way is mended.
_CUT_AFTER_MS: Final = 10_000
_SIGN_OF_LIFE_S: Final = 5
# A set read this soon after the look before cannot have waited for us.
_AT_ONCE_MS: Final = 5_000
_NOTHING: Final = -1  # behind every version, the first of an empty database too
# What everybody divides in the same way, so that no part of the password passes for a host, which
# errors name: `@`, `:`, `/`, `?` and `#` of a password are encoded.
_PLAIN_ADDRESS: Final = re.compile(
    r"postgres(?:ql)?://(?:[^:@/?#\s]*(?::[^:@/?#\s]*)?@)?[^@\s]*", re.ASCII
)
_HEAD: Final = "SELECT version FROM enforcement_feedhead WHERE id = 1"
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
        self._has_told = False

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

    def begin(self, connection: psycopg.Connection[Any]) -> None:
        """Begin anew on this connection, without what the one before had promised."""

    def look(self, connection: psycopg.Connection[Any]) -> None:
        """Read whatever is new."""
        raise NotImplementedError

    def _run(self) -> None:
        while not self._stop.is_set():
            self._follow_until_lost()
            self._stop.wait(self._source.poll_s)

    def _follow_until_lost(self) -> None:
        url = ""
        try:
            url = self._source.url()
            if not url:
                return
            with psycopg.connect(
                url,
                autocommit=True,
                connect_timeout=_CONNECT_S,
                application_name=f"countermand {self._name}",
                options=f"-c statement_timeout={_LONGEST_STATEMENT_MS}",
                prepare_threshold=None,
                tcp_user_timeout=_CUT_AFTER_MS,
                keepalives_idle=_SIGN_OF_LIFE_S,
                keepalives_interval=_SIGN_OF_LIFE_S,
                keepalives_count=2,
            ) as connection:
                connection.execute(f"LISTEN {CHANNEL}")
                self.begin(connection)
                self._look_and_wait(connection)
        except Exception as error:  # noqa: BLE001 - the gate goes on with what it has, whatever it is
            if self.follows or not self._has_told:  # also where it was never reached
                self._has_told = True
                log_lines.warning("feed.lost", follower=self._name, why=_why(error, url))
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


def _why(error: Exception, url: str) -> str:
    """Return what may be written down: no part of the password that `url` holds."""
    name = type(error).__name__
    if not isinstance(error, psycopg.OperationalError):
        return name
    said = str(error).strip().splitlines() if _PLAIN_ADDRESS.fullmatch(url) else []
    more = said[0] if said else error.sqlstate
    return f"{name}: {more}" if more else name


class StatesFollower(Follower):
    """Keeps the states of orders as new as the database has them, and on disk."""

    def __init__(
        self,
        source: Source,
        *,
        states: OrderStates,
        table: Table,
        time: MachineTime,
        snapshot: Path,
        writes: Callable[[], bool],
        ring: Callable[[bytes], None],
    ) -> None:
        """Follow into `states` and `ring` with each set for the other processes of this gate.

        Of several gates on one data folder one `writes` it to `snapshot`. How far `table` is
        behind is watched, whoever fills it.
        """
        super().__init__(source, name="states")
        self._states = states
        self._table = table
        self._time = time
        self._snapshot = snapshot
        self._writes = writes
        self._ring = ring
        self._looked_at_ms: int | None = None
        self._seen = 0
        self._newest: SignedSet | None = None
        self._age = EntriesAge()
        self.disk_refuses = False
        self.has_more_rights = False

    @property
    def entries_behind_ms(self) -> int:
        """Return how long what is known of doors has been behind the database."""
        return self._age.behind_ms(self._time.since_boot_ms())

    @property
    def entries_went_along(self) -> bool:
        """Tell whether all that there was to know of doors was known at least once."""
        return self._age.went_along

    def begin(self, connection: psycopg.Connection[Any]) -> None:
        """Believe no more that sets arrive at once, and look what this role may do."""
        self._looked_at_ms = None
        with contextlib.suppress(psycopg.Error):  # no order waits for an answer to this
            self.has_more_rights = rights.are_more_than_needed(connection)

    def look(self, connection: psycopg.Connection[Any]) -> None:
        """Take the newest set over, if there is a newer one."""
        self._take_newest(connection)
        self._judge_entries(connection)

    def _take_newest(self, connection: psycopg.Connection[Any]) -> None:
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
        if result in _TAKEN:  # one that is in doubt, too: it shuts nothing in any process then
            self._newest = arrived
            self._ring(self._states.told(arrived))
        if result is Received.ACCEPTED:
            self._write_down(arrived)
        else:
            log_lines.warning("states.left_out", sequence=sequence, why=result.value)

    def _write_down(self, arrived: SignedSet) -> None:
        if not self._writes():
            return
        try:
            self._states.remember(self._snapshot, arrived)
        except OSError as error:
            if disk_room.is_refused(error):
                self.disk_refuses = True
                self._source.counts.add("disk_refusals", what="orders")
            log_lines.error(
                "states.not_written", why=str(error), consequence="known until this gate ends"
            )
        else:
            self.disk_refuses = False

    def _judge_entries(self, connection: psycopg.Connection[Any]) -> None:
        """Shut nothing by what has been behind for as long as a list of orders is good for."""
        now_ms = self._time.since_boot_ms()
        has = _NOTHING
        with contextlib.suppress(lmdb.Error):  # what cannot be read goes along with nothing
            has = self._table.place().version
        self._age.note(head=head_version(connection), has=has, now_ms=now_ms)
        too_old = self._age.behind_ms(now_ms) >= self._states.longest_ms
        if too_old == self._states.entries_too_old:
            return
        self._states.entries_too_old = too_old
        if too_old:
            self._source.counts.add("doubts", kind="entries_too_old")
            log_lines.error("entries.too_old", consequence="nothing is refused")
        if self._newest is not None:
            self._ring(self._states.told(self._newest))


# These are known from then on, and shut something or nothing.
_TAKEN: Final = (Received.ACCEPTED, Received.EXPIRED, Received.CLOCKS_DISAGREE)


def head_version(connection: psycopg.Connection[Any]) -> int:
    """Return the newest version of entries that there is."""
    row = connection.execute(_HEAD).fetchone()
    return int(row[0]) if row else 0


def _unpacked(signature: str) -> bytes:
    try:
        return b64decode(signature, validate=True)
    except ValueError:
        return b""
