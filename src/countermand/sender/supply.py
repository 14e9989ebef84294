"""Mails ready to go: claimed ahead of the connections, and written out a few at once.

Even with nothing to claim the ledger is asked now and then: a claim also lets the mails say what
this sender noted of them.

A mail at which something fails that nobody expected keeps no other from leaving. It is put off,
and given up after a few tries, for somebody to call; a correction is tried for ever. Where the
words themselves cannot be used, which many mails have in common, none is given up.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from countermand.domain.delivery import (
    FAULT,
    ClaimedNotice,
    Holding,
    LedgerUnavailable,
    NoticeKind,
    Reply,
    ReplyKind,
)
from countermand.domain.errors import CountermandError
from countermand.sender.committer import Committer
from countermand.sender.compose import AddressNotUsable, Composer, Mail, SlotNotFilled, Writer
from countermand.sender.journal import note, note_fault
from countermand.sender.ledger_line import LedgerLine, Unreadable
from countermand.sender.pace import Pace

IDLE_S: Final = 0.05
_ASK_EVERY_S: Final = 0.25
_TROUBLE_S: Final = 0.5
_PACED_S: Final = 0.02
_TRIES: Final = 3  # of a mail at which something fails
_AT_ONCE: Final = 16  # mails written out in a row; between other work each takes longer


class Ready(NamedTuple):
    """One mail that is claimed and written out."""

    holding: Holding
    order_number: str
    epoch: int
    is_correction: bool
    mail: Mail


class Supply:
    """A short queue that is filled by claims over a line of its own."""

    def __init__(
        self,
        ledger: LedgerLine,
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
        self._heard = 0  # the newest claim whose answer came
        self._composers: dict[int, Composer] = {}
        self._faults: Counter[int] = Counter()  # by mail
        self._claimed: deque[ClaimedNotice] = deque()
        self._ready: deque[Ready] = deque()  # written out; they go before what is only claimed
        self._wanted = asyncio.Event()
        self._came = asyncio.Condition()
        self._closed = False

    def take_now(self) -> Ready | None:
        """Return the next mail if one is ready and may be begun."""
        while self._has_some() and not self._must_wait():
            if not self._ready:
                self._write_out()
            if self._ready:
                return self._ready.popleft()
        return None

    def _write_out(self) -> None:
        for _ in range(min(_AT_ONCE, len(self._claimed))):
            prepared = self._prepared(self._claimed.popleft())
            if isinstance(prepared, Ready):
                self._ready.append(prepared)
            elif prepared is not None:
                self._committer.tell(prepared)
        if len(self._claimed) <= self._ahead // 2:
            self._wanted.set()

    def _has_some(self) -> bool:
        return not self._closed and bool(self._ready or self._claimed)

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
                await self._came.wait_for(lambda: self._closed or self._has_some())
            if self._closed or not self._must_wait():
                return not self._closed
            await asyncio.sleep(_PACED_S)

    def _must_wait(self) -> bool:
        if not self._has_some() or self.pace.allows():
            return False
        # Those told of a mistake are told at once: no limit holds a correction up.
        if self._ready:
            return not self._ready[0].is_correction
        return self._claimed[0].kind is not NoticeKind.CORRECTION

    async def close(self) -> None:
        """Hand out nothing more; what is ready goes back to the ledger."""
        self._closed = True
        self._committer.give_back(each.holding for each in self._ready)
        self._committer.give_back(each.holding for each in self._claimed)
        self._ready.clear()
        self._claimed.clear()
        async with self._came:
            self._came.notify_all()

    async def run(self) -> None:
        """Claim, over and over, when the queue runs low."""
        asked_s = 0.0
        while not self._closed:
            self._wanted.clear()
            is_due = time.monotonic() - asked_s > _ASK_EVERY_S
            is_low = len(self._claimed) <= self._ahead // 2
            if self._committer.is_in_trouble or not (is_low or is_due):
                await self._rest(IDLE_S)
                continue
            asked_s = time.monotonic()
            try:
                found = await self._claim(self._ahead if is_low else 0)
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

    async def _add(self, found: Sequence[ClaimedNotice]) -> None:
        if self._closed:
            self._committer.give_back(notice.holding for notice in found)
            return
        self._claimed += found
        async with self._came:
            self._came.notify_all()

    async def _claim(self, limit: int) -> Sequence[ClaimedNotice]:
        claim = 1 + secrets.randbits(62)
        found = await self._ledger.claim(
            sender=self._sender, claim=claim, heard=self._heard, limit=limit, now=self._now()
        )
        claimed = [each for each in found if isinstance(each, ClaimedNotice)]
        for template_id in {notice.template_id for notice in claimed} - self._composers.keys():
            try:
                words = await self._ledger.template(template_id)
                self._composers[template_id] = Composer(words, self._writer)
            except LedgerUnavailable:
                raise
            except Exception as fault:  # noqa: BLE001 - told here; mails with other words leave
                note_fault(fault, template=template_id)
        self._heard = claim  # only now: what could not be taken up is given back by the next claim
        for each in found:
            if isinstance(each, Unreadable):
                self.at_fault(each.holding, each.fault)
            elif each.template_id not in self._composers:
                self._committer.tell(_at_fault(each.holding, ReplyKind.DEFERRED))
        return [each for each in claimed if each.template_id in self._composers]

    def at_fault(self, holding: Holding, fault: Exception, *, is_correction: bool = False) -> None:
        """Put a mail off, or give it up, at which something failed that nobody expected."""
        note_fault(fault, notice=holding.notice_id)
        self._faults[holding.notice_id] += 1
        is_last = self._faults[holding.notice_id] >= _TRIES and not is_correction
        kind = ReplyKind.REFUSED if is_last else ReplyKind.DEFERRED
        self._committer.tell(_at_fault(holding, kind))

    def _prepared(self, notice: ClaimedNotice) -> Ready | Reply | None:
        is_correction = notice.kind is NoticeKind.CORRECTION
        try:
            mail = self._composers[notice.template_id].write(notice)
        except (SlotNotFilled, AddressNotUsable) as error:
            return _unwritable(notice, error)
        except Exception as fault:  # noqa: BLE001 - told there
            self.at_fault(notice.holding, fault, is_correction=is_correction)
            return None
        return Ready(
            holding=notice.holding,
            order_number=notice.order_number,
            epoch=notice.epoch,
            is_correction=is_correction,
            mail=mail,
        )


def _at_fault(holding: Holding, kind: ReplyKind) -> Reply:
    return Reply(holding, kind, after_dot=False, text=FAULT, queue_id=None)


def _unwritable(notice: ClaimedNotice, error: CountermandError) -> Reply:
    note("notice.unwritable", notice=notice.notice_id, code=error.code)
    return Reply(notice.holding, ReplyKind.REFUSED, after_dot=False, text=error.code, queue_id=None)
