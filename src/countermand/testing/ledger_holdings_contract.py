"""What every `ports.NoticeLedger` promises when senders die, sleep, or miss an answer."""

from __future__ import annotations

import pytest

from countermand.domain.delivery import (
    NoticeState,
    PermitRefusal,
    ReplyKind,
)
from countermand.domain.exposure import Exposure
from countermand.testing.ledger_house import NOW, SENDER, LedgerHouse


class HoldingPromises:
    """A mail is in one hand at a time, and what an older hand says never undoes the newer."""

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
