"""When a courier tries again: soon at first, then more and more seldom; no second passes here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest

from countermand.domain.delivery import Holding, Reply, ReplyKind
from countermand.sender import courier as couriers
from countermand.sender.committer import Committer
from countermand.sender.compose import Mail
from countermand.sender.courier import Courier
from countermand.sender.link import Link, LinkLost
from countermand.sender.relay import Relay
from countermand.sender.supply import Ready, Supply
from countermand.stop.fence import FenceView
from tests.leaping_clock import a_leaping_loop


class BreaksAtOnce:
    """A connection that is lost with the first word."""

    def spoke_unasked(self) -> bool:
        return False

    async def write(self, content: bytes) -> None:
        raise LinkLost("a test")

    def abort(self) -> None:
        """There is nothing to cut off."""


class AlwaysMore:
    """A supply that never ends."""

    async def has_come(self) -> bool:
        return True

    async def take(self) -> Ready | None:
        return self.take_now()

    def take_now(self) -> Ready | None:
        mail = Mail("orders@example.org", "p1@example.org", b"x\r\n", False, "e")
        return Ready(Holding(1, 1), "CM-7Q4K", 1, False, mail)


class Commits:
    """A committer that gives no permit."""

    def __init__(self) -> None:
        self.told: list[Reply] = []

    def ask(self, holding: Holding, known: Callable[[bool], None]) -> None:
        """Never answered."""

    def tell(self, reply: Reply) -> None:
        self.told.append(reply)

    def give_back(self, holdings: Any) -> None:
        list(holdings)


def tries(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, up: set[int], until: int
) -> tuple[list[int], list[Reply]]:
    """Return the waits between tries, where the relay is there at those of `up`, and what was told.

    A wait counts in tenths of a second, the first being 1.
    """
    commits, at_s = Commits(), list[float]()

    async def opened(relay: Relay, name: str) -> tuple[Link, frozenset[str]]:
        at_s.append(asyncio.get_running_loop().time())
        if len(at_s) == until:
            raise asyncio.CancelledError
        if len(at_s) - 1 not in up:
            raise LinkLost("nobody is there")
        return cast("Link", BreaksAtOnce()), frozenset({"PIPELINING"})

    monkeypatch.setattr(couriers, "opened", opened)
    courier = Courier(
        name="sender-1",
        relay=Relay("relay.example", 25),
        supply=cast("Supply", AlwaysMore()),
        committer=cast("Committer", commits),
        fence=FenceView(folder),
        window=1,
    )
    with a_leaping_loop() as loop, pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(courier.run())
    waits = [round(10 * (later - earlier)) for earlier, later in pairwise(at_s)]
    return waits, commits.told


def test_a_relay_that_is_away_is_asked_more_and_more_seldom_and_every_five_seconds_at_least(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits, _ = tries(tmp_path, monkeypatch, up=set(), until=10)

    assert waits == [1, 2, 4, 8, 16, 32, 50, 50, 50]


def test_a_connection_that_was_lost_is_made_anew_a_little_later_and_its_mail_put_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits, told = tries(tmp_path, monkeypatch, up={3}, until=6)

    assert waits == [1, 2, 4, 1, 2]
    assert [each.kind for each in told] == [ReplyKind.DEFERRED]
