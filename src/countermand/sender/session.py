"""One connection's work: body, permit, a look at the fence, and only then the dot.

    hear   250 for n-1, 250 250 354 for n                     the permit of n+1 is asked
    wait   for the permit of n, asked a mail earlier; look for an unasked 421; look at the fence
    write  body and dot of n  +  MAIL RCPT DATA of mail n+1   one packet

A body goes out together with its dot, and not before that may. Of a body that the operating system
takes in parts, the last bytes wait with the dot for a look of their own.

The body is never ended without a durable permit, and never once the order's fence can be seen.
A connection whose mail may not be ended is cut off: a lone dot is never used to get out.

A permit is asked as soon as fewer than (window + 1) mails of this connection stand between asking
and an answer of the relay. A commit that carries a permit carries every answer told before it was
asked, so after a kill at any instant at most (window + 1) mails of a connection are in doubt.

Mail after mail is worked on in the very turn of the event loop in which something came: a reply,
a permit, room to write. Only where a flow of mails begins and ends is anything awaited.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass
from itertools import islice
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
from countermand.sender.journal import note_fault
from countermand.sender.link import GOING_DOWN, Link, LinkLost, ServerReply
from countermand.sender.relay import COMMAND_S
from countermand.sender.supply import Ready, Supply
from countermand.stop.fence import FenceView

PERMIT_HOLDS_S: Final = 30.0  # as long as a lease
_DOT: Final = b".\r\n"
_DOT_REPLY_S: Final = 600.0
_GOODBYE_S: Final = 1.0
_LOOK_HOLDS_S: Final = 0.02
_CLOCK_S: Final = 1.0  # how often it is asked whether the relay answers in time
_ENVELOPE: Final = 3


class SessionOver(Exception):
    """The connection is to be cut off; the mails on it were not ended."""


@dataclass(slots=True, eq=False)
class InHand:
    """A mail on this connection; it was asked for its permit at `asked_s`, if at all."""

    ready: Ready
    asked_s: float | None = None  # of the clock that goes on while a process or its machine sleeps
    granted: bool | None = None


class Session:
    """Brings mails over one connection, until the supply or the connection ends."""

    def __init__(
        self,
        link: Link,
        extensions: frozenset[str],
        *,
        supply: Supply,
        committer: Committer,
        fence: FenceView,
        window: int,
        permit_holds_s: float,
    ) -> None:
        """Let at most `window` + 1 mails wait between their permit and the relay's answer."""
        self._link = link
        self._extensions = extensions
        self._is_pipelined = "PIPELINING" in extensions
        self._supply = supply
        self._committer = committer
        self._fence = fence
        self._window = window
        self._permit_holds_s = permit_holds_s
        self._ahead: deque[InHand] = deque()  # nothing of them was written
        self._present: InHand | None = None  # its envelope was written, its dot was not
        self._dotted: Ready | None = None  # its dot was written, its reply was not read
        self._answers: list[ServerReply] = []  # to the present envelope
        self._takes_body = False  # the relay waits for the present body
        self._unwritten = b""
        self._to_dot: int | None = None  # so much of it until the dot is out; None: no dot in it
        self._is_refused = False
        self._flowing: asyncio.Future[None] | None = None
        self._waits_since_s = 0.0
        self._looking: asyncio.TimerHandle | None = None
        self._looked_at: tuple[str, int] | None = None
        self._looked_stopped = False
        self._look_again_s = 0.0

    async def run(self) -> None:
        """Work until the supply ends. Raises LinkLost, SessionOver or FenceUnreadable."""
        while self._present is not None or await self._begin():
            if not self._is_pipelined:
                await self._say_envelope()
            await self._flow()
            if self._is_refused:
                self._is_refused = False
                if (await self._step(b"RSET\r\n")).code not in OK:
                    raise SessionOver
        await self._link.write(b"QUIT\r\n")
        await self._link.reply(within_s=_GOODBYE_S)

    async def _begin(self) -> bool:
        """Write an envelope by itself; False when the supply has ended."""
        while not self._ahead:
            ready = await self._supply.take()
            if ready is None:
                return False
            self._keep(ready)
        if self._link.spoke_unasked():  # an idle connection that the relay has closed
            raise SessionOver
        self._present = self._ahead.popleft()
        self._ask_for_permits()
        if self._is_pipelined:
            await self._link.write(commands(self._present.ready, self._extensions))
        return True

    async def _say_envelope(self) -> None:
        """Say it command by command, as a relay without PIPELINING wants it."""
        assert self._present is not None  # noqa: S101 - just begun
        lines = commands(self._present.ready, self._extensions).splitlines(keepends=True)
        self._answers = [await self._step(line) for line in lines]

    async def _step(self, command: bytes) -> ServerReply:
        await self._link.write(command)
        return await self._link.reply(within_s=COMMAND_S)

    async def _flow(self) -> None:
        """Bring mail after mail, until nothing is under way any more."""
        loop = asyncio.get_running_loop()
        flowing = self._flowing = loop.create_future()
        self._waits_since_s = time.monotonic()
        self._link.listen(self._go_on)
        self._look_at_clock()
        try:
            self._go_on()
            await flowing
        finally:
            if self._looking is not None:
                self._looking.cancel()
            self._flowing = None
            self._link.listen(None)

    def _look_at_clock(self) -> None:
        """Give a relay up that does not answer in time, or takes nothing for as long."""
        if self._flowing is None or self._flowing.done():
            return
        waits = self._dotted is not None or not self._takes_body or self._unwritten != b""
        longest_s = _DOT_REPLY_S if self._dotted is not None else COMMAND_S
        if waits and time.monotonic() - self._waits_since_s > longest_s:
            self._flowing.set_exception(LinkLost("the relay did not answer in time"))
            return
        again_s = min(_CLOCK_S, _DOT_REPLY_S)
        self._looking = asyncio.get_running_loop().call_later(again_s, self._look_at_clock)

    def _go_on(self) -> None:
        """Go as far as replies, permits and the kernel's buffer reach at this instant.

        A flow that has ended goes no further, whatever comes: its mails are given back next.
        """
        flowing = self._flowing
        if flowing is None or flowing.done():
            return
        try:
            self._hear()
            self._write()
        except Exception as ended:  # noqa: BLE001 - raised again by whoever awaits the flow
            flowing.set_exception(ended)
        else:
            if self._present is None and self._dotted is None and not self._unwritten:
                flowing.set_result(None)

    def _hear(self) -> None:
        if len(self._answers) == _ENVELOPE:  # said command by command
            self._judge_envelope()
        while replies := self._link.whole_replies():
            self._waits_since_s = time.monotonic()
            for reply in replies:
                if self._dotted is not None:
                    self._hear_about_dot(self._dotted, reply)
                elif self._present is None or self._takes_body:
                    raise LinkLost("the relay spoke before the dot")
                else:
                    self._answers.append(reply)
                    if reply.code == GOING_DOWN:  # it says no more
                        self._answers += [reply] * (_ENVELOPE - len(self._answers))
                    if len(self._answers) == _ENVELOPE:
                        self._judge_envelope()

    def _hear_about_dot(self, dotted: Ready, reply: ServerReply) -> None:
        self._dotted = None
        answer = answer_to_dot(dotted.holding, reply)
        self._committer.tell(answer)
        self._supply.pace.hand_over(answer.queue_id)
        if reply.code == GOING_DOWN or answer.kind is ReplyKind.LOST:
            raise SessionOver
        self._ask_for_permits()

    def _judge_envelope(self) -> None:
        """Take the answers to the envelope: the relay waits for the body now, or it is refused."""
        assert self._present is not None  # noqa: S101 - its envelope was written
        answers = EnvelopeReplies(*self._answers)
        self._answers.clear()
        ready = self._present.ready
        if answers.waits_for_body():
            self._takes_body = True
            return
        self._present = None
        self._committer.tell(answers.refusal(ready.holding))
        if answers.ends_session():
            raise SessionOver
        self._is_refused = True

    def _write(self) -> None:
        """Write what may be written at this instant: a body only if its dot may follow at once."""
        present = self._present
        if present is not None and self._takes_body and self._to_dot is None:
            if present.granted is False:
                raise SessionOver
            if present.granted:
                self._prepare_packet(present.ready)
        if self._to_dot is not None:
            self._end_with_dot()
        if self._to_dot is None and self._unwritten:
            self._offer()
        if self._unwritten:
            self._link.when_writable(self._go_on)

    def _prepare_packet(self, ready: Ready) -> None:
        content = ready.mail.content
        self._to_dot = len(content) + len(_DOT)
        packet = [content, _DOT]
        if self._is_pipelined:
            self._fill_ahead(1)
            if self._ahead:  # it stays there until the dot is out
                packet.append(commands(self._ahead[0].ready, self._extensions))
        self._unwritten = b"".join(packet)

    def _end_with_dot(self) -> None:
        """Write on to the dot and past it, as long as nothing stops this mail at that instant."""
        present = self._present
        assert present is not None  # noqa: S101 - a dot was prepared for it
        while self._to_dot is not None and self._to_dot > 0:
            if self._link.spoke_unasked():
                raise LinkLost("the relay spoke before the dot")
            if self._is_stopped(present.ready) or self._is_stale(present):
                raise SessionOver
            # No wait between the look and the write, and nothing is kept in user space.
            sent = self._offer()
            if not sent:
                return
            self._to_dot -= sent
        self._to_dot, self._takes_body = None, False
        self._dotted = present.ready
        self._present = self._ahead.popleft() if self._ahead and self._is_pipelined else None
        self._waits_since_s = time.monotonic()
        self._ask_for_permits()

    def _offer(self) -> int:
        sent = self._link.write_now(self._unwritten)
        self._unwritten = self._unwritten[sent:]
        return sent

    def _is_stopped(self, ready: Ready) -> bool:
        # Corrections leave a stopped order: the ledger lets them out after the proof.
        return not ready.is_correction and self._fence.stops(ready.order_number, ready.epoch)

    def _is_stale(self, present: InHand) -> bool:
        """Say whether others may count on it that this mail is not ended any more.

        Where nobody can kill this process, a stop waits for its lease: no permit outlives that.
        """
        asked_s = present.asked_s or 0.0
        return time.clock_gettime(time.CLOCK_BOOTTIME) - asked_s > self._permit_holds_s

    def _ask_for_permits(self) -> None:
        """Ask for as many as leave (window + 1) mails in doubt, the unanswered one among them."""
        if self._present is None:
            return
        most = self._window + (self._dotted is None)
        self._fill_ahead(most - 1)
        for in_hand in islice((self._present, *self._ahead), most):
            if in_hand.asked_s is None:
                in_hand.asked_s = time.clock_gettime(time.CLOCK_BOOTTIME)
                self._ask_for_permit(in_hand)

    def _ask_for_permit(self, in_hand: InHand) -> None:
        def known(granted: bool) -> None:  # noqa: FBT001 - the committer's form
            in_hand.granted = granted
            if in_hand is self._present and self._takes_body:
                self._go_on()

        self._committer.ask(in_hand.ready.holding, known)

    def _fill_ahead(self, length: int) -> None:
        while len(self._ahead) < length and (ready := self._supply.take_now()) is not None:
            self._keep(ready)

    def _keep(self, ready: Ready) -> None:
        """Put a mail into `_ahead`, unless it was stopped or this relay cannot take it."""
        if self._was_stopped(ready):
            self._committer.give_back([ready.holding])
        elif ready.mail.needs_smtputf8 and "SMTPUTF8" not in self._extensions:
            text = "the relay takes no such address"
            self._committer.tell(before_dot(ready.holding, ReplyKind.REFUSED, text))
        else:
            self._ahead.append(InHand(ready))

    def _was_stopped(self, ready: Ready) -> bool:
        """Say so by a look of late: it spares the relay envelopes, the dot has its own look."""
        now_s = time.monotonic()
        if now_s > self._look_again_s or (ready.order_number, ready.epoch) != self._looked_at:
            self._looked_at = (ready.order_number, ready.epoch)
            self._looked_stopped = self._fence.stops(ready.order_number, ready.epoch)
            self._look_again_s = now_s + _LOOK_HOLDS_S
        return self._looked_stopped and not ready.is_correction

    def blame(self, why: str) -> None:
        """Blame the mail on which the link was lost, so that one mail cannot stop all others."""
        if self._dotted is None and self._present is not None:
            holding = self._present.ready.holding
            self._committer.tell(before_dot(holding, ReplyKind.DEFERRED, why))
            self._present = None
        self.close(why)

    def blame_fault(self, fault: Exception) -> bool:
        """Blame a fault that nobody expected on the mail at hand; False if there is none.

        One whose dot was written is in doubt, and has no more than its tries.
        """
        if self._dotted is not None:
            note_fault(fault, notice=self._dotted.holding.notice_id)
            return True
        if self._present is None:
            return False
        ready = self._present.ready
        self._supply.at_fault(ready.holding, fault, is_correction=ready.is_correction)
        self._present = None
        return True

    def close(self, why: str) -> None:
        """Record a dot without a reply, and give back what was provably not ended."""
        if self._dotted is not None:
            lost = Reply(self._dotted.holding, ReplyKind.LOST, True, why, None)  # noqa: FBT003
            self._committer.tell(lost)
            self._dotted = None
        held = [*([self._present] if self._present else []), *self._ahead]
        self._committer.give_back(each.ready.holding for each in held)
        self._present = None
        self._ahead.clear()
