"""What every `ports.NoticeLedger` promises; subclass it and give it a `house` fixture.

class TestMemoryLedger(NoticeLedgerContract):
    @pytest.fixture
    def house(self) -> LedgerHouse: ...
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta
from typing import Final

import pytest

from countermand.domain.delivery import (
    ClaimedNotice,
    Evidence,
    EvidenceKind,
    Holding,
    NoticeKind,
    NoticeState,
    OrderNotStopped,
    PermitRefusal,
    Reply,
    ReplyKind,
    StopKind,
)
from countermand.domain.exposure import Exposure
from countermand.domain.notice_life import NoticeRow
from countermand.ports import NoticeLedger, StopRow

NOW: Final = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
LATER: Final = NOW + timedelta(hours=12)
ORDER: Final = "CM-7Q4K"
SENDER: Final = "sender-1"
FOR_EVER: Final = 2**53 - 1


class LedgerHouse(ABC):
    """A ledger and what stands around it: the orders and rows that the program itself writes."""

    ledger: NoticeLedger

    def __init__(self, ledger: NoticeLedger) -> None:
        """Stand around `ledger`, and keep what its senders are told."""
        self.ledger = ledger
        self._claims = 0
        self._heard: dict[str, int] = {}
        self._holdings: dict[int, Holding] = {}

    @abstractmethod
    def mailing(
        self, order_number: str = ORDER, *, phase: str = "sending", mode: str = "live"
    ) -> None:
        """Begin an order in epoch 1, with a `not_after` 30 days after NOW."""

    @abstractmethod
    def set_phase(self, order_number: str, phase: str, *, epoch: int | None = None) -> None:
        """Move the ledger's copy of an order."""

    @abstractmethod
    def notice(
        self,
        person_id: int,
        *,
        order_number: str = ORDER,
        kind: NoticeKind = NoticeKind.NOTICE,
        wave: int = 0,
    ) -> int:
        """Add a row, due at NOW, and return its id."""

    @abstractmethod
    def row(self, notice_id: int) -> NoticeRow:
        """Return the moving part of a row."""

    @abstractmethod
    def batches(self) -> list[tuple[str, int, tuple[str, ...]]]:
        """Return order, epoch and sorted Message-IDs of every commit of permits."""

    def lease(self, sender: str = SENDER, *, mode: str = "live", seconds: float = 600) -> bool:
        """Give a sender its lease."""
        return self.ledger.lease(sender=sender, mode=mode, host="here", pid=1, seconds=seconds)

    def claim(
        self,
        limit: int = 100,
        *,
        sender: str = SENDER,
        now: datetime = NOW,
        is_answer_lost: bool = False,
    ) -> list[ClaimedNotice]:
        """Claim; of a claim whose answer is lost, the sender knows nothing afterwards."""
        self._claims += 1
        claimed = self.ledger.claim(
            sender=sender,
            claim=self._claims,
            heard=self._heard.get(sender, 0),
            limit=limit,
            now=now,
        )
        if not is_answer_lost:
            self._heard[sender] = self._claims
            self._holdings |= {each.notice_id: each.holding for each in claimed}
        return list(claimed)

    def holding(self, notice_id: int) -> Holding:
        """Return a mail as whoever claimed it last holds it."""
        return self._holdings.get(notice_id, Holding(notice_id, 0))

    def permit(self, *ids: int, sender: str = SENDER) -> dict[int, PermitRefusal | None]:
        """Ask for permits at NOW."""
        wanted = [self.holding(each) for each in ids]
        answers = self.ledger.permit(sender=sender, holdings=wanted, now=NOW)
        return {answer.holding.notice_id: answer.refusal for answer in answers}

    def reply(
        self,
        mail: int | Holding,
        kind: ReplyKind,
        *,
        sender: str = SENDER,
    ) -> None:
        """Record a reply at NOW, about the newest holding or the one that is named."""
        holding = mail if isinstance(mail, Holding) else self.holding(mail)
        reply = Reply(holding, kind, kind is not ReplyKind.DEFERRED, "as told", None)
        self.ledger.acknowledge(sender=sender, replies=[reply], now=NOW)

    def stop(self, kind: StopKind, *, epoch: int = 1) -> None:
        """Stop the order."""
        stopped = FOR_EVER if kind is StopKind.TAKE_BACK else epoch
        self.ledger.stop(StopRow(ORDER, kind, stopped, NOW))

    def slept_and_claimed_anew(self) -> tuple[Holding, Holding]:
        """Let a sender sleep past its lease, and claim what it still holds; returns both."""
        self.notice(1)
        self.lease("sender-2")
        [older] = self.claim()
        self.lease(seconds=-1)
        self.ledger.recover(sender="sender-2", own=False, now=NOW)
        self.lease()
        [newer] = self.claim()
        return older.holding, newer.holding

    def permitted(self, person_id: int = 1) -> int:
        """Bring one notice to where its dot may be written."""
        notice_id = self.notice(person_id)
        self.claim()
        assert self.permit(notice_id) == {notice_id: None}
        return notice_id


class NoticeLedgerContract:
    """The promises."""

    @pytest.fixture(autouse=True)
    def _begin(self, house: LedgerHouse) -> None:
        house.mailing()
        house.lease()

    def test_a_claim_is_a_lease_and_says_nothing_about_who_was_told(
        self, house: LedgerHouse
    ) -> None:
        notice_id = house.notice(1)

        claimed = house.claim()

        assert [each.notice_id for each in claimed] == [notice_id]
        assert house.row(notice_id).state is NoticeState.CLAIMED
        assert house.row(notice_id).exposure is Exposure.NONE

    def test_what_one_sender_holds_no_other_gets(self, house: LedgerHouse) -> None:
        house.notice(1)
        house.lease("sender-2")

        first, second = house.claim(), house.claim(sender="sender-2")

        assert (len(first), len(second)) == (1, 0)

    def test_a_permit_makes_somebody_possibly_told_before_anything_is_sent(
        self, house: LedgerHouse
    ) -> None:
        notice_id = house.permitted()

        assert house.row(notice_id).state is NoticeState.PERMITTED
        assert house.row(notice_id).exposure is Exposure.POSSIBLE

    def test_every_permit_stands_in_a_batch_of_its_order_and_epoch(
        self, house: LedgerHouse
    ) -> None:
        first, second = house.notice(1), house.notice(2)
        ids = sorted(each.message_id for each in house.claim())

        house.permit(first, second)

        assert house.batches() == [(ORDER, 1, tuple(ids))]

    def test_accepted_means_certainly_told(self, house: LedgerHouse) -> None:
        notice_id = house.permitted()

        house.reply(notice_id, ReplyKind.ACCEPTED)

        assert house.row(notice_id).state is NoticeState.SENT
        assert house.row(notice_id).exposure is Exposure.CERTAIN

    @pytest.mark.parametrize(
        ("kind", "state"),
        [(ReplyKind.DEFERRED, NoticeState.PENDING), (ReplyKind.REFUSED, NoticeState.REFUSED)],
    )
    def test_a_server_that_says_no_to_the_dot_told_nobody(
        self, house: LedgerHouse, kind: ReplyKind, state: NoticeState
    ) -> None:
        notice_id = house.permitted()

        house.reply(notice_id, kind)

        assert house.row(notice_id).state is state
        assert house.row(notice_id).exposure is Exposure.NONE

    def test_a_lost_reply_leaves_doubt_and_a_later_no_never_takes_it_away(
        self, house: LedgerHouse
    ) -> None:
        notice_id = house.permitted()
        house.reply(notice_id, ReplyKind.LOST)
        again = house.claim(now=LATER)
        house.permit(notice_id)

        house.reply(notice_id, ReplyKind.REFUSED)

        assert [each.notice_id for each in again] == [notice_id]
        assert house.row(notice_id).state is NoticeState.MAYBE
        assert house.row(notice_id).exposure is Exposure.POSSIBLE

    def test_a_mail_in_doubt_is_tried_three_times_and_no_more(self, house: LedgerHouse) -> None:
        notice_id = house.notice(1)
        tries = 0
        while house.claim(now=LATER):
            house.permit(notice_id)
            house.reply(notice_id, ReplyKind.LOST)
            tries += 1

        assert tries == 3
        assert house.row(notice_id).state is NoticeState.MAYBE

    def test_three_tries_that_provably_reached_nobody_are_no_last_ones(
        self, house: LedgerHouse
    ) -> None:
        notice_id = house.notice(1)
        while house.claim(now=LATER):
            house.permit(notice_id)
            house.reply(notice_id, ReplyKind.LOST)

        seen = Evidence(notice_id, EvidenceKind.RELAY_LOG_NOT_ACCEPTED, LATER)
        house.ledger.evidence(evidence=[seen])
        again = house.claim(now=LATER)

        assert [each.notice_id for each in again] == [notice_id]

    def test_a_dot_that_was_provably_not_written_told_nobody(self, house: LedgerHouse) -> None:
        notice_id = house.permitted()

        house.ledger.abort(sender=SENDER, holdings=[house.holding(notice_id)], now=NOW)

        assert house.row(notice_id) == NoticeRow(NoticeKind.NOTICE)

    def test_nothing_is_permitted_that_was_not_claimed_by_this_sender(
        self, house: LedgerHouse
    ) -> None:
        notice_id = house.notice(1)
        house.lease("sender-2")
        house.claim(sender="sender-2")

        assert house.permit(notice_id) == {notice_id: PermitRefusal.NOT_CLAIMED}

    def test_nothing_is_permitted_without_a_lease(self, house: LedgerHouse) -> None:
        notice_id = house.notice(1)
        house.claim()
        house.lease(seconds=-1)

        assert house.permit(notice_id) == {notice_id: PermitRefusal.LEASE}

    def test_a_name_that_lives_on_another_host_is_not_given_twice(self, house: LedgerHouse) -> None:
        taken = house.ledger.lease(sender=SENDER, mode="live", host="there", pid=2, seconds=9)

        assert not taken

    def test_a_sender_of_exercises_sends_nothing_live(self, house: LedgerHouse) -> None:
        house.notice(1)
        house.lease("practice", mode="exercise")

        assert house.claim(sender="practice") == []

    def test_a_sender_that_turned_to_exercises_gets_no_permit_for_what_it_holds(
        self, house: LedgerHouse
    ) -> None:
        notice_id = house.notice(1)
        house.claim()
        house.lease(mode="exercise")

        assert house.permit(notice_id) == {notice_id: PermitRefusal.MODE}

    @pytest.mark.parametrize("kind", list(StopKind))
    def test_nothing_is_permitted_once_the_order_is_stopped(
        self, house: LedgerHouse, kind: StopKind
    ) -> None:
        notice_id = house.notice(1)
        house.claim()
        house.stop(kind)

        assert house.permit(notice_id) == {notice_id: PermitRefusal.STOPPED}

    def test_what_was_claimed_before_a_pause_never_leaves_after_it_was_resumed(
        self, house: LedgerHouse
    ) -> None:
        notice_id = house.notice(1)
        house.claim()
        house.stop(StopKind.PAUSE)
        house.set_phase(ORDER, "sending", epoch=2)

        assert house.permit(notice_id) == {notice_id: PermitRefusal.STOPPED}

    def test_a_resumed_order_goes_on(self, house: LedgerHouse) -> None:
        notice_id = house.notice(1)
        house.stop(StopKind.PAUSE)
        house.ledger.settle(order_number=ORDER, now=NOW)
        house.set_phase(ORDER, "sending", epoch=2)

        house.claim()

        assert house.permit(notice_id) == {notice_id: None}

    def test_a_lower_stop_lowers_nothing(self, house: LedgerHouse) -> None:
        notice_id = house.notice(1)
        house.claim()
        house.stop(StopKind.PAUSE, epoch=1)
        house.stop(StopKind.PAUSE, epoch=0)

        assert house.permit(notice_id) == {notice_id: PermitRefusal.STOPPED}

    def test_only_the_first_small_group_is_told_while_it_is_tried(self, house: LedgerHouse) -> None:
        house.set_phase(ORDER, "canary")
        first, _ = house.notice(1, wave=0), house.notice(2, wave=1)

        assert [each.notice_id for each in house.claim()] == [first]

    def test_nothing_leaves_too_late(self, house: LedgerHouse) -> None:
        notice_id = house.notice(1)
        house.claim()

        answers = house.ledger.permit(
            sender=SENDER, holdings=[house.holding(notice_id)], now=NOW + timedelta(days=30)
        )

        assert [answer.refusal for answer in answers] == [PermitRefusal.TOO_LATE]

    def test_an_order_that_is_not_stopped_cannot_be_settled(self, house: LedgerHouse) -> None:
        with pytest.raises(OrderNotStopped):
            house.ledger.settle(order_number=ORDER, now=NOW)

    def test_taking_back_leaves_nothing_in_flight(self, house: LedgerHouse) -> None:
        permitted = house.permitted(1)
        claimed = house.notice(2)
        house.claim()
        pending = house.notice(3)
        house.stop(StopKind.TAKE_BACK)

        settled = house.ledger.settle(order_number=ORDER, now=NOW)

        assert house.row(permitted).state is NoticeState.MAYBE
        assert house.row(claimed).state is NoticeState.SKIPPED
        assert house.row(pending).state is NoticeState.SKIPPED
        assert (settled.maybe, settled.skipped, settled.certain) == (1, 2, 0)

    def test_pausing_keeps_what_was_never_sent(self, house: LedgerHouse) -> None:
        permitted = house.permitted(1)
        claimed = house.notice(2)
        house.claim()
        house.stop(StopKind.PAUSE)

        house.ledger.settle(order_number=ORDER, now=NOW)

        assert house.row(permitted).state is NoticeState.MAYBE
        assert house.row(claimed).state is NoticeState.PENDING

    def test_settling_twice_says_the_same(self, house: LedgerHouse) -> None:
        house.permitted()
        house.stop(StopKind.TAKE_BACK)

        first = house.ledger.settle(order_number=ORDER, now=NOW)

        assert house.ledger.settle(order_number=ORDER, now=LATER) == first

    def test_a_late_250_still_counts(self, house: LedgerHouse) -> None:
        notice_id = house.permitted()
        house.stop(StopKind.TAKE_BACK)
        house.ledger.settle(order_number=ORDER, now=NOW)

        house.reply(notice_id, ReplyKind.ACCEPTED)

        assert house.row(notice_id).exposure is Exposure.CERTAIN

    def test_a_late_no_takes_no_doubt_away(self, house: LedgerHouse) -> None:
        notice_id = house.permitted()
        house.stop(StopKind.TAKE_BACK)
        house.ledger.settle(order_number=ORDER, now=NOW)

        house.reply(notice_id, ReplyKind.REFUSED)

        assert house.row(notice_id).exposure is Exposure.POSSIBLE

    def test_corrections_are_owed_to_exactly_those_who_were_or_may_have_been_told(
        self, house: LedgerHouse
    ) -> None:
        told, maybe, never = house.permitted(1), house.permitted(2), house.notice(3)
        house.reply(told, ReplyKind.ACCEPTED)
        house.stop(StopKind.TAKE_BACK)
        house.ledger.settle(order_number=ORDER, now=NOW)

        owed = list(house.ledger.corrections(order_number=ORDER))

        assert [(o.person_id, o.exposure) for o in owed] == [
            (1, Exposure.CERTAIN),
            (2, Exposure.POSSIBLE),
        ]
        assert house.row(maybe).state is NoticeState.MAYBE
        assert house.row(never).state is NoticeState.SKIPPED

    def test_a_correction_leaves_only_after_the_senders_are_proven_dead(
        self, house: LedgerHouse
    ) -> None:
        told = house.permitted(1)
        house.reply(told, ReplyKind.ACCEPTED)
        house.stop(StopKind.TAKE_BACK)
        house.set_phase(ORDER, "stopping")
        correction = house.notice(1, kind=NoticeKind.CORRECTION)

        before = house.claim()
        house.ledger.settle(order_number=ORDER, now=NOW)
        after = house.claim()

        assert before == []
        assert [each.notice_id for each in after] == [correction]
        assert house.permit(correction) == {correction: None}
        assert list(house.ledger.corrections(order_number=ORDER)) == []

    def test_the_proof_of_a_pause_does_not_let_corrections_of_a_later_take_back_out(
        self, house: LedgerHouse
    ) -> None:
        told = house.permitted(1)
        house.reply(told, ReplyKind.ACCEPTED)
        house.stop(StopKind.PAUSE)
        house.ledger.settle(order_number=ORDER, now=NOW)
        house.stop(StopKind.TAKE_BACK)
        house.set_phase(ORDER, "stopping")
        house.notice(1, kind=NoticeKind.CORRECTION)

        assert house.claim() == []

    def test_corrections_go_first(self, house: LedgerHouse) -> None:
        told = house.permitted(1)
        house.reply(told, ReplyKind.ACCEPTED)
        house.mailing("CM-AAAA")
        house.notice(7, order_number="CM-AAAA")
        house.stop(StopKind.TAKE_BACK)
        house.ledger.settle(order_number=ORDER, now=NOW)
        house.set_phase(ORDER, "correcting")
        correction = house.notice(1, kind=NoticeKind.CORRECTION)

        assert house.claim()[0].notice_id == correction

    def test_a_second_settle_keeps_corrections_alive(self, house: LedgerHouse) -> None:
        told = house.permitted(1)
        house.reply(told, ReplyKind.ACCEPTED)
        house.stop(StopKind.TAKE_BACK)
        house.ledger.settle(order_number=ORDER, now=NOW)
        house.set_phase(ORDER, "correcting")
        correction = house.notice(1, kind=NoticeKind.CORRECTION)
        house.claim()

        house.ledger.settle(order_number=ORDER, now=NOW)

        assert house.row(correction).state is NoticeState.PENDING

    def test_what_a_dead_sender_left_is_taken_up_by_its_next_life(self, house: LedgerHouse) -> None:
        permitted = house.permitted(1)
        claimed = house.notice(2)
        house.claim()

        taken = house.ledger.recover(sender=SENDER, own=True, now=NOW)

        assert taken == 2
        assert house.row(permitted).state is NoticeState.MAYBE
        assert house.row(claimed).state is NoticeState.PENDING

    def test_what_a_dead_sender_left_is_taken_up_by_others_once_its_lease_is_over(
        self, house: LedgerHouse
    ) -> None:
        permitted = house.permitted(1)
        house.lease("sender-2")

        before = house.ledger.recover(sender="sender-2", own=False, now=NOW)
        house.lease(SENDER, seconds=-1)
        after = house.ledger.recover(sender="sender-2", own=False, now=NOW)

        assert (before, after) == (0, 1)
        assert house.row(permitted).state is NoticeState.MAYBE

    def test_whoever_gives_an_older_holding_back_unsays_no_permit_of_the_newer(
        self, house: LedgerHouse
    ) -> None:
        older, newer = house.slept_and_claimed_anew()
        house.permit(newer.notice_id)

        house.ledger.abort(sender=SENDER, holdings=[older], now=NOW)

        assert house.row(newer.notice_id).state is NoticeState.PERMITTED
        assert house.row(newer.notice_id).exposure is Exposure.POSSIBLE

    def test_an_older_holding_gets_no_permit_by_itself(self, house: LedgerHouse) -> None:
        older, newer = house.slept_and_claimed_anew()

        answers = house.ledger.permit(sender=SENDER, holdings=[older], now=NOW)

        assert [answer.refusal for answer in answers] == [PermitRefusal.NOT_CLAIMED]
        assert house.row(newer.notice_id).exposure is Exposure.NONE

    def test_the_claim_that_one_mail_is_named_under_lets_no_other_out(
        self, house: LedgerHouse
    ) -> None:
        house.notice(1)
        [older] = house.claim()
        house.ledger.recover(sender=SENDER, own=True, now=NOW)
        second = house.notice(2)
        house.claim()  # both of them

        wanted = [older.holding, house.holding(second)]
        answers = house.ledger.permit(sender=SENDER, holdings=wanted, now=NOW)

        assert [answer.refusal for answer in answers] == [PermitRefusal.NOT_CLAIMED, None]
        assert house.row(older.notice_id).state is NoticeState.CLAIMED

    def test_an_older_holding_gets_no_permit_and_the_newer_one_does(
        self, house: LedgerHouse
    ) -> None:
        older, newer = house.slept_and_claimed_anew()

        answers = house.ledger.permit(sender=SENDER, holdings=[older, newer], now=NOW)

        assert {answer.holding: answer.refusal for answer in answers} == {
            older: PermitRefusal.NOT_CLAIMED,
            newer: None,
        }

    @pytest.mark.parametrize("kind", [ReplyKind.LOST, ReplyKind.DEFERRED, ReplyKind.REFUSED])
    def test_a_late_no_about_an_older_holding_says_nothing_of_the_newer(
        self, house: LedgerHouse, kind: ReplyKind
    ) -> None:
        older, newer = house.slept_and_claimed_anew()
        house.permit(newer.notice_id)

        house.reply(older, kind)

        assert house.row(newer.notice_id).state is NoticeState.PERMITTED

    def test_a_250_is_the_truth_for_whichever_holding_it_came(self, house: LedgerHouse) -> None:
        older, newer = house.slept_and_claimed_anew()
        house.permit(newer.notice_id)

        house.reply(older, ReplyKind.ACCEPTED)
        house.reply(newer, ReplyKind.REFUSED)

        assert house.row(newer.notice_id).state is NoticeState.SENT
        assert house.row(newer.notice_id).exposure is Exposure.CERTAIN

    def test_what_a_lost_answer_handed_out_waits_again_from_the_next_claim_on(
        self, house: LedgerHouse
    ) -> None:
        notice_id = house.notice(1)
        house.claim(is_answer_lost=True)
        assert house.row(notice_id).state is NoticeState.CLAIMED

        nothing = house.claim()
        again = house.claim()

        assert (nothing, [each.notice_id for each in again]) == ([], [notice_id])

    def test_what_was_told_stays_in_hand_through_any_later_claim(self, house: LedgerHouse) -> None:
        notice_id = house.notice(1)
        house.claim()

        house.claim(is_answer_lost=True)
        house.claim()
        house.claim(sender="sender-2")

        assert house.permit(notice_id) == {notice_id: None}

    def test_a_permit_under_a_claim_that_is_called_lost_stays(self, house: LedgerHouse) -> None:
        # Two processes of one name: the older one knows nothing of what the newer one claimed.
        notice_id = house.notice(1)
        [held] = house.claim(is_answer_lost=True)
        house.ledger.permit(sender=SENDER, holdings=[held.holding], now=NOW)

        house.claim()

        assert house.row(notice_id).state is NoticeState.PERMITTED

    @pytest.mark.parametrize(
        ("kind", "state", "exposure"),
        [
            (EvidenceKind.RELAY_LOG_ACCEPTED, NoticeState.SENT, Exposure.CERTAIN),
            (EvidenceKind.RELAY_LOG_NOT_ACCEPTED, NoticeState.PENDING, Exposure.NONE),
            (EvidenceKind.CHECK_CODE, NoticeState.DELIVERED, Exposure.CERTAIN),
            (EvidenceKind.DSN_DELIVERED, NoticeState.DELIVERED, Exposure.CERTAIN),
            (EvidenceKind.DSN_FAILED, NoticeState.BOUNCED, Exposure.POSSIBLE),
            (EvidenceKind.PULLED_FROM_QUEUE, NoticeState.MAYBE, Exposure.POSSIBLE),
        ],
    )
    def test_later_knowledge_settles_a_doubt(
        self, house: LedgerHouse, kind: EvidenceKind, state: NoticeState, exposure: Exposure
    ) -> None:
        notice_id = house.permitted()
        house.reply(notice_id, ReplyKind.LOST)

        house.ledger.evidence(evidence=[Evidence(notice_id, kind, LATER)])

        assert house.row(notice_id).state is state
        assert house.row(notice_id).exposure is exposure

    def test_a_copy_taken_out_of_the_queue_leaves_the_doubt_of_earlier_attempts(
        self, house: LedgerHouse
    ) -> None:
        notice_id = house.permitted()
        house.reply(notice_id, ReplyKind.LOST)
        house.claim(now=LATER)
        house.permit(notice_id)
        house.reply(notice_id, ReplyKind.ACCEPTED)

        pulled = Evidence(notice_id, EvidenceKind.PULLED_FROM_QUEUE, LATER)
        house.ledger.evidence(evidence=[pulled])

        assert house.row(notice_id).exposure is Exposure.POSSIBLE
