"""What every `ports.NoticeLedger` promises while mail leaves: claims, permits and evidence."""

from __future__ import annotations

from datetime import timedelta

import pytest

from countermand.domain.delivery import (
    Evidence,
    EvidenceKind,
    NoticeKind,
    NoticeState,
    PermitRefusal,
    ReplyKind,
)
from countermand.domain.exposure import Exposure
from countermand.domain.notice_life import NoticeRow
from countermand.testing.ledger_house import LATER, NOW, ORDER, SENDER, LedgerHouse


class SendingPromises:
    """Whoever may have been told is known before a mail leaves, and whoever was told afterwards."""

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

    def test_what_came_back_before_its_answer_was_noted_has_come_back(
        self, house: LedgerHouse
    ) -> None:
        """A sender that cannot reach the ledger notes its 250 late; silence would prove it then."""
        notice_id = house.permitted()
        house.ledger.evidence(evidence=[Evidence(notice_id, EvidenceKind.DSN_FAILED, NOW)])

        house.reply(notice_id, ReplyKind.ACCEPTED)

        assert house.row(notice_id).state is NoticeState.BOUNCED
        assert house.row(notice_id).exposure is Exposure.POSSIBLE
        assert list(house.claim(now=LATER)) == []

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
