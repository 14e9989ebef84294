"""One gate from its start to its end: stops are read first, then it answers, then it follows.

    stops on disk -> table and last states from disk -> both ports open -> ready -> the database

Several gates may share one data folder: the one that holds the lock follows the database and
writes the table, the others read what it wrote and take over when it dies.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import uvloop

from countermand import config
from countermand.clock import Clock, SystemClock, ToldClock, for_data
from countermand.data_folder import DataFolder, write_json
from countermand.domain.errors import CountermandError
from countermand.gate import control, doors, log_lines
from countermand.gate.answerer import Answerer
from countermand.gate.counts import Counts
from countermand.gate.feed import EntriesFollower, Follower, Source, StatesFollower
from countermand.gate.fence_watch import FenceWatch
from countermand.gate.follower_lock import FollowerLock
from countermand.gate.keys import GateKeys
from countermand.gate.machine_time import MachineTime, ThisMachine
from countermand.gate.order_states import OrderStates
from countermand.gate.protocol import Listener
from countermand.gate.table import Table

TICK_S: Final = 0.05
_EVERY_SECOND: Final = 20  # ticks
_EVERY_HALF_MINUTE: Final = 600  # ticks
_POLL_S: Final = 1.0
_POLL_DEMONSTRATION_S: Final = 0.2
_BACKLOG: Final = 1024


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
    """What the command line asks of one gate."""

    port: int | None
    control_port: int | None
    ready_file: Path | None


class Gate:
    """The parts of one gate, put together."""

    def __init__(
        self,
        settings: config.Settings,
        *,
        time: MachineTime,
        read_settings: Callable[[], config.Settings],
    ) -> None:
        """Read stops, table and last states from disk; `read_settings` reads the settings anew."""
        folder = settings.folder
        self._folder = folder
        self._settings = settings
        self._time = time
        self._read_settings = read_settings
        self.counts = Counts()
        keys = GateKeys.load(folder.keys)
        self.states = OrderStates(keys=keys, instance=folder.instance_id, time=time)
        folder.fences.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._fences = FenceWatch(folder.fences, self.states)
        self._fences.look(time.since_boot_ms())
        self._snapshot = folder.gate / "states.json"
        self.table = Table(folder.gate / "table")
        self._recall()
        self.answerer = Answerer(
            table=self.table,
            states=self.states,
            clock=_clock(folder),
            entry_key=keys.entry_key,
            counts=self.counts,
        )
        self._lock = FollowerLock(folder.gate / "follower.lock")
        self._followers: tuple[Follower, ...] = ()
        self._ticks = 0
        self._snapshot_shown: tuple[int, ...] = ()
        self.doors = Listener(
            doors.Doors(
                self.answerer,
                token=settings.gate_token,
                lookup_address=settings.lookup_address,
            ).respond,
            doors.WANTED_HEADERS,
        )
        self.control = Listener(
            control.Control(
                answerer=self.answerer,
                fences=folder.fences,
                token=settings.gate_token.encode(),
                name=f"gate-{os.getpid()}",
                steady_s=lambda: time.since_boot_ms() / 1000,
                situation=self.situation,
                boot=control.Boot.now(self.answerer.now()),
            ).respond,
            control.WANTED_HEADERS,
        )

    def _recall(self) -> None:
        result = self.states.recall(self._snapshot)
        if result is not None:
            self.counts.add("states_received", outcome=f"from_disk_{result.value}")

    def situation(self) -> dict[str, Any]:
        """Return how the gate is, in numbers; for people and for supervisors."""
        place = self.table.place()
        return {
            "entries": place.count,
            "feed_version": place.version,
            "states_sequence": self.states.sequence,
            "states_good_for_s": self.states.good_for_ms / 1000,
            "is_follower": self._lock.is_held,
            "follows_states": any(
                each.follows for each in self._followers if isinstance(each, StatesFollower)
            ),
            "follows_entries": any(
                each.follows for each in self._followers if isinstance(each, EntriesFollower)
            ),
        }

    def tick(self) -> None:
        """Look after everything that changes by itself; called every TICK_S seconds."""
        self._ticks += 1
        self._fences.look(self._time.since_boot_ms())
        if not self._lock.is_held:
            self._watch_the_other_follower()
        if self._ticks % _EVERY_SECOND == 0:
            self.follow_if_nobody_else_does()
            self.answerer.clock = _clock(self._folder, self.answerer.clock)
        if self._ticks % _EVERY_HALF_MINUTE == 0:
            self.doors.close_idle()
            self.control.close_idle()

    def _watch_the_other_follower(self) -> None:
        try:
            about = self._snapshot.stat()
        except OSError:
            return
        shown = (about.st_ino, about.st_mtime_ns, about.st_size)
        if shown != self._snapshot_shown:
            self._snapshot_shown = shown
            self.states.recall(self._snapshot)

    def follow_if_nobody_else_does(self) -> None:
        """Begin to follow the database, unless another gate of this folder does."""
        if self._followers or not self._lock.take():
            return
        demonstration = self._folder.is_demonstration
        source = Source(
            url=lambda: self._read_settings().database_url,
            poll_s=_POLL_DEMONSTRATION_S if demonstration else _POLL_S,
            counts=self.counts,
        )
        self._followers = (
            StatesFollower(source, states=self.states, time=self._time, snapshot=self._snapshot),
            EntriesFollower(source, table=self.table, time=self._time),
        )
        for each in self._followers:
            each.start()

    def close(self) -> None:
        """Stop following and let go of everything."""
        self.doors.close_all()
        self.control.close_all()
        for each in self._followers:
            each.stop()
        self._lock.release()
        if not any(each.is_alive for each in self._followers):
            self.table.close()


def _clock(folder: DataFolder, current: Clock | None = None) -> Clock:
    # A demonstration may be given its clock after the gate has started.
    if isinstance(current, ToldClock):
        return current
    try:
        return for_data(folder)
    except (OSError, CountermandError) as error:
        log_lines.error("clock.unreadable", why=str(error))
        return current or SystemClock()


async def serve(gate: Gate, settings: config.Settings, wishes: Wishes) -> None:
    """Answer on both ports until a signal ends it."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, ended.set)
    at = Address.parse(settings.gate, port=wishes.port)
    control_at = Address.parse(settings.gate_control, port=wishes.control_port)
    gate.table.share_reads(loop.call_soon)
    doors_server = await _listen(gate.doors, at)
    control_server = await _listen(gate.control, control_at)
    _say_ready(wishes.ready_file, doors_server, control_server)
    gate.follow_if_nobody_else_does()
    try:
        while not ended.is_set():
            gate.tick()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), TICK_S)
    finally:
        doors_server.close()
        control_server.close()
        gate.close()


async def _listen(listener: Listener, at: Address) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    return await loop.create_server(listener.connection, at.host, at.port, backlog=_BACKLOG)


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


def run(data: Path | None, wishes: Wishes) -> None:
    """Run one gate to its end. Raises KeyMissing when `init` has not been run."""

    def read_settings() -> config.Settings:
        return config.load(data=data)

    settings = read_settings()
    gate = Gate(settings, time=ThisMachine(), read_settings=read_settings)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(gate, settings, wishes))
