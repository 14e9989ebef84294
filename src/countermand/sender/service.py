"""A sender's life: lock before fence, fence before lease, lease before the first claim.

Killable at any instant: everything that matters is in the ledger before it is done. An orderly end
gives back what it holds; a killed one leaves it to `recover`.

Whatever works beside the connections is watched: a sender in which something died unexpectedly
gives back what it can and ends, since mails in its hands would wait for ever.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar

from countermand.domain.delivery import LedgerUnavailable
from countermand.domain.errors import CountermandError, gettext_noop
from countermand.ports import SenderLedger
from countermand.sender.committer import Committer
from countermand.sender.compose import Writer
from countermand.sender.courier import Courier
from countermand.sender.journal import note, note_fault
from countermand.sender.ledger_line import LedgerLine
from countermand.sender.pace import Pace
from countermand.sender.relay import Relay
from countermand.sender.session import PERMIT_HOLDS_S
from countermand.sender.supply import Supply
from countermand.stop import fence as fences
from countermand.stop import senders
from countermand.stop.fence import FenceView

_Answer = TypeVar("_Answer")
LEASE_S: Final = PERMIT_HOLDS_S
_RENEW_S: Final = 5.0
_TROUBLE_S: Final = 0.5
_ORDERLY_END_S: Final = 5.0
_SMALLEST_AHEAD: Final = 8


@dataclass(eq=False)
class SenderNameTaken(CountermandError):
    """A sender on another host holds the lease of this name."""

    name: str

    code: ClassVar[str] = "sender.name_taken"
    sentence: ClassVar[str] = gettext_noop("A sender named {name} works on another machine.")
    remedy: ClassVar[str] = gettext_noop("Give this one another name, or stop the other one.")


@dataclass(frozen=True, slots=True)
class SenderPlan:
    """What one sender process is to do, and where."""

    name: str
    mode: str  # live | exercise
    relay: Relay
    connections: int
    window: int
    writer: Writer
    fences: Path
    senders: Path
    queued: Callable[[], Collection[str]] | None = None  # queue ids at the relay, if it tells


class SenderService:
    """One sender process. `make_line` is called once for each that asks the ledger by itself."""

    def __init__(
        self,
        plan: SenderPlan,
        keeper: SenderLedger,
        make_line: Callable[[], LedgerLine],
        *,
        now: Callable[[], datetime],
    ) -> None:
        """Prepare; nothing is touched before `run`."""
        self._plan = plan
        self._now = now
        self._keeper = keeper
        self._keeper_thread = ThreadPoolExecutor(1, "lease")
        self._committer = Committer(
            make_line(),
            sender=plan.name,
            now=now,
            most_permits=max(1, plan.connections * (plan.window + 1) // 2),
        )
        self._supply = Supply(
            make_line(),
            self._committer,
            sender=plan.name,
            writer=plan.writer,
            ahead=max(_SMALLEST_AHEAD, 6 * plan.connections * (plan.window + 1)),
            now=now,
            pace=Pace(plan.queued),
        )

    async def run(self) -> None:
        """Work until SIGTERM or SIGINT.

        Raises SenderRunsAlready, SenderNameTaken or FenceUnreadable; then nothing more was sent.
        Raises, too, whatever nobody expected.
        """
        plan = self._plan
        loop = asyncio.get_running_loop()
        self._fallen = loop.create_future()
        loop.set_exception_handler(self._take_fault)
        plan.fences.mkdir(mode=0o700, parents=True, exist_ok=True)
        senders.hold_lock(plan.senders, plan.name, since=self._now().isoformat())
        self._place = senders.place(plan.senders)
        stopped = fences.read_all(plan.fences)
        note("sender.started", sender=plan.name, pid=os.getpid(), stopped_orders=len(stopped))
        await self._begin_lease()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end_orderly)
        committing = asyncio.create_task(self._committer.run())
        try:
            await self._work(committing)
        finally:
            await self._supply.close()
            if await self._give_back(committing):
                await self._leave()
            note("sender.ended", sender=plan.name)

    async def _give_back(self, committing: asyncio.Task[None]) -> bool:
        """Wait for the last commit; where one died before, it is tried once more.

        True when nothing is left to be recorded.
        """
        has_died = committing.done()
        if has_died:
            committing = asyncio.create_task(self._committer.run())
        flushing = asyncio.create_task(self._committer.flush(within_s=_ORDERLY_END_S))
        await asyncio.wait([flushing, committing], return_when=asyncio.FIRST_COMPLETED)
        is_recorded = flushing.done() and flushing.result()
        flushing.cancel()
        if committing.done() and not has_died:
            committing.result()
        committing.cancel()
        return is_recorded

    async def _leave(self) -> None:
        """End the lease: every connection has ended, so a stop has nobody to wait for."""
        try:
            leave = partial(self._keeper.leave, sender=self._plan.name, host=self._place)
            await self._ask_keeper(leave)
        except LedgerUnavailable as error:
            note("ledger.unavailable", why=error.why)

    def _take_fault(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Note a fault that nobody awaits; that of a call from the event loop ends this sender."""
        error = context.get("exception")
        if not isinstance(error, Exception) or self._fallen.done():
            return
        if "handle" in context:
            self._fallen.set_exception(error)
        else:
            note_fault(error)

    async def _work(self, committing: asyncio.Task[None]) -> None:
        plan = self._plan
        couriers = [
            Courier(
                name=plan.name,
                relay=plan.relay,
                supply=self._supply,
                committer=self._committer,
                fence=FenceView(plan.fences),
                window=plan.window,
            )
            for _ in range(plan.connections)
        ]
        keeping = asyncio.create_task(self._keep_lease())
        supplying = asyncio.create_task(self._supply.run())
        pacing = asyncio.create_task(self._supply.pace.run())
        try:
            working = [asyncio.create_task(each.run()) for each in couriers]
            await self._watch(working, committing, keeping, supplying, pacing, self._fallen)
        finally:
            # A claim that is under way is waited for: what it brings is given back.
            await self._supply.close()
            await asyncio.wait([supplying], timeout=_ORDERLY_END_S)
            supplying.cancel()
            keeping.cancel()
            pacing.cancel()

    async def _watch(
        self, couriers: list[asyncio.Task[None]], *helpers: asyncio.Future[None]
    ) -> None:
        """Wait for all couriers; the first that fails, or a helper that does, ends them all."""
        waiting: set[asyncio.Future[None]] = {*couriers, *helpers}
        try:
            while any(not courier.done() for courier in couriers):
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        finally:
            for courier in couriers:
                courier.cancel()
            await asyncio.gather(*couriers, return_exceptions=True)

    def _end_orderly(self) -> None:
        self._ending = asyncio.create_task(self._supply.close())

    async def _begin_lease(self) -> None:
        while True:
            try:
                await self._renew()
                taken = await self._ask_keeper(
                    partial(self._keeper.recover, sender=self._plan.name, own=True, now=self._now())
                )
            except LedgerUnavailable as error:
                note("ledger.unavailable", why=error.why)
                await asyncio.sleep(_TROUBLE_S)
            else:
                if taken:
                    note("sender.recovered", mails=taken)
                return

    async def _keep_lease(self) -> None:
        while True:
            await asyncio.sleep(_RENEW_S)
            try:
                await self._renew()
                await self._ask_keeper(
                    partial(
                        self._keeper.recover, sender=self._plan.name, own=False, now=self._now()
                    )
                )
            except LedgerUnavailable as error:
                note("ledger.unavailable", why=error.why)

    async def _renew(self) -> None:
        held = await self._ask_keeper(
            partial(
                self._keeper.lease,
                sender=self._plan.name,
                mode=self._plan.mode,
                host=self._place,
                pid=os.getpid(),
                seconds=LEASE_S,
            )
        )
        if not held:
            raise SenderNameTaken(name=self._plan.name)

    async def _ask_keeper(self, work: Callable[[], _Answer]) -> _Answer:
        return await asyncio.get_running_loop().run_in_executor(self._keeper_thread, work)
