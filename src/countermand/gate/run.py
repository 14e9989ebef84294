"""One gate from its start to its end: stops are read first, then it answers, then it follows.

    stops on disk -> table and last states from disk -> both ports open -> ready -> the database

Several processes may answer on one port: the first one follows the database and hears of stops,
and the others (`crew`) only answer. Several gates may share one data folder, too: each follows the
states of orders, the one that holds the lock follows entries, too, and writes; the others read what
it wrote and take over when it dies.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import lmdb
import uvloop

from countermand import config, environment
from countermand.data_folder import write_json
from countermand.gate import beginning, control, crew, log_lines, open_files
from countermand.gate.answering import Answering
from countermand.gate.bell import Bell
from countermand.gate.crew import Crew
from countermand.gate.damage_note import DamageNote
from countermand.gate.down_logs import DownLogs
from countermand.gate.follower_lock import FollowerLock
from countermand.gate.machine_time import MachineTime, ThisMachine
from countermand.gate.openings import Openings
from countermand.gate.order_states import Lack
from countermand.gate.protocol import Listener
from countermand.gate.table import Place

if TYPE_CHECKING:
    from countermand.gate.feed import Source, StatesFollower
    from countermand.gate.feed_entries import EntriesFollower

TICK_S: Final = 0.05
_EVERY_SECOND: Final = 20  # ticks
_EVERY_HALF_MINUTE: Final = 600  # ticks
_POLL_S: Final = 1.0
_POLL_DEMONSTRATION_S: Final = 0.2
_BACKLOG: Final = 1024
# A follower may read a million rows beside the thread that answers: that one waits no longer.
_LONGEST_HOLD_S: Final = 0.0005


@dataclass(frozen=True, slots=True)
class Address:
    """Where a port listens; port 0 takes a free one."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str, *, port: int | None = None) -> Address:
        """Read host:port; `port` wins if given."""
        host, _, number = text.rpartition(":")
        return cls(host.strip("[]"), int(number) if port is None else port)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line asks of one gate; `bell` names the memory of a further process."""

    port: int | None
    control_port: int | None
    ready_file: Path | None
    workers: int | None = None
    bell: int | None = None


class Gate:
    """The first process of a gate: it answers, follows the database, and is told of stops."""

    def __init__(
        self,
        settings: config.Settings,
        *,
        time: MachineTime,
        read_settings: Callable[[], config.Settings],
    ) -> None:
        """Read what is on disk; `read_settings` reads the settings anew."""
        self._folder = settings.folder
        self._time = time
        self._read_settings = read_settings
        self.bell = Bell()
        self.answering = Answering(settings, time=time, bell=self.bell)
        self.counts = self.answering.counts
        self.crew = Crew(self._folder.path, self.bell, self.counts, self.answering.unknown)
        self._down = DownLogs(
            map(Path, settings.gate_down_logs), self.counts, self._folder.gate / "down-logs.json"
        )
        self._lock = FollowerLock(self._folder.gate / "follower.lock")
        self._damage = DamageNote(self._folder.gate / "damage-met")
        self._follows = False
        self._states: StatesFollower | None = None
        self._entries: EntriesFollower | None = None
        self._ticks = 0
        self.control = Listener(
            control.Control(
                answerer=self.answering.answerer,
                fences=self._folder.fences,
                token=settings.gate_token.encode(),
                name=f"gate-{os.getpid()}",
                steady_s=lambda: time.since_boot_ms() / 1000,
                situation=self.situation,
                boot=control.Boot.now(self.answering.answerer.now()),
                ring=lambda stop: self.bell.ring([stop]),
                unknown=self.answering.unknown,
                openings=Openings(self.answering.table, self.answering.keys.entry_key),
            ).respond,
            control.WANTED_HEADERS,
        )

    def situation(self) -> dict[str, Any]:
        """Return how the gate is, in numbers; for people and for supervisors."""
        place = Place()  # where it cannot be read, nothing is known of doors for certain
        with contextlib.suppress(lmdb.Error):
            place = self.answering.table.place()
        states = self.answering.states
        age_s = states.age_ms / 1000
        lack = self._lack(place)
        return {
            "ready": lack is None,
            "why": lack or "",
            "entries": place.count,
            "feed_version": place.version,
            "states_sequence": states.sequence,
            "states_good_for_s": states.good_for_ms / 1000,
            "states_age_s": age_s,
            "stops_unreadable": states.stops_unreadable,
            "down_logs_unreadable": self._down.unreadable,
            "is_follower": self._lock.is_held,
            "follows_states": bool(self._states and self._states.follows),
            "has_more_rights": bool(self._states and self._states.has_more_rights),
            "follows_entries": bool(self._entries and self._entries.follows),
            "entries_behind_s": self._states.entries_behind_ms / 1000 if self._states else 0.0,
            "disk_refuses": any(each.disk_refuses for each in self._followers()),
            "connections": len(self.answering.doors.open),
            "workers": self.crew.situation(),
        }

    def _lack(self, place: Place) -> Lack | None:
        """Return why this gate could refuse nobody, None where it could."""
        # Also where its database is empty: then there is nothing that it would not know.
        knows_doors = place.version > 0 or (self._states and self._states.entries_went_along)
        return self.answering.states.lack or (None if knows_doors else Lack.DOORS)

    def tick(self) -> None:
        """Look after everything that changes by itself; called every TICK_S seconds."""
        self._ticks += 1
        if self.answering.look():
            self.bell.ring(look=True)
        if not self._lock.is_held:
            self.answering.recall_if_changed()
        if self._ticks % _EVERY_SECOND == 0:
            self.follow()
            if not self._lock.is_held:
                self._damage.tell(self.counts.get("doubts", kind="table_damaged"))
            self.answering.look_after()
            self.crew.look_after()
            if self._lock.is_held:  # one of the gates on a data folder, or each line counts twice
                self._down.look()
        if self._ticks % _EVERY_HALF_MINUTE == 0:
            self.answering.doors.close_idle()
            self.control.close_idle()

    def follow(self) -> None:
        """Follow the database: orders in any case, entries unless another gate of this folder does.

        Loaded once we answer, each in a thread: the database's library takes longer than all else.
        """
        takes_entries = not self._lock.is_held and self._lock.take()
        if not self._follows:
            self._follows = True
            beginning.begin(self._follow_states, undo=self._follow_no_states)
        if takes_entries:
            beginning.begin(self._follow_entries, undo=self._lock.release)

    def _follow_no_states(self) -> None:
        self._follows = False

    def _follow_states(self) -> None:
        from countermand.gate import feed  # noqa: PLC0415 - see `follow`

        states = feed.StatesFollower(
            self._source(),
            states=self.answering.states,
            table=self.answering.table,
            time=self._time,
            snapshot=self.answering.snapshot,
            writes=lambda: self._lock.is_held,
            ring=lambda told: self.bell.ring(states=told),
        )
        states.start()
        self._states = states

    def _follow_entries(self) -> None:
        from countermand.gate import feed_entries  # noqa: PLC0415 - see `follow`

        entries = feed_entries.EntriesFollower(
            self._source(),
            table=self.answering.table,
            time=self._time,
            met_elsewhere=self._damage,
        )
        entries.start()
        self._entries = entries

    def _source(self) -> Source:
        from countermand.gate import feed  # noqa: PLC0415 - see `follow`

        def url() -> str:
            settings = self._read_settings()
            return settings.gate_database_url or settings.database_url

        return feed.Source(
            url=url,
            poll_s=_POLL_DEMONSTRATION_S if self._folder.is_demonstration else _POLL_S,
            counts=self.counts,
        )

    def _followers(self) -> list[StatesFollower | EntriesFollower]:
        return [each for each in (self._states, self._entries) if each is not None]

    def close(self) -> None:
        """Stop following and let go of everything."""
        self.answering.stop_answering()
        self.control.close_all()
        self.crew.end()
        for each in self._followers():
            each.stop()
        self._lock.release()
        if not any(each.is_alive for each in self._followers()):
            self.answering.table.close()


async def serve(gate: Gate, settings: config.Settings, wishes: Wishes) -> None:
    """Answer on both ports until a signal ends it."""
    ended = _ended_by_signal()
    at = Address.parse(settings.gate, port=wishes.port)
    control_at = Address.parse(settings.gate_control, port=wishes.control_port)
    further = (wishes.workers or settings.gate_workers) - 1
    gate.answering.begin()
    doors_server = await _listen(gate.answering.doors, at, shared=further > 0)
    control_server = await _listen(gate.control, control_at)
    gate.crew.start(further, _port(doors_server))
    _say_ready(wishes.ready_file, doors_server, control_server)
    await make_thread_of_stops()
    gate.follow()
    try:
        while not ended.is_set():
            gate.tick()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), TICK_S)
    finally:
        doors_server.close()
        control_server.close()
        gate.close()


async def serve_too(answering: Answering, settings: config.Settings, wishes: Wishes) -> None:
    """Answer on the port of another process's gate until that one ends."""
    ended = _ended_by_signal()
    at = Address.parse(settings.gate, port=wishes.port)
    answering.begin()
    server = await _listen(answering.doors, at, shared=True)
    watch = asyncio.ensure_future(crew.ended_by_parent(ended.set))
    ticks = 0
    try:
        while not ended.is_set():
            ticks += 1
            answering.hear()
            answering.look()
            answering.recall_if_changed()
            if ticks % _EVERY_SECOND == 0:
                answering.look_after()
                _report(answering)
            if ticks % _EVERY_HALF_MINUTE == 0:
                answering.doors.close_idle()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), TICK_S)
    finally:
        watch.cancel()
        server.close()
        answering.stop_answering()
        _report(answering)
        answering.table.close()


async def make_thread_of_stops() -> None:
    """Make the thread that writes stops: most gates hear of one, and it need not wait for that."""
    with contextlib.suppress(RuntimeError):  # none is to be had just now: the stop tries again
        await asyncio.get_running_loop().run_in_executor(None, int)


def _report(answering: Answering) -> None:
    # Nobody reads it any more once the first process is gone.
    with contextlib.suppress(BrokenPipeError):
        said = crew.report(answering.counts, answering.unknown, len(answering.doors.open))
        sys.stdout.buffer.write(said)
        sys.stdout.buffer.flush()


def _ended_by_signal() -> asyncio.Event:
    ended = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, ended.set)
    return ended


async def _listen(listener: Listener, at: Address, *, shared: bool = False) -> asyncio.Server:
    """Open a port; one that is `shared` the kernel deals out between all who have it open."""
    loop = asyncio.get_running_loop()
    return await loop.create_server(
        listener.connection,
        at.host,
        at.port,
        backlog=_BACKLOG,
        reuse_port=shared and hasattr(socket, "SO_REUSEPORT"),
    )


def _say_ready(path: Path | None, doors_at: asyncio.Server, control_at: asyncio.Server) -> None:
    address, control_address = _url(doors_at), _url(control_at)
    log_lines.info("gate.ready", address=address, control=control_address)
    if path is not None:
        write_json(
            path,
            {
                "pid": os.getpid(),
                "url": address,
                "control_url": control_address,
                "port": _port(doors_at),
                "control_port": _port(control_at),
            },
        )


def _port(server: asyncio.Server) -> int:
    return int(server.sockets[0].getsockname()[1])


def _url(server: asyncio.Server) -> str:
    host = server.sockets[0].getsockname()[0]
    return f"http://{f'[{host}]' if ':' in host else host}:{_port(server)}"


def _let_others_finish() -> None:
    """Take no core from whoever runs: a proxy that asks puts all its questions first (0046).

    Threads and further processes inherit it; a policy that somebody chose for us stays.
    """
    if hasattr(os, "SCHED_BATCH") and os.sched_getscheduler(0) == os.SCHED_OTHER:
        with contextlib.suppress(OSError):  # where it is forbidden, only speed is lost
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def run(data: Path | None, wishes: Wishes) -> None:
    """Run one process of a gate to its end. Raises KeyMissing when `init` has not been run."""

    def read_settings() -> config.Settings:
        return environment.load(data=data)

    settings = read_settings()
    sys.setswitchinterval(_LONGEST_HOLD_S)
    open_files.allow()
    _let_others_finish()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        if wishes.bell is None:
            gate = Gate(settings, time=ThisMachine(), read_settings=read_settings)
            runner.run(serve(gate, settings, wishes))
        else:
            answering = Answering(settings, time=ThisMachine(), bell=Bell(wishes.bell))
            runner.run(serve_too(answering, settings, wishes))
