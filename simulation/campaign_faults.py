"""What strikes, and where: faults are put into the forked process, never into the program.

A strike is a SIGKILL or a freeze of the very process that comes to the point, at the instant at
which it comes there. Where the mail server sees the instant better, it pulls the trigger itself.
"""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from countermand.domain.delivery import Holding

Patch = Callable[["Strike"], None]
_DOT: Final = b"\r\n.\r\n"


@dataclass(slots=True)
class Strike:
    """Hits the present process when its point is reached for the `count`-th time."""

    count: int = 1
    frozen: bool = False
    power: Path | None = None  # take the power of this disk away, too

    def reached(self) -> None:
        """Count, and hit."""
        self.count -= 1
        if self.count == 0:
            self.hit()

    def hit(self) -> None:
        """Hit now."""
        if self.power is not None:
            from simulation import power

            power.strike(self.power)
        os.kill(os.getpid(), signal.SIGSTOP if self.frozen else signal.SIGKILL)


# -- senders -----------------------------------------------------------------------------------


def after_claim(strike: Strike) -> None:
    """F1: mails are claimed, nothing else happened."""
    from countermand.sender.ledger_line import PostgresLine

    original = PostgresLine.claim

    async def claim(self: PostgresLine, **given: Any) -> Any:
        found = await original(self, **given)
        if found:
            strike.reached()
        return found

    PostgresLine.claim = claim  # type: ignore[method-assign]


def _at_packet(strike: Strike, *, at_dot: bool) -> None:
    from countermand.sender.link import Link

    original = Link.write_now

    def write_now(self: Link, content: bytes | memoryview) -> int:
        body, dot, _ = bytes(content).partition(_DOT)
        if dot:  # the packet that holds a body and its dot
            strike.count -= 1
            if strike.count == 0:
                if not at_dot:
                    sent = original(self, body[: len(body) // 2])
                    strike.hit()
                    return sent
                strike.hit()  # whoever was frozen here goes on with this very write
        return original(self, content)

    Link.write_now = write_now  # type: ignore[method-assign]


def mid_body(strike: Strike) -> None:
    """F3 (and F32 when frozen): half of a body is with the kernel, the rest and the dot are not."""
    _at_packet(strike, at_dot=False)


def before_dot(strike: Strike) -> None:
    """F4 (and F11 when frozen): permitted, looked at the fence, body and dot not written."""
    _at_packet(strike, at_dot=True)


def reply_read(strike: Strike) -> None:
    """F6: the 250 was read and is nowhere but in this process."""
    from countermand.domain.delivery import Reply, ReplyKind
    from countermand.sender.committer import Committer

    original = Committer.tell

    def tell(self: Committer, reply: Reply) -> None:
        if reply.kind is ReplyKind.ACCEPTED:
            strike.reached()
        original(self, reply)

    Committer.tell = tell  # type: ignore[method-assign]


def before_commit(strike: Strike) -> None:
    """F7: the group is full and goes to the database with the next instruction."""
    _at_exchange(strike, later_s=None)


def during_commit(strike: Strike) -> None:
    """F29: the statement is with the database; whether it is committed, nobody here learns."""
    _at_exchange(strike, later_s=random.uniform(0.0, 0.003))


def _at_exchange(strike: Strike, *, later_s: float | None) -> None:
    from countermand.sender.ledger_line import PostgresLine

    original = PostgresLine.exchange

    async def exchange(self: PostgresLine, **given: Any) -> Any:
        strike.count -= 1
        if strike.count == 0:
            if later_s is None:
                strike.hit()
            else:
                threading.Timer(later_s, strike.hit).start()
        return await original(self, **given)

    PostgresLine.exchange = exchange  # type: ignore[method-assign]


def impatient(strike: Strike) -> None:
    """F10: the reply to a dot comes later than anybody waits for it."""
    from countermand.sender import session

    session._DOT_REPLY_S = 0.1  # type: ignore[misc]  # noqa: SLF001 - ten minutes, otherwise
    del strike


def unharmed(strike: Strike) -> None:
    """Nothing: the mail server strikes, or the parent does."""
    del strike


# -- whoever presses, and the worker -------------------------------------------------------------


def at_sync(strike: Strike) -> None:
    """F12: the fence is being written and not yet, or only half, durable."""
    original = os.fsync

    def fsync(fd: Any) -> None:
        strike.reached()
        original(fd)

    os.fsync = fsync


def _before(module: Any, name: str, strike: Strike) -> None:
    original = getattr(module, name)

    def replaced(*given: Any, **named: Any) -> Any:
        strike.reached()
        return original(*given, **named)

    setattr(module, name, replaced)


def before_gates(strike: Strike) -> None:
    """F13: the fence is durable and no gate is told."""
    from countermand.stop import press

    _before(press, "Telling", strike)


def before_senders_die(strike: Strike) -> None:
    """F14: whoever pressed dies while all senders live."""
    from countermand.stop import senders

    _before(senders, "kill_all", strike)


def before_booking(strike: Strike) -> None:
    """Senders are dead, and the database knows nothing of the stop."""
    from countermand.orders import stops

    _before(stops, "book", strike)


def before_settling(strike: Strike) -> None:
    """The stop is booked, and the mails in hand are not."""
    from countermand.sender.postgres_ledger import PostgresLedger

    _before(PostgresLedger, "settle", strike)


def before_corrections(strike: Strike) -> None:
    """F18: the proof stands, and no correction is written down."""
    from countermand.orders import corrections

    _before(corrections, "write_owed", strike)


def mid_corrections(strike: Strike) -> None:
    """F19: some corrections are written down, others are not."""
    from countermand.orders import corrections

    corrections._AT_ONCE = 5  # type: ignore[misc]  # noqa: SLF001 - several slices for few people
    _before(corrections, "_write", strike)


def at_random(strike: Strike) -> None:
    """Anywhere at all."""
    later_s = random.uniform(0.001, 0.25)
    threading.Timer(later_s, strike.hit).start()


SENDER_POINTS: Final[Mapping[str, Patch]] = MappingProxyType(
    {
        "F1": after_claim,
        "F3": mid_body,
        "F4": before_dot,
        "F6": reply_read,
        "F7": before_commit,
        "F29": during_commit,
        "sender_at_random": at_random,
    }
)
# The mail server pulls these triggers: it sees the phase.
SERVER_PHASES: Final = MappingProxyType(
    {"F2": "after_rcpt", "F4": "before_dot", "F5": "after_dot_before_reply", "F6": "after_reply"}
)
PRESS_POINTS: Final[Mapping[str, Patch]] = MappingProxyType(
    {
        "F12": at_sync,
        "F13": before_gates,
        "F14": before_senders_die,
        "press_before_booking": before_booking,
        "press_before_settling": before_settling,
        "F18": before_corrections,
        "F19": mid_corrections,
        "press_at_random": at_random,
    }
)
WORKER_POINTS: Final[Mapping[str, Patch]] = MappingProxyType(
    {
        "F18": before_corrections,
        "F19": mid_corrections,
        "F30": at_random,
        "worker_before_settling": before_settling,
    }
)


# -- what is left out, to see the campaign turn red ------------------------------------------------


def leave_out(what: str) -> None:
    """Break one part of the design in the present process: fence, permit or barrier."""
    if what == "fence":
        from countermand.stop.fence import FenceView

        FenceView.stops = lambda self, number, epoch: False  # type: ignore[method-assign]  # noqa: ARG005
    elif what == "permit":
        _leave_out_permit()
    elif what == "barrier":
        from countermand.stop import senders

        senders.kill_all = lambda folder, **_: ()  # noqa: ARG005
    elif what:
        raise SystemExit(f"there is no such part: {what}")


def _leave_out_permit() -> None:
    """Let a dot go before its permit: status after the reply, as others do it."""
    import asyncio

    from countermand.sender.committer import Committer
    from countermand.sender.ledger_line import PostgresLine

    original = Committer.ask
    slow = PostgresLine.exchange

    def ask(self: Committer, holding: Holding, known: Callable[[bool], None]) -> None:
        original(self, holding, lambda granted: None)  # noqa: ARG005
        known(True)  # noqa: FBT003 - the committer's form

    async def exchange(self: PostgresLine, **given: Any) -> Any:
        await asyncio.sleep(0.004)
        return await slow(self, **given)

    Committer.ask = ask  # type: ignore[method-assign]
    PostgresLine.exchange = exchange  # type: ignore[method-assign]


CLOCK_JUMPS: Final = (timedelta(days=-1), timedelta(days=1), timedelta(hours=1))  # F24
