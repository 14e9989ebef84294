"""One connection of the sender: its relay, mails and permits are in the hands of the test."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from countermand.domain.delivery import Holding, Reply
from countermand.sender.committer import Committer, Known
from countermand.sender.compose import Mail
from countermand.sender.link import Link
from countermand.sender.pace import Pace
from countermand.sender.session import Session
from countermand.sender.supply import Ready, Supply
from countermand.stop import fence as fences
from countermand.stop.fence import Fence, FenceView
from countermand.testing.ledger_house import NOW

TAKEN = b"250 ok\r\n250 ok\r\n354 go on\r\n"
ORDER = "CM-7Q4K"


@dataclass
class Permits:
    """A committer whose permits are given when the test says so."""

    asked: dict[Holding, Known] = field(default_factory=dict)
    told: list[Reply] = field(default_factory=list)
    given_back: list[Holding] = field(default_factory=list)

    def ask(self, holding: Holding, known: Known) -> None:
        self.asked[holding] = known

    def tell(self, reply: Reply) -> None:
        self.told.append(reply)

    def give_back(self, holdings: Iterable[Holding]) -> None:
        for holding in holdings:
            self.given_back.append(holding)
            if (known := self.asked.pop(holding, None)) is not None:
                known(False)

    def give(self, notice_id: int) -> None:
        self.asked.pop(Holding(notice_id, 1))(True)


@dataclass
class Mails:
    """A supply that the test fills; it ends when told."""

    waiting: list[Ready]
    pace: Pace = field(default_factory=Pace)
    came: asyncio.Event = field(default_factory=asyncio.Event)
    ended: bool = False

    async def take(self) -> Ready | None:
        while not self.waiting:
            if self.ended:
                return None
            await self.came.wait()
            self.came.clear()
        return self.take_now()

    def take_now(self) -> Ready | None:
        return self.waiting.pop(0) if self.waiting else None

    def add(self, ready: Ready) -> None:
        self.waiting.append(ready)
        self.came.set()

    def end(self) -> None:
        self.ended = True
        self.came.set()


class NarrowLink(Link):
    """Takes as many bytes at once as the test says, then as many as there are."""

    def __init__(self, connected: socket.socket) -> None:
        super().__init__(connected)
        self.takes: deque[int] = deque()

    def write_now(self, content: bytes | memoryview) -> int:
        most = self.takes.popleft() if self.takes else len(content)
        return super().write_now(bytes(content)[:most]) if most else 0


@dataclass
class Hands:
    """What the test holds of one connection."""

    session: Session
    link: NarrowLink
    relay: socket.socket
    permits: Permits
    mails: Mails
    running: asyncio.Task[None]

    async def hear(self, end: bytes) -> bytes:
        """Return what the sender says, up to `end`."""
        heard = b""
        async with asyncio.timeout(30):
            while not heard.endswith(end):
                came = await asyncio.get_running_loop().sock_recv(self.relay, 65536)
                assert came, heard
                heard += came
        return heard

    def say(self, words: bytes) -> None:
        self.relay.send(words)

    async def take_envelope(self) -> None:
        """Hear an envelope, and let the sender hear that its body is waited for."""
        await self.hear(b"DATA\r\n")
        self.say(TAKEN)
        await self.turn()

    def is_silent(self) -> bool:
        """Whether the sender has said nothing more."""
        try:
            return not self.relay.recv(1)
        except BlockingIOError:
            return True

    async def turn(self) -> None:
        """Let the loop hear what was said."""
        for _ in range(10):
            await asyncio.sleep(0)


def mail(number: int, order: str = ORDER) -> Ready:
    address = f"p{number}@example.org"
    content = b"Subject: x\r\n\r\nmail %d\r\n" % number
    written = Mail("orders@example.org", address, content, False, "e")
    return Ready(Holding(number, 1), order, 1, False, written)


def stop(folder: Path) -> None:
    fences.write(folder, Fence(ORDER, 1, withdrawn=False, at=NOW, by=1, because=""))


@asynccontextmanager
async def a_connection(folder: Path, *mails: Ready) -> AsyncIterator[Hands]:
    ours, relay = socket.socketpair()
    for end in (ours, relay):
        end.setblocking(False)
    link, permits, supply = NarrowLink(ours), Permits(), Mails(list(mails))
    session = Session(
        link,
        frozenset({"PIPELINING"}),
        supply=cast("Supply", supply),
        committer=cast("Committer", permits),
        fence=FenceView(folder),
        window=1,
        permit_holds_s=60,
    )
    running = asyncio.create_task(session.run())
    try:
        yield Hands(session, link, relay, permits, supply, running)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        link.abort()
        relay.close()
