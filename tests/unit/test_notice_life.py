import itertools

import pytest

from countermand.domain.delivery import NoticeKind, NoticeState
from countermand.domain.exposure import Exposure
from countermand.domain.notice_life import (
    _FROM,
    NoticeRow,
    NoticeStep,
    NoticeStepNotAllowed,
    is_allowed,
    move,
)

NOTHING_SAID = {NoticeState.PENDING, NoticeState.REFUSED, NoticeState.SKIPPED}


def rows_in(state: NoticeState) -> list[NoticeRow]:
    """Every row that may lawfully stand in this state."""
    rows = []
    for kind, exposure, before, attempts in itertools.product(
        (NoticeKind.NOTICE, NoticeKind.CORRECTION), Exposure, Exposure, range(5)
    ):
        lawful = {
            NoticeState.PENDING: exposure is Exposure.NONE,
            NoticeState.REFUSED: exposure is Exposure.NONE,
            NoticeState.SKIPPED: exposure is Exposure.NONE,
            NoticeState.CLAIMED: exposure is before,
            NoticeState.PERMITTED: exposure is max(before, Exposure.POSSIBLE),
            NoticeState.MAYBE: exposure is not Exposure.NONE,
            NoticeState.SENT: exposure is Exposure.CERTAIN,
            NoticeState.DELIVERED: exposure is Exposure.CERTAIN,
        }.get(state, True)
        if lawful:
            rows.append(NoticeRow(kind, state, exposure, before, attempts))
    return rows


@pytest.mark.parametrize("state", NoticeState)
@pytest.mark.parametrize("step", NoticeStep)
def test_every_step_that_is_not_in_the_table_is_refused(
    state: NoticeState, step: NoticeStep
) -> None:
    for row in rows_in(state):
        if state in _FROM[step]:
            continue
        assert not is_allowed(row, step)
        with pytest.raises(NoticeStepNotAllowed):
            move(row, step)


@pytest.mark.parametrize("state", NoticeState)
@pytest.mark.parametrize("step", NoticeStep)
def test_every_step_leads_to_a_row_that_tells_the_truth(
    state: NoticeState, step: NoticeStep
) -> None:
    for row in rows_in(state):
        if not is_allowed(row, step):
            continue
        after = move(row, step)
        if after.state in NOTHING_SAID:
            assert after.exposure is Exposure.NONE
        if after.state in (NoticeState.SENT, NoticeState.DELIVERED):
            assert after.exposure is Exposure.CERTAIN
        if after.state in (NoticeState.PERMITTED, NoticeState.MAYBE):
            assert after.exposure >= Exposure.POSSIBLE


def test_exposure_falls_only_by_proof_that_this_attempt_was_not_accepted() -> None:
    proofs = {
        NoticeStep.DEFERRED,
        NoticeStep.REFUSED,
        NoticeStep.ABORT,
        NoticeStep.RELAY_LOG_NOT_ACCEPTED,
        NoticeStep.PULLED_FROM_QUEUE,
    }
    for state, step in itertools.product(NoticeState, NoticeStep):
        for row in rows_in(state):
            if is_allowed(row, step) and move(row, step).exposure < row.exposure:
                assert step in proofs
                if step is not NoticeStep.RELAY_LOG_NOT_ACCEPTED:
                    assert move(row, step).exposure == row.exposure_before


def test_a_stop_leaves_nothing_in_a_senders_hands() -> None:
    for step in (NoticeStep.PAUSE, NoticeStep.TAKE_BACK, NoticeStep.SENDER_DEAD):
        for state in (NoticeState.CLAIMED, NoticeState.PERMITTED):
            for row in rows_in(state):
                assert move(row, step).state in (
                    NoticeState.PENDING,
                    NoticeState.SKIPPED,
                    NoticeState.MAYBE,
                )


def test_a_correction_is_tried_until_it_is_answered() -> None:
    doubtful = NoticeRow(
        NoticeKind.CORRECTION, NoticeState.MAYBE, Exposure.POSSIBLE, Exposure.NONE, 99
    )

    assert is_allowed(doubtful, NoticeStep.CLAIM)
