"""The SQL functions and the twin in memory do the same, whatever is asked of them in what order."""

from datetime import datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from countermand.domain.delivery import (
    Evidence,
    EvidenceKind,
    Holding,
    NoticeKind,
    OrderNotStopped,
    Reply,
    ReplyKind,
    Settled,
    StopKind,
)
from countermand.ports import NoticeLedger, StopRow
from countermand.testing.ledger_house import NOW
from tests.ledger_houses import MemoryHouse, PostgresHouse

ORDERS = ("CM-7Q4K", "CM-AAAA")
SENDERS = ("sender-1", "sender-2")
PHASES = (
    "canary",
    *["sending"] * 4,
    "notified",
    "enforcing",
    "paused",
    "closed",
    "stopping",
    "correcting",
    "corrected",
)
# What ends a history comes seldom: an order taken back, a date passed, a lease lost.
MINUTES = (*[1] * 8, *[60] * 8, 60 * 24, 60 * 24 * 31)
STOPS = (*[StopKind.PAUSE] * 5, StopKind.TAKE_BACK)
LEASES = (*[("live", 600.0)] * 8, ("exercise", 600.0), ("live", -1.0))
orders, senders = st.sampled_from(ORDERS), st.sampled_from(SENDERS)
# Mostly ids that exist, mostly under the newest claim.
ids = st.lists(st.integers(1, 8), min_size=1, max_size=4)
claims_ago = st.sampled_from([*[0] * 6, 1, 2])


class Twins(RuleBasedStateMachine):
    postgres: PostgresHouse

    def __init__(self) -> None:
        super().__init__()
        self.memory = MemoryHouse()
        self.postgres.empty()
        self.now = NOW
        self.claims = 0
        self.heard = dict.fromkeys(SENDERS, 0)
        self.given: dict[int, list[int]] = {}
        for house in (self.memory, self.postgres):
            for order in ORDERS:
                house.mailing(order)
            for sender in SENDERS:
                house.lease(sender)
            for person in (1, 2, 3):
                house.notice(person)

    @property
    def ledgers(self) -> tuple[NoticeLedger, NoticeLedger]:
        return self.memory.ledger, self.postgres.ledger

    @rule(
        person=st.integers(1, 4),
        order=orders,
        kind=st.sampled_from([k for k in NoticeKind if k is not NoticeKind.CORRECTION]),
        wave=st.integers(0, 1),
    )
    def write_down(self, person: int, order: str, kind: NoticeKind, wave: int) -> None:
        for house in (self.memory, self.postgres):
            house.notice(person, order_number=order, kind=kind, wave=wave)

    @rule(order=orders)
    def write_corrections_down(self, order: str) -> None:
        for owed in list(self.memory.ledger.corrections(order_number=order)):
            for house in (self.memory, self.postgres):
                house.notice(owed.person_id, order_number=order, kind=NoticeKind.CORRECTION)

    @rule(minutes=st.sampled_from(MINUTES))
    def let_time_pass(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    @rule(sender=senders, limit=st.integers(0, 5), is_lost=st.sampled_from([False] * 3 + [True]))
    def claim(self, sender: str, limit: int, *, is_lost: bool) -> None:
        self.claims += 1
        memory, postgres = (
            list(
                ledger.claim(
                    sender=sender,
                    claim=self.claims,
                    heard=self.heard[sender],
                    limit=limit,
                    now=self.now,
                )
            )
            for ledger in self.ledgers
        )
        assert memory == postgres
        for each in memory:
            self.given.setdefault(each.notice_id, []).append(each.claim)
        if not is_lost:
            self.heard[sender] = self.claims

    @rule(sender=senders, wanted=ids, ago=claims_ago)
    def permit(self, sender: str, wanted: list[int], ago: int) -> None:
        self.exchange(sender, wanted, [], [], ago)

    @rule(
        sender=senders,
        wanted=ids,
        given_back=ids,
        kinds=st.lists(st.sampled_from(ReplyKind)),
        ago=claims_ago,
    )
    def exchange(
        self,
        sender: str,
        wanted: list[int],
        given_back: list[int],
        kinds: list[ReplyKind],
        ago: int,
    ) -> None:
        known = [i for i in dict.fromkeys(given_back) if i in self.memory.ledger.notices]
        replies = [
            Reply(self.held(i, ago), kind, after_dot=True, text="", queue_id=None)
            for i, kind in zip(known, kinds, strict=False)
        ]
        # Whoever holds a mail twice may ask for both in one commit.
        both = {0, ago} if given_back else {ago}
        permits = [self.held(i, each) for i in wanted for each in both]
        aborted = [self.held(i, ago) for i in known[len(replies) :]]
        memory, postgres = (
            sorted(
                (*answer.holding, str(answer.refusal))
                for answer in ledger.exchange(
                    sender=sender, permits=permits, replies=replies, aborted=aborted, now=self.now
                )
            )
            for ledger in self.ledgers
        )
        assert memory == postgres

    def held(self, notice_id: int, ago: int) -> Holding:
        """Return a mail under its newest claim, or under a number so many before."""
        given = [0, 0, 0, *self.given.get(notice_id, [])]
        return Holding(notice_id, given[-1 - ago])

    @rule(sender=senders)
    def permit_all_in_hand(self, sender: str) -> None:
        held = self.in_hand(sender)
        if held:
            self.permit(sender, held, 0)

    @rule(sender=senders, kinds=st.lists(st.sampled_from(ReplyKind)), ago=claims_ago)
    def answer_all_in_hand(self, sender: str, kinds: list[ReplyKind], ago: int) -> None:
        self.exchange(sender, [], self.in_hand(sender), kinds, ago)

    @rule(sender=senders, kinds=st.lists(st.sampled_from(ReplyKind), max_size=2))
    def sleep_and_speak_of_what_was_held(self, sender: str, kinds: list[ReplyKind]) -> None:
        self.lease(sender, ("live", 600.0))
        self.claim(sender, 5, is_lost=False)
        self.recover(sender, own=True)
        self.claim(sender, 5, is_lost=False)
        held = self.in_hand(sender)
        self.exchange(sender, held[:1], [], [], 1)
        self.permit_all_in_hand(sender)
        self.exchange(sender, [], held, kinds, 1)

    def in_hand(self, sender: str) -> list[int]:
        notices = self.memory.ledger.notices
        return [i for i, stored in notices.items() if stored.claimed_by == sender]

    @rule(sender=senders, lease=st.sampled_from(LEASES))
    def lease(self, sender: str, lease: tuple[str, float]) -> None:
        mode, seconds = lease
        for house in (self.memory, self.postgres):
            house.lease(sender, mode=mode, seconds=seconds)

    @rule(sender=senders, own=st.booleans())
    def recover(self, sender: str, *, own: bool) -> None:
        memory, postgres = (
            ledger.recover(sender=sender, own=own, now=self.now) for ledger in self.ledgers
        )
        assert memory == postgres

    @rule(order=orders, kind=st.sampled_from(STOPS), epoch=st.integers(0, 4))
    def stop(self, order: str, kind: StopKind, epoch: int) -> None:
        for ledger in self.ledgers:
            ledger.stop(StopRow(order, kind, epoch, self.now))

    @rule(order=orders)
    def settle(self, order: str) -> None:
        memory, postgres = (_settled(ledger, order, self.now) for ledger in self.ledgers)
        assert memory == postgres

    @rule(order=orders, phase=st.sampled_from(PHASES), higher=st.integers(0, 2))
    def move_on(self, order: str, phase: str, higher: int) -> None:
        epoch = self.memory.ledger.mailings[order].facts.epoch + higher
        for house in (self.memory, self.postgres):
            house.set_phase(order, phase, epoch=epoch)

    @rule(order=orders)
    def resume(self, order: str) -> None:
        facts = self.memory.ledger.mailings[order].facts
        epoch = max(facts.epoch, facts.stopped_epoch) + 1
        for house in (self.memory, self.postgres):
            house.set_phase(order, "sending", epoch=epoch)

    @rule(which=st.integers(1, 8), kind=st.sampled_from(EvidenceKind))
    def learn(self, which: int, kind: EvidenceKind) -> None:
        for ledger in self.ledgers:
            ledger.evidence(evidence=[Evidence(which, kind, self.now)])

    @invariant()
    def both_say_the_same(self) -> None:
        assert self.in_memory() == self.in_postgres()
        assert self.memory.batches() == self.postgres.batches()
        for order in ORDERS:
            memory, postgres = (
                list(ledger.corrections(order_number=order)) for ledger in self.ledgers
            )
            assert memory == postgres

    def in_memory(self) -> list[tuple[object, ...]]:
        return [
            (i, *_row(n.row.state, n.row.exposure, n.row.exposure_before), n.row.attempts, n.due_at)
            for i, n in sorted(self.memory.ledger.notices.items())
        ]

    def in_postgres(self) -> list[tuple[object, ...]]:
        # Every other step leaves what was noted where it is, so that all verbs meet it.
        if len(self.postgres.batches()) % 2:
            return self.in_memory()
        self.postgres.fold()
        rows = self.postgres.connection.execute(
            "SELECT id, state, exposure, exposure_before, attempts, due_at FROM notices_notice"
            " ORDER BY id"
        ).fetchall()
        return [(i, *_row(s, e, b), attempts, due_at) for i, s, e, b, attempts, due_at in rows]


def _row(state: str, exposure: int, before: int) -> tuple[str, int, int]:
    return str(state), int(exposure), int(before)


def _settled(ledger: NoticeLedger, order: str, now: datetime) -> Settled | None:
    try:
        return ledger.settle(order_number=order, now=now)
    except OrderNotStopped:
        return None


@pytest.mark.timeout(240)
def test_the_ledger_in_memory_and_the_one_on_postgresql_are_twins(
    postgres_house: PostgresHouse,
) -> None:
    class Machine(Twins):
        postgres = postgres_house

    examples = max(25, settings.default.max_examples // 20) if settings.default else 25
    run_state_machine_as_test(
        Machine, settings=settings(max_examples=examples, stateful_step_count=40, deadline=None)
    )
