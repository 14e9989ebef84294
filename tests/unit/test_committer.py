"""What one commit of a sender carries."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import pytest

from countermand.domain.delivery import (
    ClaimedNotice,
    Holding,
    LedgerUnavailable,
    PermitAnswer,
    PermitRefusal,
    Reply,
    ReplyKind,
    Template,
)
from countermand.sender import committer as committers
from countermand.sender.committer import Committer
from countermand.testing.ledger_house import NOW, SENDER
from tests.leaping_clock import a_leaping_loop


@dataclass
class Line:
    """A ledger that gives every permit, and remembers what each commit asked for."""

    asked: list[list[Holding]] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    given_back: list[Holding] = field(default_factory=list)
    away: int = 0  # so many commits fail
    refusal: PermitRefusal | None = None

    async def template(self, template_id: int) -> Template:
        raise NotImplementedError

    async def claim(
        self, *, sender: str, claim: int, heard: int, limit: int, now: datetime
    ) -> Sequence[ClaimedNotice]:
        raise NotImplementedError

    async def exchange(
        self,
        *,
        sender: str,
        permits: Sequence[Holding],
        replies: Sequence[Reply],
        aborted: Sequence[Holding],
        now: datetime,
    ) -> Sequence[PermitAnswer]:
        await asyncio.sleep(0)
        if self.away:
            self.away -= 1
            raise LedgerUnavailable(why="a test")
        self.asked.append(list(permits))
        self.replies += replies
        self.given_back += aborted
        return [PermitAnswer(each, self.refusal) for each in permits]


def held(*ids: int) -> list[Holding]:
    return [Holding(each, claim=7) for each in ids]


async def committed(line: Line, ids: range, *, given_back: Sequence[int] = ()) -> list[bool]:
    """Ask for permits, give some mails back at once, and return the answers in order."""
    committer = Committer(line, sender=SENDER, now=lambda: NOW, most_permits=3)
    answers = [asyncio.get_running_loop().create_future() for _ in ids]
    for each, answer in zip(held(*ids), answers, strict=True):
        committer.ask(each, answer.set_result)
    committer.give_back(held(*given_back))
    running = asyncio.create_task(committer.run())
    try:
        return list(await asyncio.gather(*answers))
    finally:
        await committer.flush(within_s=60)
        running.cancel()


def test_no_commit_carries_more_permits_than_it_may_and_none_is_forgotten() -> None:
    line = Line()

    answers = asyncio.run(committed(line, range(1, 8)))

    assert answers == [True] * 7
    assert line.asked == [held(1, 2, 3), held(4, 5, 6), held(7)]


def test_what_is_given_back_is_not_permitted_by_a_later_commit() -> None:
    line = Line()

    answers = asyncio.run(committed(line, range(1, 8), given_back=[6]))

    assert answers == [True, True, True, True, True, False, True]
    assert line.given_back == held(6)
    assert all(held(6)[0] not in permits for permits in line.asked)


def test_a_commit_with_little_in_it_waits_for_more() -> None:
    line = Line()

    async def story() -> None:
        committer = Committer(line, sender=SENDER, now=lambda: NOW, most_permits=4, gather_s=60)
        first, second = (asyncio.get_running_loop().create_future() for _ in range(2))
        running = asyncio.create_task(committer.run())
        committer.ask(Holding(1, claim=7), first.set_result)
        for _ in range(10):
            await asyncio.sleep(0)
        assert line.asked == []
        committer.ask(Holding(2, claim=7), second.set_result)
        await asyncio.gather(first, second)
        running.cancel()

    asyncio.run(story())
    assert line.asked == [held(1, 2)]


def test_a_commit_does_not_wait_for_what_never_comes() -> None:
    line = Line()

    async def story() -> None:
        committer = Committer(line, sender=SENDER, now=lambda: NOW, most_permits=4, gather_s=0.001)
        answer = asyncio.get_running_loop().create_future()
        running = asyncio.create_task(committer.run())
        committer.ask(Holding(1, claim=7), answer.set_result)
        assert await answer
        running.cancel()

    asyncio.run(story())
    assert line.asked == [held(1)]


def test_two_holdings_of_one_mail_are_asked_and_answered_apart() -> None:
    line = Line()

    async def story() -> list[bool]:
        committer = Committer(line, sender=SENDER, now=lambda: NOW)
        older, newer = (asyncio.get_running_loop().create_future() for _ in range(2))
        committer.ask(Holding(1, claim=7), older.set_result)
        committer.ask(Holding(1, claim=8), newer.set_result)
        committer.give_back([Holding(1, claim=7)])
        running = asyncio.create_task(committer.run())
        answers = list(await asyncio.gather(older, newer))
        running.cancel()
        return answers

    assert asyncio.run(story()) == [False, True]
    assert line.asked == [[Holding(1, claim=8)]]


def accepted(notice_id: int) -> Reply:
    return Reply(Holding(notice_id, claim=7), ReplyKind.ACCEPTED, True, "250", "q")


def test_what_a_failed_commit_carried_is_told_again_before_anything_newer_and_permits_are_a_no(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(committers, "_RETRY_S", 0.0)
    line = Line(away=2)

    async def story() -> list[bool]:
        committer = Committer(line, sender=SENDER, now=lambda: NOW, gather_s=0)
        lost, given = (asyncio.get_running_loop().create_future() for _ in range(2))
        running = asyncio.create_task(committer.run())
        committer.tell(accepted(1))
        committer.give_back(held(2))
        committer.ask(Holding(3, claim=7), lost.set_result)
        answers = [await lost]
        assert committer.is_in_trouble
        committer.tell(accepted(4))
        committer.give_back(held(3))
        committer.ask(Holding(5, claim=7), given.set_result)
        await committer.flush(within_s=60)
        answers.append(await given)
        assert not committer.is_in_trouble
        running.cancel()
        return answers

    answers = asyncio.run(story())

    assert answers[0] is False
    assert line.replies == [accepted(1), accepted(4)]
    assert line.given_back == held(2, 3)
    assert held(3)[0] not in [each for permits in line.asked for each in permits]


def test_whoever_ends_a_sender_hears_whether_all_was_written_down() -> None:
    line = Line()

    async def story() -> list[bool]:
        committer = Committer(line, sender=SENDER, now=lambda: NOW, gather_s=0)
        nothing_waits = await committer.flush(within_s=60)
        committer.tell(accepted(1))
        nobody_commits = await committer.flush(within_s=0)
        running = asyncio.create_task(committer.run())
        written_down = await committer.flush(within_s=60)
        running.cancel()
        return [nothing_waits, nobody_commits, written_down]

    assert asyncio.run(story()) == [True, False, True]
    assert line.replies == [accepted(1)]


def test_a_database_that_is_away_is_asked_five_times_a_second_and_its_absence_noted_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = Line(away=10)

    async def story() -> float:
        committer = Committer(line, sender=SENDER, now=lambda: NOW, gather_s=0)
        running = asyncio.create_task(committer.run())
        committer.tell(accepted(1))
        await committer.flush(within_s=60)
        running.cancel()
        return asyncio.get_running_loop().time()

    with a_leaping_loop() as loop:
        took_s = loop.run_until_complete(story())

    assert took_s == pytest.approx(2)
    [noted] = map(json.loads, capsys.readouterr().err.splitlines())
    assert noted["event"] == "ledger.unavailable"


def test_permits_that_are_refused_are_noted_by_reason_and_not_one_by_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = Line(refusal=PermitRefusal.STOPPED)

    answers = asyncio.run(committed(line, range(1, 4)))

    assert answers == [False] * 3
    [noted] = map(json.loads, capsys.readouterr().err.splitlines())
    assert (noted["event"], noted["reason"], noted["count"]) == ("permit.refused", "stopped", 3)
