"""One commit carries what all connections wait for: permits asked, replies heard, mails given back.

A commit costs nearly the same whatever it carries. So it waits a moment for more, unless half of
what it may carry is there: a quick relay is never waited for, and a slow one never waits for us,
since a permit is asked a whole mail before it is needed.

There is one commit at a time and everything goes through it in order. So what is repeated after a
lost answer of the database is always repeated before anything newer about the same mail.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Final

from countermand.domain.delivery import (
    Holding,
    LedgerUnavailable,
    PermitAnswer,
    PermitRefusal,
    Reply,
)
from countermand.sender.journal import note
from countermand.sender.ledger_line import LedgerLine

Known = Callable[[bool], None]
_RETRY_S: Final = 0.2
_GATHER_S: Final = 0.005
_MANY: Final = 1000


@dataclass(slots=True)
class _Waiting:
    """What the next commit takes along."""

    permits: dict[Holding, Known] = field(default_factory=dict)
    replies: list[Reply] = field(default_factory=list)
    aborted: list[Holding] = field(default_factory=list)

    def taken(self, most: int) -> _Waiting:
        """Take everything but permits beyond `most`, the oldest of them."""
        permits = dict(islice(self.permits.items(), most))
        for holding in permits:
            del self.permits[holding]
        found = _Waiting(permits, self.replies, self.aborted)
        self.replies, self.aborted = [], []
        return found

    def __bool__(self) -> bool:
        return bool(self.permits or self.replies or self.aborted)


class Committer:
    """Group commit over all connections of one sender."""

    def __init__(
        self,
        ledger: LedgerLine,
        *,
        sender: str,
        now: Callable[[], datetime],
        most_permits: int = _MANY,
        gather_s: float = _GATHER_S,
    ) -> None:
        """Use `ledger` alone, and let a commit carry `most_permits` at most.

        A commit with less than half of them waits `gather_s` seconds for more.
        With half of what connections may ask for in one commit, the other half is worked on
        meanwhile; with all of it, database and connections would only ever wait for each other.
        """
        self._most_permits = most_permits
        self._enough_permits = max(1, most_permits // 2)
        self._gather_s = gather_s
        self._ledger = ledger
        self._sender = sender
        self._now = now
        self._waiting = _Waiting()
        self._wake = asyncio.Event()
        self._is_enough = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.is_in_trouble = False

    def ask(self, holding: Holding, known: Known) -> None:
        """Ask for a permit; `known` is called with True once the intent to send is durable.

        False means that nothing may be written; the mail has to be given back.
        """
        self._waiting.permits[holding] = known
        if len(self._waiting.permits) == self._enough_permits:
            self._is_enough.set()
        self._ring()

    def tell(self, reply: Reply) -> None:
        """Have a reply recorded with the next commit."""
        self._waiting.replies.append(reply)
        self._ring()

    def give_back(self, holdings: Iterable[Holding]) -> None:
        """Have mails recorded whose dot was provably not written."""
        given = list(holdings)
        if given:
            for holding in given:
                if (known := self._waiting.permits.pop(holding, None)) is not None:
                    known(False)  # noqa: FBT003 - the one thing that is said
            self._waiting.aborted += given
            self._ring()

    async def run(self) -> None:
        """Commit, over and over, whatever is waiting."""
        self._wake.set()
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                await self._gather()
                await self._commit()
            self._idle.set()

    async def flush(self, *, within_s: float) -> bool:
        """Wait until nothing waits any more; False if the time was not enough."""
        try:
            async with asyncio.timeout(within_s):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    def _ring(self) -> None:
        self._idle.clear()
        self._wake.set()

    async def _gather(self) -> None:
        """Wait a moment for company, unless enough is there."""
        if len(self._waiting.permits) >= self._enough_permits:
            return
        self._is_enough.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._is_enough.wait(), self._gather_s)

    async def _commit(self) -> None:
        taken = self._waiting.taken(self._most_permits)
        try:
            answers = await self._ledger.exchange(
                sender=self._sender,
                permits=list(taken.permits),
                replies=taken.replies,
                aborted=taken.aborted,
                now=self._now(),
            )
        except LedgerUnavailable as error:
            self._take_back(taken)
            await self._put_off(taken, error)
            return
        except Exception:
            self._take_back(taken)  # for the one commit more that an ending sender tries
            raise
        self.is_in_trouble = False
        # In the next turn: first the database gets what waits by now, then connections go on.
        asyncio.get_running_loop().call_soon(self._spread, taken, answers)

    def _take_back(self, taken: _Waiting) -> None:
        self._waiting.replies = taken.replies + self._waiting.replies
        self._waiting.aborted = taken.aborted + self._waiting.aborted

    async def _put_off(self, taken: _Waiting, error: LedgerUnavailable) -> None:
        # Whether it was committed is not known. No dot is written for these permits: whoever
        # asked gives the mail back, which comes after this repetition.
        if not self.is_in_trouble:
            note("ledger.unavailable", why=error.why)
        self.is_in_trouble = True
        for known in taken.permits.values():
            known(False)  # noqa: FBT003 - the one thing that is said
        await asyncio.sleep(_RETRY_S)

    def _spread(self, taken: _Waiting, answers: Iterable[PermitAnswer]) -> None:
        refused: dict[PermitRefusal, int] = {}
        for answer in answers:
            taken.permits[answer.holding](answer.refusal is None)
            if answer.refusal is not None:
                refused[answer.refusal] = refused.get(answer.refusal, 0) + 1
        for reason, count in refused.items():
            note("permit.refused", reason=reason.value, count=count)
