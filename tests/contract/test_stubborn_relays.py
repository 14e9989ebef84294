"""Relays that go on where they should not, or take a body in parts: nothing is ended unlooked."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from countermand.domain.delivery import NoticeState, Template
from countermand.domain.exposure import Exposure
from tests.contract.test_sender import Post, a_post, raise_fence
from tests.framed_relay import FramedRelay

LONG = "All of this is one long text. " * 400_000  # more than the kernel takes at once


class RefusesAndGoesOn(FramedRelay):
    """Refuses whom a mail is for, and asks for the mail all the same."""

    envelope_answer = b"250 ok\r\n550 5.1.1 nobody here\r\n354 go on\r\n"

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[Exception | None] = []

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


class AsksForMore(FramedRelay):
    """Answers the end of a mail as if it went on, which says neither yes nor no."""

    def took(self) -> None:
        if self.heard.endswith(b"\r\n.\r\n"):
            self.out.write(b"354 go on\r\n250 2.0.0 taken\r\n")


def test_an_answer_that_is_neither_yes_nor_no_leaves_it_open_who_got_the_mail(
    tmp_path: Path,
) -> None:
    """Nor is what follows it on that connection taken for the answer to another mail."""

    async def story() -> None:
        async with a_post(tmp_path, people=1) as post:
            loop = asyncio.get_running_loop()
            server = await loop.create_server(AsksForMore, "127.0.0.1", 0)
            post.port = server.sockets[0].getsockname()[1]

            await post.work_until(lambda: post.states() == [NoticeState.MAYBE])

            server.close()
            assert post.house.row(1).exposure is Exposure.POSSIBLE

    asyncio.run(story())


class TakesAPart(FramedRelay):
    """Takes an envelope and the beginning of a body, and the rest after `between` was called."""

    def __init__(self, between: Callable[[asyncio.Transport], None]) -> None:
        super().__init__()
        self.between = between
        self.in_body = False
        self.ended = False

    def took(self) -> None:
        if not self.in_body:
            self.in_body = True
            self.between(self.out)

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True


def stop(post: Post, out: asyncio.Transport) -> None:
    raise_fence(post)


def say_goodbye(post: Post, out: asyncio.Transport) -> None:
    out.write(b"421 going down\r\n")


@pytest.mark.parametrize("between", [stop, say_goodbye])
def test_the_end_of_a_body_that_left_in_parts_waits_for_a_look_of_its_own(
    tmp_path: Path, between: Callable[[Post, asyncio.Transport], None]
) -> None:
    async def story() -> None:
        async with a_post(tmp_path, people=1) as post:
            post.house.ledger.templates[1] = Template(1, "Notice", LONG, "<p>Hello</p>")
            relay = TakesAPart(lambda out: between(post, out))
            loop = asyncio.get_running_loop()
            server = await loop.create_server(lambda: relay, sock=a_small_socket())
            post.port = server.sockets[0].getsockname()[1]

            await post.work_until(lambda: relay.ended)

            server.close()
            assert relay.in_body
            assert b"\r\n.\r\n" not in relay.heard
            assert post.states() == [NoticeState.PENDING]
            assert post.house.row(1).exposure is Exposure.NONE

    asyncio.run(story())


def a_small_socket() -> socket.socket:
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    listening.bind(("127.0.0.1", 0))
    return listening
