"""Relays that go on where they should not: nothing is ended that was not permitted."""

from __future__ import annotations

import asyncio
from pathlib import Path

from countermand.domain.delivery import NoticeState
from countermand.domain.exposure import Exposure
from tests.contract.test_sender import a_post


class RefusesAndGoesOn(asyncio.Protocol):
    """Refuses whom a mail is for, and asks for the mail all the same."""

    def __init__(self) -> None:
        self.heard = b""
        self.ends: list[Exception | None] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.out = transport
        self.out.write(b"220 relay\r\n")

    def data_received(self, data: bytes) -> None:
        self.heard += data
        if data.startswith(b"EHLO"):
            self.out.write(b"250-relay\r\n250 PIPELINING\r\n")
        elif data.startswith(b"MAIL"):
            self.out.write(b"250 ok\r\n550 5.1.1 nobody here\r\n354 go on\r\n")

    def connection_lost(self, exc: Exception | None) -> None:
        self.ends.append(exc)


def test_a_mail_without_its_recipient_gets_neither_body_nor_dot(tmp_path: Path) -> None:
    """The way out is to cut the link off, and what the kernel still holds is thrown away."""

    async def story() -> None:
        relay = RefusesAndGoesOn()
        async with a_post(tmp_path, people=1) as post:
            loop = asyncio.get_running_loop()
            server = await loop.create_server(lambda: relay, "127.0.0.1", 0)
            post.port = server.sockets[0].getsockname()[1]

            await post.work_until(
                lambda: bool(relay.ends) and post.states() == [NoticeState.REFUSED]
            )

            server.close()
            assert relay.heard.endswith(b"DATA\r\n")
            assert isinstance(relay.ends[0], ConnectionResetError)
            assert post.house.row(1).exposure is Exposure.NONE

    asyncio.run(story())
