"""One sender in this process, the mail server double beside it, the ledger in memory."""

import asyncio
import contextlib
import dataclasses
import json
import random
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from countermand.domain.delivery import (
    ClaimedNotice,
    Holding,
    LedgerUnavailable,
    NoticeKind,
    NoticeState,
    PermitAnswer,
    Reply,
    StopKind,
    Template,
)
from countermand.domain.exposure import Exposure
from countermand.ports import StopRow
from countermand.sender.committer import Committer
from countermand.sender.compose import Writer
from countermand.sender.courier import Courier
from countermand.sender.ledger_line import ThreadLine
from countermand.sender.pace import Pace
from countermand.sender.relay import Relay
from countermand.sender.session import PERMIT_HOLDS_S
from countermand.sender.supply import Ready, Supply
from countermand.stop import fence as fences
from countermand.stop.fence import Fence, FenceUnreadable, FenceView
from countermand.testing.ledger_house import NOW, ORDER, SENDER
from countermand.testing.mail_server import MailServer
from countermand.testing.mail_session import EXTENSIONS, Record
from countermand.testing.memory_ledger import MemoryLedger
from tests.framed_relay import FramedRelay
from tests.ledger_houses import MemoryHouse

LATER = NOW + timedelta(hours=12)
WRITER = Writer("orders@example.org", "Example", "help@example.org")


@dataclass
class Post:
    """A relay, a ledger and one connection's work."""

    house: MemoryHouse
    double: MailServer
    record_file: Path
    fences: Path
    port: int
    window: int = 1
    ahead: int = 4
    connections: int = 1
    permit_holds_s: float = PERMIT_HOLDS_S
    supply: type[Supply] = Supply

    @property
    def record(self) -> list[dict[str, Any]]:
        lines = self.record_file.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def states(self) -> list[NoticeState]:
        return [each.row.state for each in self.house.ledger.notices.values()]

    async def work_until(
        self, done: Callable[[], bool], *, now: Any = NOW, pace: Pace | None = None
    ) -> None:
        """Let a sender work until `done`, then end it in order."""
        ledger = self.house.ledger
        committer = Committer(ThreadLine(ledger), sender=SENDER, now=lambda: now)
        supply = self.supply(
            ThreadLine(ledger),
            committer,
            sender=SENDER,
            writer=WRITER,
            ahead=self.ahead,
            now=lambda: now,
            pace=pace,
        )
        couriers = [
            Courier(
                name=SENDER,
                relay=Relay("127.0.0.1", self.port),
                supply=supply,
                committer=committer,
                fence=FenceView(self.fences),
                window=self.window,
                permit_holds_s=self.permit_holds_s,
            )
            for _ in range(self.connections)
        ]
        helpers = [asyncio.create_task(committer.run()), asyncio.create_task(supply.run())]
        working = [asyncio.create_task(courier.run()) for courier in couriers]
        try:
            async with asyncio.timeout(60):
                while not done():
                    for task in working:
                        if task.done():
                            task.result()
                    await asyncio.sleep(0.002)
                await supply.close()
                await asyncio.gather(*working)
        finally:
            for task in (*working, *helpers):
                if task in helpers:
                    await committer.flush(within_s=2)
                task.cancel()
            await asyncio.gather(*working, *helpers, return_exceptions=True)


class Spoils(Supply):
    """Hands out one mail that no connection can do anything with."""

    spoiled = 2

    def take_now(self) -> Ready | None:
        ready = super().take_now()
        if ready is None or ready.holding.notice_id != self.spoiled:
            return ready
        return ready._replace(mail=ready.mail._replace(content=None))  # type: ignore[arg-type]


class StopsAtPermit(MemoryLedger):
    """Does something at the very commit of a permit: the last moment for a stop."""

    at_commit: Callable[[], object]

    def _permit(self, notice_ids: list[int], sender: str, now: datetime) -> None:
        MemoryLedger._permit(self, notice_ids, sender, now)
        if notice_ids:
            self.at_commit()


class StopsAtClaim(MemoryLedger):
    """Is stopped right after it handed mails out, and no fence says so."""

    def claim(
        self, *, sender: str, claim: int, heard: int, limit: int, now: datetime
    ) -> Sequence[ClaimedNotice]:
        claimed = MemoryLedger.claim(
            self, sender=sender, claim=claim, heard=heard, limit=limit, now=now
        )
        self.stop(StopRow(ORDER, StopKind.PAUSE, 1, NOW))
        return claimed


class LosesAnswers(MemoryLedger):
    """Fails at some commits, now before they took place and now after."""

    failures = random.Random(7)

    def exchange(
        self,
        *,
        sender: str,
        permits: Sequence[Holding],
        replies: Sequence[Reply],
        aborted: Sequence[Holding],
        now: datetime,
    ) -> Sequence[PermitAnswer]:
        failure = self.failures.choice([None, None, "before", "after"])
        if failure == "before":
            raise LedgerUnavailable(why="a test")
        answers = MemoryLedger.exchange(
            self, sender=sender, permits=permits, replies=replies, aborted=aborted, now=now
        )
        if failure == "after":
            raise LedgerUnavailable(why="a test")
        return answers


class LosesClaims(MemoryLedger):
    """Hands mails out, and the answer never comes: the first claim, and some later ones."""

    failures = random.Random(7)
    lost = 0

    def claim(
        self, *, sender: str, claim: int, heard: int, limit: int, now: datetime
    ) -> Sequence[ClaimedNotice]:
        claimed = MemoryLedger.claim(
            self, sender=sender, claim=claim, heard=heard, limit=limit, now=now
        )
        if claimed and (not self.lost or self.failures.random() < 0.5):
            self.lost += 1
            raise LedgerUnavailable(why="a test")
        return claimed


class TakesBackWhileAsleep(MemoryLedger):
    """Takes from its sender, once, what it has just handed out, as if that had slept."""

    has_slept = False

    def claim(
        self, *, sender: str, claim: int, heard: int, limit: int, now: datetime
    ) -> Sequence[ClaimedNotice]:
        claimed = MemoryLedger.claim(
            self, sender=sender, claim=claim, heard=heard, limit=limit, now=now
        )
        if claimed and not self.has_slept:
            self.has_slept = True
            self.recover(sender=sender, own=True, now=now)
        return claimed


class CountsDoubt(MemoryLedger):
    """Knows how many mails were in doubt at the worst: permitted, and no answer recorded."""

    most_in_doubt = 0

    def exchange(
        self,
        *,
        sender: str,
        permits: Sequence[Holding],
        replies: Sequence[Reply],
        aborted: Sequence[Holding],
        now: datetime,
    ) -> Sequence[PermitAnswer]:
        answers = MemoryLedger.exchange(
            self, sender=sender, permits=permits, replies=replies, aborted=aborted, now=now
        )
        states = [each.row.state for each in self.notices.values()]
        self.most_in_doubt = max(self.most_in_doubt, states.count(NoticeState.PERMITTED))
        return answers


def a_house(people: int, ledger: MemoryLedger | None = None) -> MemoryHouse:
    house = MemoryHouse(ledger)
    house.ledger.templates[1] = Template(1, "Notice", "Hello", "<p>Hello</p>")
    house.mailing()
    house.lease()
    for person in range(1, people + 1):
        house.notice(person)
    return house


@contextlib.asynccontextmanager
async def a_post(
    folder: Path, *, people: int = 3, without: frozenset[str] = frozenset()
) -> AsyncIterator[Post]:
    record = folder / "record.jsonl"
    offered = [name for name in EXTENSIONS if name.split()[0] not in without]
    double = MailServer(Record(record, tell=lambda: None), offered)
    server = await asyncio.get_running_loop().create_server(double.session, "127.0.0.1", 0)
    (folder / "fences").mkdir()
    try:
        port = server.sockets[0].getsockname()[1]
        yield Post(a_house(people), double, record, folder / "fences", port)
    finally:
        server.close()


def all_are(post: Post, *wanted: NoticeState) -> Callable[[], bool]:
    return lambda: set(post.states()) <= set(wanted)


@pytest.mark.parametrize("window", [1, 2, 8])
@pytest.mark.parametrize(
    "without", [frozenset(), frozenset({"PIPELINING"}), frozenset({"PIPELINING", "DSN"})]
)
def test_everybody_gets_exactly_one_mail(
    tmp_path: Path, window: int, without: frozenset[str]
) -> None:
    async def story() -> None:
        async with a_post(tmp_path, people=20, without=without) as post:
            post.window = window
            await post.work_until(all_are(post, NoticeState.SENT))

            recipients = [line["to"] for line in post.record]
            assert sorted(recipients) == sorted(f"p{n}@example.org" for n in range(1, 21))

    asyncio.run(story())


@pytest.mark.parametrize("window", [1, 2, 8])
@pytest.mark.parametrize("without", [frozenset(), frozenset({"PIPELINING"})])
def test_no_commit_leaves_more_in_doubt_than_the_window_and_one(
    tmp_path: Path, window: int, without: frozenset[str]
) -> None:
    async def story() -> None:
        async with a_post(tmp_path, without=without) as post:
            ledger = CountsDoubt(tick=time.monotonic)
            post.house = a_house(30, ledger)
            post.window = window
            post.double.obey({"do": "defer", "to": "p7@example.org", "at": "dot", "times": 1})
            post.double.obey({"do": "refuse", "to": "p9@example.org"})

            await post.work_until(lambda: post.states().count(NoticeState.SENT) == 28)

            assert 1 < ledger.most_in_doubt <= window + 1

    asyncio.run(story())


def test_an_orderly_end_gives_back_all_that_was_not_sent(tmp_path: Path) -> None:
    async def story() -> None:
        async with a_post(tmp_path) as post:
            post.house = a_house(60)
            post.ahead = 40  # more than are written out at once, and fewer than there are
            await post.work_until(lambda: NoticeState.SENT in post.states())

            assert set(post.states()) == {NoticeState.SENT, NoticeState.PENDING}

    asyncio.run(story())


def test_a_refused_recipient_does_not_keep_the_others_waiting(tmp_path: Path) -> None:
    async def story() -> None:
        async with a_post(tmp_path) as post:
            post.double.obey({"do": "refuse", "to": "p2@example.org"})

            await post.work_until(all_are(post, NoticeState.SENT, NoticeState.REFUSED))

            assert post.states() == [NoticeState.SENT, NoticeState.REFUSED, NoticeState.SENT]
            assert post.house.row(2).exposure is Exposure.NONE

    asyncio.run(story())


@pytest.mark.parametrize("at", ["rcpt", "dot"])
def test_a_mail_that_the_relay_puts_off_is_tried_again_later(tmp_path: Path, at: str) -> None:
    async def story() -> None:
        async with a_post(tmp_path, people=1) as post:
            post.double.obey({"do": "defer", "to": "*", "at": at, "times": 1})
            ledger = post.house.ledger
            await post.work_until(lambda: ledger.notices[1].due_at > NOW)
            assert post.house.row(1).exposure is Exposure.NONE

            await post.work_until(all_are(post, NoticeState.SENT), now=LATER)

            assert len(post.record) == 1

    asyncio.run(story())


def test_a_mail_refused_at_its_dot_told_nobody(tmp_path: Path) -> None:
    async def story() -> None:
        async with a_post(tmp_path, people=1) as post:
            post.double.obey({"do": "refuse", "to": "*", "at": "dot", "code": 552})

            await post.work_until(all_are(post, NoticeState.REFUSED))

            assert post.house.row(1).exposure is Exposure.NONE
            assert post.record == []

    asyncio.run(story())


@pytest.mark.parametrize("window", [1, 2])
@pytest.mark.parametrize("without", [frozenset(), frozenset({"PIPELINING"})])
def test_a_mail_at_which_a_connection_fails_unexpectedly_is_put_off_and_the_others_leave(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    window: int,
    without: frozenset[str],
) -> None:
    async def story() -> None:
        async with a_post(tmp_path, people=12, without=without) as post:
            post.supply, post.window, post.connections = Spoils, window, 2
            others = [mail for mail in post.house.ledger.notices if mail != Spoils.spoiled]

            def all_others_are_sent() -> bool:
                rows = [post.house.row(mail) for mail in others]
                return all(row.state is NoticeState.SENT for row in rows)

            await post.work_until(all_others_are_sent)

            spoiled = post.house.ledger.notices[Spoils.spoiled]
            assert (spoiled.row.state, spoiled.row.exposure) == (
                NoticeState.PENDING,
                Exposure.NONE,
            )
            assert spoiled.due_at > NOW
            assert len(post.record) == len(others)

    asyncio.run(story())

    assert '"event": "sender.fault"' in capsys.readouterr().err


def test_a_lost_reply_is_doubt_and_the_next_try_is_the_same_mail(tmp_path: Path) -> None:
    async def story() -> None:
        async with a_post(tmp_path, people=1) as post:
            post.double.obey({"do": "drop_after_dot", "to": "*", "times": 1})
            await post.work_until(all_are(post, NoticeState.MAYBE))
            assert post.house.row(1).exposure is Exposure.POSSIBLE

            await post.work_until(all_are(post, NoticeState.SENT), now=LATER)

            first, second = post.record
            assert first["bytes_sha256"] == second["bytes_sha256"]

    asyncio.run(story())


def test_a_connection_lost_before_the_dot_told_nobody(tmp_path: Path) -> None:
    async def story() -> None:
        async with a_post(tmp_path, people=1) as post:
            post.double.obey({"do": "hang_up_before_dot", "to": "*", "times": 1})
            ledger = post.house.ledger

            await post.work_until(lambda: ledger.notices[1].due_at > NOW)

            assert post.states() == [NoticeState.PENDING]
            assert post.house.row(1).exposure is Exposure.NONE

    asyncio.run(story())


def test_an_address_in_other_letters_is_refused_where_the_relay_takes_none(tmp_path: Path) -> None:
    async def story() -> None:
        async with a_post(tmp_path, people=1, without=frozenset({"SMTPUTF8"})) as post:
            give_address(post, 1, "आशा@example.org")

            await post.work_until(all_are(post, NoticeState.REFUSED))

            assert post.record == []

    asyncio.run(story())


def test_a_domain_in_other_letters_is_reached_even_where_the_relay_takes_none(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with a_post(tmp_path, people=1, without=frozenset({"SMTPUTF8"})) as post:
            give_address(post, 1, "asha@कंपनी.भारत")

            await post.work_until(all_are(post, NoticeState.SENT))

            assert [line["to"] for line in post.record] == ["asha@xn--i1b1b4ch5i.xn--h2brj9c"]

    asyncio.run(story())


def test_an_address_in_other_letters_is_reached_where_the_relay_takes_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with a_post(tmp_path, people=1) as post:
            give_address(post, 1, "आशा@example.org")

            await post.work_until(all_are(post, NoticeState.SENT))

            assert [line["to"] for line in post.record] == ["आशा@example.org"]

    asyncio.run(story())


def test_a_stopped_order_sends_nothing_though_the_ledger_would_let_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with a_post(tmp_path) as post:
            other = post.house.notice
            post.house.mailing("CM-AAAA")
            other(9, order_number="CM-AAAA")
            raise_fence(post)

            await post.work_until(lambda: NoticeState.SENT in post.states())

            assert [line["to"] for line in post.record] == ["p9@example.org"]
            assert [post.house.row(n).exposure for n in (1, 2, 3)] == [Exposure.NONE] * 3

    asyncio.run(story())


async def told_and_taken_back(post: Post) -> None:
    """Tell everybody, take the order back, and write the correction of the first one down."""
    await post.work_until(all_are(post, NoticeState.SENT))
    raise_fence(post)
    post.house.stop(StopKind.TAKE_BACK)
    post.house.ledger.settle(order_number=ORDER, now=NOW)
    post.house.set_phase(ORDER, "correcting")
    post.house.notice(1, kind=NoticeKind.CORRECTION)


def test_corrections_leave_though_the_fence_stands(tmp_path: Path) -> None:
    async def story() -> None:
        async with a_post(tmp_path, people=1) as post:
            await told_and_taken_back(post)

            await post.work_until(all_are(post, NoticeState.SENT))

            assert len(post.record) == 2

    asyncio.run(story())


def test_a_stop_between_permit_and_dot_is_seen(tmp_path: Path) -> None:
    async def story() -> None:
        async with a_post(tmp_path, people=1) as post:
            ledger = StopsAtPermit(tick=time.monotonic)
            post.house = a_house(1, ledger)
            ledger.at_commit = lambda: raise_fence(post)

            await post.work_until(lambda: bool(ledger.batches))

            assert not post.record_file.exists() or post.record == []
            assert post.states() == [NoticeState.PENDING]
            assert post.house.row(1).exposure is Exposure.NONE

    asyncio.run(story())


def test_a_permit_that_outlived_its_lease_ends_no_mail(tmp_path: Path) -> None:
    async def story() -> None:
        async with a_post(tmp_path, people=1) as post:
            ledger = StopsAtPermit(tick=time.monotonic)
            post.house = a_house(1, ledger)
            # As long frozen between permit and dot as others wait before they call it dead.
            ledger.at_commit = lambda: time.sleep(0.05)
            post.permit_holds_s = 0.04

            await post.work_until(lambda: len(ledger.batches) > 1)

            assert not post.record_file.exists() or post.record == []
            assert post.states() == [NoticeState.PENDING]
            assert post.house.row(1).exposure is Exposure.NONE

    asyncio.run(story())


def test_no_mail_is_ended_without_a_permit(tmp_path: Path) -> None:
    async def story() -> None:
        async with a_post(tmp_path) as post:
            post.house = a_house(3, StopsAtClaim(tick=time.monotonic))
            given_back = all_are(post, NoticeState.PENDING)
            claimed = [False]

            def was_claimed_and_given_back() -> bool:
                claimed[0] = claimed[0] or not given_back()
                return claimed[0] and given_back()

            await post.work_until(was_claimed_and_given_back)

            assert post.record == []
            assert [post.house.row(n).exposure for n in (1, 2, 3)] == [Exposure.NONE] * 3

    asyncio.run(story())


@pytest.mark.parametrize("ledger", [LosesAnswers, LosesClaims, TakesBackWhileAsleep])
def test_whatever_answer_is_lost_and_whatever_is_taken_back_everybody_gets_one_mail(
    tmp_path: Path, ledger: type[MemoryLedger]
) -> None:
    async def story() -> None:
        async with a_post(tmp_path) as post:
            post.connections = 2
            post.house = a_house(12, ledger(tick=time.monotonic))

            await post.work_until(all_are(post, NoticeState.SENT))

            assert sorted(line["to"] for line in post.record) == sorted(
                f"p{person}@example.org" for person in range(1, 13)
            )

    asyncio.run(story())


def test_a_fence_that_cannot_be_read_ends_the_sender_with_nothing_sent(tmp_path: Path) -> None:
    async def story() -> None:
        async with a_post(tmp_path) as post:
            (post.fences / f"{ORDER}.pause.json").write_text("{", encoding="utf-8")

            with pytest.raises(FenceUnreadable):
                await post.work_until(all_are(post, NoticeState.SENT))

            assert post.record == []

    asyncio.run(story())


def test_a_relay_that_goes_down_between_mails_costs_nobody_a_mail(tmp_path: Path) -> None:
    async def story() -> None:
        async with a_post(tmp_path, people=2) as post:
            ledger = post.house.ledger
            ledger.notices[2] = later_due(post, 2)
            await post.work_until(lambda: post.states()[0] is NoticeState.SENT)
            post.double.obey({"do": "announce_421"})

            await post.work_until(all_are(post, NoticeState.SENT), now=LATER)

            assert len(post.record) == 2

    asyncio.run(story())


class SaysGoodbyeBeforeThePermit(FramedRelay):
    """Takes an envelope, says 421 when it is told to, and stays to hear what comes then."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = threading.Event()
        self.said = threading.Event()

    def took_envelope(self) -> None:
        self.asked.set()

    def say_goodbye(self) -> None:
        self.out.write(b"421 going down\r\n")
        self.said.set()


def test_no_dot_follows_a_goodbye_though_the_connection_stays(tmp_path: Path) -> None:
    async def story() -> None:
        relay = SaysGoodbyeBeforeThePermit()
        loop = asyncio.get_running_loop()

        def goodbye() -> None:
            relay.asked.wait(60)
            loop.call_soon_threadsafe(relay.say_goodbye)
            relay.said.wait(60)

        async with a_post(tmp_path, people=1) as post:
            ledger = StopsAtPermit(tick=time.monotonic)
            ledger.at_commit = goodbye
            post.house = a_house(1, ledger)
            server = await loop.create_server(lambda: relay, "127.0.0.1", 0)
            post.port = server.sockets[0].getsockname()[1]

            await post.work_until(lambda: ledger.notices[1].due_at > NOW)

            server.close()
            assert relay.heard.endswith(b"DATA\r\n")
            assert post.house.row(1).exposure is Exposure.NONE

    asyncio.run(story())


class AllowsOnly(Pace):
    """Lets some mails begin, and then none."""

    def __init__(self, mails: int) -> None:
        super().__init__()
        self.left = mails

    def allows(self) -> bool:
        return self.left > 0

    def hand_over(self, queue_id: str | None) -> None:
        self.left -= 1


def test_a_pace_leaves_no_mail_open(tmp_path: Path) -> None:
    async def story() -> None:
        async with a_post(tmp_path, people=9) as post:
            pace = AllowsOnly(3)
            await post.work_until(lambda: not pace.allows(), pace=pace)
            await post.work_until(lambda: bool(post.record), pace=pace)

            # Whatever was begun was ended, and what was not begun is free for others.
            assert set(post.states()) == {NoticeState.SENT, NoticeState.PENDING}
            assert len(post.record) == post.states().count(NoticeState.SENT)
            assert len(post.record) <= 3 + post.window

    asyncio.run(story())


def test_no_pace_holds_a_correction_up(tmp_path: Path) -> None:
    async def story() -> None:
        async with a_post(tmp_path, people=1) as post:
            await told_and_taken_back(post)

            await post.work_until(all_are(post, NoticeState.SENT), pace=AllowsOnly(0))

            assert len(post.record) == 2

    asyncio.run(story())


def raise_fence(post: Post) -> None:
    fences.write(post.fences, Fence(ORDER, 1, withdrawn=False, at=NOW, by=1, because=""))


def give_address(post: Post, notice_id: int, address: str) -> None:
    stored = post.house.ledger.notices[notice_id]
    claimed = stored.claimed._replace(address=address)
    post.house.ledger.notices[notice_id] = dataclasses.replace(stored, claimed=claimed)


def later_due(post: Post, notice_id: int) -> Any:
    return dataclasses.replace(post.house.ledger.notices[notice_id], due_at=LATER)
