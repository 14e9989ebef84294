"""What every process of a gate holds: stops, states and table, and the port that is asked.

Stops are read before anything else, then what lies on disk, and only then a question is answered.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from countermand import config
from countermand.clock import Clock, SystemClock, ToldClock, for_data
from countermand.data_folder import DataFolder
from countermand.domain.errors import CountermandError
from countermand.gate import doors, log_lines, table_trial
from countermand.gate.answerer import Answerer
from countermand.gate.bell import Bell
from countermand.gate.counts import Counts
from countermand.gate.fence_watch import FenceWatch
from countermand.gate.keys import GateKeys
from countermand.gate.machine_time import MachineTime
from countermand.gate.order_states import OrderStates
from countermand.gate.protocol import Listener
from countermand.gate.table import Table
from countermand.gate.unknown_clients import UnknownClients

if TYPE_CHECKING:
    from countermand.gate.upstream import Upstream


class Answering:
    """The answering part of one process."""

    def __init__(self, settings: config.Settings, *, time: MachineTime, bell: Bell) -> None:
        """Read stops, table and last states from disk."""
        folder = settings.folder
        self.folder = folder
        self._time = time
        self._bell = bell
        self.counts = Counts()
        self.unknown = UnknownClients()
        self.keys = GateKeys.load(folder.keys)
        self.states = OrderStates(keys=self.keys, instance=folder.instance_id, time=time)
        folder.fences.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.fences = FenceWatch(folder.fences, self.states)
        self.snapshot = folder.gate / "states.json"
        self._stops_unreadable = 0
        self._snapshot_shown: tuple[int, ...] = ()
        self.look()
        table = folder.gate / "table"
        doubt = table_trial.set_aside_if_unreadable(table)
        if doubt is not None:
            self.counts.add("doubts", kind=doubt)
        self.table = Table(table)
        result = self.states.recall(self.snapshot)
        if result is not None:
            self.counts.add("states_received", outcome=f"from_disk_{result.value}")
        self.answerer = Answerer(
            table=self.table,
            states=self.states,
            clock=_clock(folder),
            entry_key=self.keys.entry_key,
            counts=self.counts,
        )
        self._upstream = _upstream(settings, self.counts)
        fronts = doors.Doors(
            self.answerer,
            token=settings.gate_token,
            lookup_address=settings.lookup_address,
            upstream=self._upstream,
            unknown=self.unknown,
        )
        self.doors = Listener(
            fronts.respond,
            doors.WANTED_HEADERS,
            learn=fronts.learn,
            too_many=lambda: self.counts.add("doubts", kind="too_many_connections"),
        )

    def begin(self) -> None:
        """Answer in turns of the running loop, and hear the bell before the first of each."""
        soon = asyncio.get_running_loop().call_soon
        self.table.share_reads(soon, self._begin_turn)
        self.doors.answer_in_turns(soon)

    def _begin_turn(self) -> None:
        self.hear()
        self.answerer.begin_turn()

    def hear(self) -> None:
        """Take over what another process of this gate rang for, if it did."""
        if not self._bell.has_rung():
            return
        heard = self._bell.heard()
        for each in heard.stops:
            self.states.add_stop(each)
        if heard.look:
            self.look()
        if heard.states:
            self.states.hear(heard.states)
        if heard.on_disk:  # to check a list's signature takes longer than all the rest of a stop
            self.recall_if_changed()

    def look(self) -> bool:
        """Look at the folder of stops; returns whether it says something new."""
        is_new = self.fences.look(self._time.since_boot_ms())
        unreadable = self.states.stops_unreadable
        if unreadable > self._stops_unreadable:
            self.counts.add("doubts", kind="stop_unreadable")
            log_lines.error("stops.unreadable", number=unreadable, consequence="they shut nothing")
        self._stops_unreadable = unreadable
        return is_new

    def recall_if_changed(self) -> None:
        """Take over the states that another process wrote, if it wrote any."""
        try:
            about = self.snapshot.stat()
        except OSError:
            return
        shown = (about.st_ino, about.st_mtime_ns, about.st_size)
        if shown != self._snapshot_shown:
            self._snapshot_shown = shown
            self.states.recall(self.snapshot)

    def look_after(self) -> None:
        """Take over, once a second, what seldom changes: the clock, and the table's file."""
        self.answerer.clock = _clock(self.folder, self.answerer.clock)
        self.unknown.forget(self.answerer.now())
        self.table.reopen_if_replaced()

    def stop_answering(self) -> None:
        """Close every connection."""
        self.doors.close_all()
        if self._upstream is not None:
            self._upstream.close()


def _upstream(settings: config.Settings, counts: Counts) -> Upstream | None:
    if not settings.policy_upstream:
        return None
    # Few gates have one, and every start would wait for it.
    from countermand.gate.upstream import Address, Outcome, Upstream  # noqa: PLC0415

    try:
        address = Address.parse(settings.policy_upstream, settings.policy_upstream_header)
    except ValueError:
        # Mail is read on without it, and the doctor says so.
        counts.add("upstream", outcome=Outcome.NO_ADDRESS.value)
        log_lines.error("upstream.no_address", consequence="the other policy server is not asked")
        return None
    return Upstream(address, counts)


def _clock(folder: DataFolder, current: Clock | None = None) -> Clock:
    # A demonstration may be given its clock after the gate has started.
    if isinstance(current, ToldClock):
        return current
    try:
        return for_data(folder)
    except (OSError, CountermandError) as error:
        log_lines.error("clock.unreadable", why=str(error))
        return current or SystemClock()
