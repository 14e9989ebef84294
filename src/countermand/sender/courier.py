"""One connection's work: body, permit, a look at the fence, and only then the dot.

    write  . of mail n  +  MAIL RCPT DATA of mail n+1         one packet; the permit of n+1 is asked
    read   250 for n, 250 250 354 for n+1
    write  the body of n+1, without the dot                   meanwhile its permit is committed
    wait   for the permit; look for an unasked 421; look at the fence; then the next such packet

The body is never ended without a durable permit, and never once the order's fence can be seen.
A connection whose mail may not be ended is cut off: a lone dot is never used to get out. After a
kill at any instant at most (window + 1) mails of a connection are in doubt.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass
from typing import Final

from countermand.domain.delivery import Reply, ReplyKind
from countermand.sender.committer import Committer
from countermand.sender.envelope import (
    OK,
    EnvelopeReplies,
    answer_to_dot,
    before_dot,
    commands,
)
from countermand.sender.journal import note
from countermand.sender.link import GOING_DOWN, Link, LinkLost, ServerReply
from countermand.sender.relay import COMMAND_S, Relay, opened
from countermand.sender.supply import Ready, Supply
from countermand.stop.fence import FenceView

_DOT: Final = b".\r\n"
PERMIT_HOLDS_S: Final = 30.0  # as long as a lease
_DOT_REPLY_S: Final = 600.0
_GOODBYE_S: Final = 1.0
_FIRST_WAIT_S: Final = 0.1
_LONGEST_WAIT_S: Final = 5.0
_LOOK_HOLDS_S: Final = 0.02


class _SessionOver(Exception):
    """The connection is to be cut off; the mails on it were not ended."""


@dataclass(slots=True)
class _InHand:
    """A mail on this connection; `permit` is None until it was asked for, at `asked_s`."""

    ready: Ready
    permit: asyncio.Future[bool] | None = None
    asked_s: float = 0.0  # of the clock that goes on while a process or its machine is frozen


class Courier:
    """Brings mails to the relay over one connection at a time, and a new one when that is lost."""

    def __init__(
        self,
        *,
        name: str,
        relay: Relay,
        supply: Supply,
        committer: Committer,
        fence: FenceView,
        window: int,
        permit_holds_s: float = PERMIT_HOLDS_S,
    ) -> None:
        """Ask for at most `window` permits beyond the mail whose reply is awaited."""
        self._permit_holds_s = permit_holds_s
        self._name = name
        self._relay = relay
        self._supply = supply
        self._committer = committer
        self._fence = fence
        self._window = window
        self._ahead: deque[_InHand] = deque()  # nothing of them was written
        self._present: _InHand | None = None  # its envelope was written, its dot was not
        self._dotted: Ready | None = None  # its dot was written, its reply was not read
        self._open_link: Link | None = None
        self._extensions: frozenset[str] = frozenset()
        self._looked_at: tuple[str, int] | None = None
        self._looked_stopped = False
        self._look_again_s = 0.0

    async def run(self) -> None:
        """Work until the supply ends. Raises FenceUnreadable."""
        wait_s = _FIRST_WAIT_S
        while await self._supply.has_come():
            try:
                await self._connect()
                wait_s = _FIRST_WAIT_S
                await self._session()
            except LinkLost as lost:
                note("link.lost", why=str(lost))
                self._account_for_lost_link(str(lost))
                self._cut()
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, _LONGEST_WAIT_S)
            except _SessionOver:
                self._give_back()
            finally:
                self._account_for_dotted("the sender ended")
                self._give_back()
                self._cut()

    @property
    def _link(self) -> Link:
        if self._open_link is None:
            raise LinkLost("not connected")
        return self._open_link

    async def _connect(self) -> None:
        self._open_link, self._extensions = await opened(self._relay, self._name)

    async def _session(self) -> None:
        while True:
            if self._present is None and not await self._begin():
                await self._say_goodbye()
                return
            if await self._envelope_taken():
                await self._link.write(self._here().ready.mail.content)
                await self._end_with_dot()
                await self._hear_about_dot()
            elif (await self._step(b"RSET\r\n")).code not in OK:
                raise _SessionOver

    async def _begin(self) -> bool:
        """Write an envelope by itself; False when the supply has ended."""
        while not self._ahead:
            ready = await self._supply.take()
            if ready is None:
                return False
            self._ahead.append(_InHand(ready))
            self._sort_out(ready)
        if self._link.spoke_unasked():  # an idle connection that the relay has closed
            raise _SessionOver
        self._present = self._ahead.popleft()
        self._ask_for_permits()
        if "PIPELINING" in self._extensions:
            await self._link.write(b"".join(commands(self._present.ready, self._extensions)))
        return True

    def _sort_out(self, ready: Ready) -> None:
        """Take the last of `_ahead` out again if it was stopped or this relay cannot take it."""
        if self._was_stopped(ready):
            self._committer.give_back([ready.notice_id])
        elif ready.mail.needs_smtputf8 and "SMTPUTF8" not in self._extensions:
            text = "the relay takes no such address"
            self._committer.tell(before_dot(ready.notice_id, ReplyKind.REFUSED, text))
        else:
            return
        self._ahead.pop()

    def _is_stopped(self, ready: Ready) -> bool:
        # Corrections leave a stopped order: the ledger lets them out after the proof.
        return not ready.is_correction and self._fence.stops(ready.order_number, ready.epoch)

    def _was_stopped(self, ready: Ready) -> bool:
        """Say so by a look of late: it spares the relay envelopes, the dot has its own look."""
        now_s = asyncio.get_running_loop().time()
        if (ready.order_number, ready.epoch) != self._looked_at or now_s > self._look_again_s:
            self._looked_at = (ready.order_number, ready.epoch)
            self._looked_stopped = self._fence.stops(ready.order_number, ready.epoch)
            self._look_again_s = now_s + _LOOK_HOLDS_S
        return self._looked_stopped and not ready.is_correction

    async def _envelope_taken(self) -> bool:
        """Read the answers to the envelope; True when the relay waits for the body."""
        ready = self._here().ready
        if "PIPELINING" in self._extensions:
            replies = await self._link.replies(3, within_s=COMMAND_S)
            replies += [replies[-1]] * (3 - len(replies))  # after a goodbye nothing more is said
        else:
            replies = [await self._step(each) for each in commands(ready, self._extensions)]
        answers = EnvelopeReplies(*replies)
        if answers.waits_for_body():
            return True
        self._present = None
        self._committer.tell(answers.refusal(ready.notice_id))
        if answers.ends_session():
            raise _SessionOver
        return False

    async def _end_with_dot(self) -> None:
        """Write the dot if, and only if, it is permitted and nothing stops it at this instant."""
        present = self._here()
        if present.permit is None or not await present.permit:
            raise _SessionOver
        following = self._following()
        packet = _DOT
        if following is not None:
            packet += b"".join(commands(following.ready, self._extensions))
        sent = 0
        while sent < len(_DOT):
            if self._link.spoke_unasked():
                raise LinkLost("the relay spoke before the dot")
            if self._is_stopped(present.ready) or self._is_stale(present):
                raise _SessionOver
            # No wait between the look and the write, and nothing is kept in user space.
            sent += self._link.write_now(packet[sent:])
            if sent < len(_DOT):
                await self._link.writable()
        self._dotted, self._present = present.ready, following
        if following is not None:
            self._ahead.popleft()
        await self._link.write(packet[sent:])
        self._ask_for_permits()

    def _is_stale(self, present: _InHand) -> bool:
        """Say whether others may count on it that this mail is not ended any more.

        Where nobody can kill this process, a stop waits for its lease: no permit outlives that.
        """
        return time.clock_gettime(time.CLOCK_BOOTTIME) - present.asked_s > self._permit_holds_s

    def _following(self) -> _InHand | None:
        """Choose whose envelope goes with this dot; it stays in `_ahead` until the dot is out."""
        if "PIPELINING" not in self._extensions:
            return None
        self._fill_ahead(1)
        return self._ahead[0] if self._ahead else None

    def _ask_for_permits(self) -> None:
        if self._present is not None:
            self._fill_ahead(self._window - 1)
        for in_hand in (self._present, *self._ahead):
            if in_hand is not None and in_hand.permit is None:
                in_hand.asked_s = time.clock_gettime(time.CLOCK_BOOTTIME)
                in_hand.permit = self._committer.ask(in_hand.ready.notice_id)

    def _fill_ahead(self, length: int) -> None:
        while len(self._ahead) < length and (ready := self._supply.take_now()) is not None:
            self._ahead.append(_InHand(ready))
            self._sort_out(ready)

    async def _hear_about_dot(self) -> None:
        dotted = self._dotted
        assert dotted is not None  # noqa: S101 - its dot was just written
        reply = await self._link.reply(within_s=_DOT_REPLY_S)
        self._dotted = None
        answer = answer_to_dot(dotted.notice_id, reply)
        self._committer.tell(answer)
        self._supply.pace.hand_over(answer.queue_id)
        if reply.code == GOING_DOWN:
            raise _SessionOver

    async def _step(self, command: bytes) -> ServerReply:
        await self._link.write(command)
        return await self._link.reply(within_s=COMMAND_S)

    async def _say_goodbye(self) -> None:
        await self._link.write(b"QUIT\r\n")
        await self._link.reply(within_s=_GOODBYE_S)

    def _here(self) -> _InHand:
        assert self._present is not None  # noqa: S101 - its envelope was written
        return self._present

    def _account_for_lost_link(self, why: str) -> None:
        """Blame the mail on which the link was lost, so that one mail cannot stop all others."""
        if self._dotted is None and self._present is not None:
            notice_id = self._present.ready.notice_id
            self._committer.tell(before_dot(notice_id, ReplyKind.DEFERRED, why))
            self._present = None
        self._account_for_dotted(why)
        self._give_back()

    def _account_for_dotted(self, why: str) -> None:
        if self._dotted is not None:
            lost = Reply(self._dotted.notice_id, ReplyKind.LOST, True, why, None)  # noqa: FBT003
            self._committer.tell(lost)
            self._dotted = None

    def _give_back(self) -> None:
        """Give back what was provably not ended."""
        held = [*([self._present] if self._present else []), *self._ahead]
        self._committer.give_back(each.ready.notice_id for each in held)
        self._present = None
        self._ahead.clear()

    def _cut(self) -> None:
        if self._open_link is not None:
            self._open_link.abort()
            self._open_link = None
