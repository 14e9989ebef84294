"""What a sender claims ahead of its connections, what it hands out, and what goes back."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast

import pytest

from countermand.domain.delivery import (
    ClaimedNotice,
    Holding,
    LedgerUnavailable,
    NoticeKind,
    PermitAnswer,
    Reply,
    ReplyKind,
    Template,
)
from countermand.sender import supply as supplies
from countermand.sender.committer import Committer
from countermand.sender.compose import Writer
from countermand.sender.pace import Pace
from countermand.sender.supply import Supply
from countermand.testing.ledger_house import NOW, SENDER
from tests.leaping_clock import a_leaping_loop

MUCH_LATER_S = 3600.0


@dataclass(frozen=True)
class Claim:
    """One claim as the ledger heard it."""

    number: int
    heard: int
    limit: int


@dataclass
class Line:
    """A ledger that hands out what is `due`, and nothing at all while it is `away`."""

    due: deque[ClaimedNotice] = field(default_factory=deque)
    claims: list[Claim] = field(default_factory=list)
    away: int = 0
    answers: asyncio.Event = field(default_factory=asyncio.Event)

    async def template(self, template_id: int) -> Template:
        return Template(template_id, "Notice", "Hello {name}", "<p>Hello</p>")

    async def claim(
        self, *, sender: str, claim: int, heard: int, limit: int, now: datetime
    ) -> Sequence[ClaimedNotice]:
        self.claims.append(Claim(claim, heard, limit))
        if self.away:
            self.away -= 1
            raise LedgerUnavailable(why="a test")
        await self.answers.wait()
        return [self.due.popleft() for _ in range(min(limit, len(self.due)))]

    async def exchange(
        self,
        *,
        sender: str,
        permits: Sequence[Holding],
        replies: Sequence[Reply],
        aborted: Sequence[Holding],
        now: datetime,
    ) -> Sequence[PermitAnswer]:
        raise NotImplementedError


@dataclass
class Commits:
    """A committer that remembers what it was told."""

    is_in_trouble: bool = False
    told: list[Reply] = field(default_factory=list)
    given_back: list[Holding] = field(default_factory=list)

    def tell(self, reply: Reply) -> None:
        self.told.append(reply)

    def give_back(self, holdings: Iterable[Holding]) -> None:
        self.given_back += holdings


class LetsBegin(Pace):
    """Lets so many mails begin."""

    def __init__(self, mails: int) -> None:
        super().__init__()
        self.left = mails

    def allows(self) -> bool:
        return self.left > 0


@dataclass
class Store:
    """A supply at work, and what stands around it."""

    supply: Supply
    line: Line
    commits: Commits

    async def until_claimed(self, times: int) -> list[Claim]:
        async with asyncio.timeout(30):
            while len(self.line.claims) < times:  # noqa: ASYNC110 - a ledger rings no bell
                await asyncio.sleep(0)
        return self.line.claims

    async def turns(self) -> None:
        for _ in range(50):
            await asyncio.sleep(0)


def notice(number: int, kind: NoticeKind = NoticeKind.NOTICE, name: str = "Asha") -> ClaimedNotice:
    values = {"name": name} if name else {}
    address, message_id = (
        f"p{number}@example.org",
        f"<CM-7Q4K.1.notice.0.{number:020x}@example.org>",
    )
    return ClaimedNotice(
        number, 1, "CM-7Q4K", 1, kind, address, "en", 1, values, message_id, "", NOW, 0
    )  # fmt: skip


@asynccontextmanager
async def a_store(
    *due: ClaimedNotice,
    ahead: int = 4,
    pace: Pace | None = None,
    trouble: bool = False,
    line: type[Line] = Line,
) -> AsyncIterator[Store]:
    asked, commits = line(deque(due)), Commits(is_in_trouble=trouble)
    asked.answers.set()
    supply = Supply(
        asked,
        cast("Committer", commits),
        sender=SENDER,
        writer=Writer("orders@example.org", "Example", "help@example.org"),
        ahead=ahead,
        now=lambda: NOW,
        pace=pace,
    )
    running = asyncio.create_task(supply.run())
    try:
        yield Store(supply, asked, commits)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
def no_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a supply look again at once, and ask the ledger only for what it needs."""
    monkeypatch.setattr(supplies, "IDLE_S", 0.0)
    monkeypatch.setattr(supplies, "_TROUBLE_S", 0.0)
    monkeypatch.setattr(supplies, "_ASK_EVERY_S", MUCH_LATER_S)


@pytest.mark.usefixtures("no_rests")
def test_a_mail_that_cannot_be_written_is_refused_and_keeps_no_other_back() -> None:
    async def story() -> None:
        async with a_store(notice(1, name=""), notice(2)) as store:
            ready = await store.supply.take()

            assert ready is not None
            assert ready.holding == Holding(2, 1)
            [told] = store.commits.told
            assert (told.holding, told.kind) == (Holding(1, 1), ReplyKind.REFUSED)
            assert not told.after_dot

    asyncio.run(story())


def spoiled(number: int, kind: NoticeKind = NoticeKind.NOTICE) -> ClaimedNotice:
    return notice(number, kind)._replace(values={"name": 7})  # type: ignore[dict-item]


@pytest.mark.usefixtures("no_rests")
def test_a_mail_at_which_something_fails_has_three_tries_and_a_correction_has_ever_more() -> None:
    async def story() -> None:
        correction = NoticeKind.CORRECTION
        due = [spoiled(1), spoiled(2, correction)] * 4
        async with a_store(*due, notice(3)) as store:
            ready = await store.supply.take()

            assert ready is not None
            assert ready.holding == Holding(3, 1)
            put_off, given_up = ReplyKind.DEFERRED, ReplyKind.REFUSED
            kinds: dict[int, list[ReplyKind]] = {1: [], 2: []}
            for told in store.commits.told:
                assert (told.text, told.after_dot) == ("notice.fault", False)
                kinds[told.holding.notice_id].append(told.kind)
            assert kinds[1][:3] == [put_off, put_off, given_up]
            assert kinds[2] == [put_off] * 4

    asyncio.run(story())


@pytest.mark.usefixtures("no_rests")
def test_words_that_cannot_be_used_put_their_mails_off_and_give_none_up() -> None:
    class OneTextIsGone(Line):
        async def template(self, template_id: int) -> Template:
            if template_id == 2:
                raise IndexError(template_id)
            return await super().template(template_id)

    async def story() -> None:
        due = [notice(1)._replace(template_id=2)] * 4
        async with a_store(*due, notice(3), line=OneTextIsGone) as store:
            ready = await store.supply.take()

            assert ready is not None
            assert ready.holding == Holding(3, 1)
            assert {told.kind for told in store.commits.told} == {ReplyKind.DEFERRED}
            assert len(store.commits.told) == 4

    asyncio.run(story())


@pytest.mark.usefixtures("no_rests")
def test_what_is_written_out_waits_for_the_relay_unless_it_is_a_correction() -> None:
    async def story() -> None:
        pace = LetsBegin(1)
        due = (notice(1), notice(2, NoticeKind.CORRECTION), notice(3))
        async with a_store(*due, pace=pace) as store:
            first = await store.supply.take()
            pace.left = 0

            correction = store.supply.take_now()
            other = store.supply.take_now()

            assert first is not None
            assert correction is not None
            assert correction.holding == Holding(2, 1)
            assert other is None
            pace.left = 1
            assert await store.supply.take() is not None

    asyncio.run(story())


@pytest.mark.usefixtures("no_rests")
def test_nothing_is_claimed_while_commits_fail() -> None:
    async def story() -> None:
        async with a_store(notice(1), trouble=True) as store:
            await store.turns()
            assert store.line.claims == []

            store.commits.is_in_trouble = False

            assert await store.supply.take() is not None

    asyncio.run(story())


@pytest.mark.usefixtures("no_rests")
def test_a_sender_that_has_enough_claims_no_more() -> None:
    async def story() -> None:
        async with a_store(*map(notice, range(1, 9)), ahead=2) as store:
            await store.until_claimed(1)
            await store.turns()
            assert [each.limit for each in store.line.claims] == [2]

            await store.supply.take()

            assert [each.limit for each in await store.until_claimed(2)] == [2, 2]

    asyncio.run(story())


@pytest.mark.usefixtures("no_rests")
def test_a_sender_that_has_enough_asks_the_ledger_all_the_same_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(supplies, "_ASK_EVERY_S", 0.0)

    async def story() -> None:
        async with a_store(*map(notice, range(1, 9)), ahead=2) as store:
            claims = await store.until_claimed(3)

            assert [each.limit for each in claims[:3]] == [2, 0, 0]

    asyncio.run(story())


@pytest.mark.usefixtures("no_rests")
def test_a_claim_says_which_one_was_answered_last_and_no_number_comes_twice() -> None:
    async def story() -> None:
        async with a_store() as store:
            await store.until_claimed(1)
            store.line.away = 2
            lost = len(store.line.claims)
            claims = await store.until_claimed(lost + 4)

            answered = 0
            for place, each in enumerate(claims):
                assert each.heard == answered
                if place not in {lost, lost + 1}:
                    answered = each.number
            numbers = [each.number for each in claims]
            assert min(numbers) >= 1
            assert len(set(numbers)) == len(numbers)

    asyncio.run(story())


@pytest.mark.usefixtures("no_rests")
def test_a_claim_that_fails_hands_nothing_out_again() -> None:
    async def story() -> None:
        async with a_store(notice(1), notice(2)) as store:
            store.line.answers.clear()
            await store.until_claimed(1)
            store.line.away = 1  # the very next claim
            store.line.answers.set()
            await store.until_claimed(4)

            assert await store.supply.take() is not None
            assert await store.supply.take() is not None
            assert store.supply.take_now() is None

    asyncio.run(story())


@pytest.mark.usefixtures("no_rests")
def test_what_a_claim_brings_after_the_end_goes_back_unwritten() -> None:
    async def story() -> None:
        async with a_store(notice(1), notice(2)) as store:
            store.line.answers.clear()
            await store.until_claimed(1)

            await store.supply.close()
            store.line.answers.set()
            await store.turns()

            assert store.commits.given_back == [Holding(1, 1), Holding(2, 1)]
            assert await store.supply.take() is None

    asyncio.run(story())


@pytest.mark.usefixtures("no_rests")
def test_an_end_gives_back_what_is_written_out_and_what_is_only_claimed() -> None:
    async def story() -> None:
        async with a_store(*map(notice, range(1, 31)), ahead=30) as store:
            assert await store.supply.take() is not None  # sixteen are written out

            await store.supply.close()

            back = sorted(each.notice_id for each in store.commits.given_back)
            assert back == list(range(2, 31))
            assert store.supply.take_now() is None

    asyncio.run(story())


@pytest.mark.parametrize("away", [0, 1000])
def test_a_ledger_that_has_nothing_or_is_away_is_not_asked_without_a_pause(away: int) -> None:
    async def story() -> int:
        async with a_store() as store:
            store.line.away = away
            await asyncio.sleep(10)
            return len(store.line.claims)

    with a_leaping_loop() as loop:
        asked = loop.run_until_complete(story())

    assert 10 <= asked <= 10 / supplies.IDLE_S + 1


def test_whoever_waits_for_the_relay_looks_at_its_pace_now_and_then() -> None:
    class CountsLooks(LetsBegin):
        looks = 0

        def allows(self) -> bool:
            self.looks += 1
            return super().allows()

    async def story() -> int:
        pace = CountsLooks(0)
        async with a_store(notice(1), pace=pace) as store:
            waiting = asyncio.create_task(store.supply.has_come())
            await asyncio.sleep(1)
            looks = pace.looks
            pace.left = 1
            assert await waiting
            return looks

    with a_leaping_loop() as loop:
        looks = loop.run_until_complete(story())

    assert 10 <= looks <= 100
