"""Mails ready to go: claimed from the ledger ahead of the connections, and written out whole."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from countermand.domain.delivery import (
    ClaimedNotice,
    LedgerUnavailable,
    NoticeKind,
    Reply,
    ReplyKind,
)
from countermand.domain.errors import CountermandError
from countermand.ports import SenderLedger
from countermand.sender.committer import Committer
from countermand.sender.compose import AddressNotUsable, Composer, Mail, SlotNotFilled, Writer
from countermand.sender.journal import note
from countermand.sender.pace import Pace

IDLE_S: Final = 0.05
_TROUBLE_S: Final = 0.5
_PACED_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Ready:
    """One mail that is claimed and written out."""

    notice_id: int
    order_number: str
    epoch: int
    is_correction: bool
    mail: Mail


class Supply:
    """A short queue that is filled by claims of its own thread and ledger."""

    def __init__(
        self,
        ledger: SenderLedger,
        committer: Committer,
        *,
        sender: str,
        writer: Writer,
        ahead: int,
        now: Callable[[], datetime],
        pace: Pace | None = None,
    ) -> None:
        """Keep about `ahead` mails ready, and hand them out no quicker than `pace` allows."""
        self._ledger = ledger
        self._committer = committer
        self._sender = sender
        self._writer = writer
        self._ahead = ahead
        self._now = now
        self.pace = pace or Pace()
        self._composers: dict[int, Composer] = {}
        self._ready: deque[Ready] = deque()
        self._wanted = asyncio.Event()
        self._came = asyncio.Condition()
        self._thread = ThreadPoolExecutor(1, "claim")
        self._closed = False

    def take_now(self) -> Ready | None:
        """Return the next mail if one is ready and may be begun."""
        if self._closed or not self._ready or self._must_wait():
            return None
        if len(self._ready) <= self._ahead // 2:
            self._wanted.set()
        return self._ready.popleft()

    async def take(self) -> Ready | None:
        """Wait for the next mail; None when no more will come."""
        while await self.has_come():
            if (ready := self.take_now()) is not None:
                return ready
        return None

    async def has_come(self) -> bool:
        """Wait until a mail is ready and may be begun; False when no more will come."""
        while True:
            async with self._came:
                await self._came.wait_for(lambda: self._closed or bool(self._ready))
            if self._closed or not self._must_wait():
                return not self._closed
            await asyncio.sleep(_PACED_S)

    def _must_wait(self) -> bool:
        # Those told of a mistake are told at once: no limit holds a correction up.
        return bool(self._ready) and not self._ready[0].is_correction and not self.pace.allows()

    async def close(self) -> None:
        """Hand out nothing more; what is ready goes back to the ledger."""
        self._closed = True
        self._committer.give_back(ready.notice_id for ready in self._ready)
        self._ready.clear()
        async with self._came:
            self._came.notify_all()

    async def run(self) -> None:
        """Claim, over and over, when the queue runs low."""
        loop = asyncio.get_running_loop()
        while not self._closed:
            self._wanted.clear()
            if len(self._ready) > self._ahead // 2 or self._committer.is_in_trouble:
                await self._rest(IDLE_S)
                continue
            try:
                found = await loop.run_in_executor(self._thread, self._claim)
            except LedgerUnavailable:
                await asyncio.sleep(_TROUBLE_S)
                continue
            await self._add(found)
            if not found:
                await asyncio.sleep(IDLE_S)

    async def _rest(self, longest_s: float) -> None:
        try:
            async with asyncio.timeout(longest_s):
                await self._wanted.wait()
        except TimeoutError:
            return

    async def _add(self, found: list[Ready | Reply]) -> None:
        fresh = [each for each in found if isinstance(each, Ready)]
        for each in found:
            if isinstance(each, Reply):
                self._committer.tell(each)
        if self._closed:
            self._committer.give_back(ready.notice_id for ready in fresh)
            return
        self._ready += fresh
        async with self._came:
            self._came.notify_all()

    def _claim(self) -> list[Ready | Reply]:
        claimed = self._ledger.claim(sender=self._sender, limit=self._ahead, now=self._now())
        return [self._prepared(notice) for notice in claimed]

    def _prepared(self, notice: ClaimedNotice) -> Ready | Reply:
        try:
            mail = self._composer(notice.template_id).write(notice)
        except (SlotNotFilled, AddressNotUsable) as error:
            return _unwritable(notice, error)
        return Ready(
            notice_id=notice.notice_id,
            order_number=notice.order_number,
            epoch=notice.epoch,
            is_correction=notice.kind is NoticeKind.CORRECTION,
            mail=mail,
        )

    def _composer(self, template_id: int) -> Composer:
        if (known := self._composers.get(template_id)) is None:
            known = Composer(self._ledger.template(template_id), self._writer)
            self._composers[template_id] = known
        return known


def _unwritable(notice: ClaimedNotice, error: CountermandError) -> Reply:
    note("notice.unwritable", notice=notice.notice_id, code=error.code)
    return Reply(
        notice.notice_id, ReplyKind.REFUSED, after_dot=False, text=error.code, queue_id=None
    )
