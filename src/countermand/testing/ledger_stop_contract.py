"""What every `ports.NoticeLedger` promises once an order is stopped: settling and corrections."""

from __future__ import annotations

import pytest

from countermand.domain.delivery import (
    NoticeKind,
    NoticeState,
    OrderNotStopped,
    PermitRefusal,
    ReplyKind,
    StopKind,
)
from countermand.domain.exposure import Exposure
from countermand.testing.ledger_house import LATER, NOW, ORDER, LedgerHouse


class StopPromises:
    """After a stop nothing is permitted and nobody forgotten; corrections leave once it is safe."""

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
