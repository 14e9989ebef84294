"""The life of one notice (N1 to N15): which step may follow which, and what it says of exposure.

    pending --claim--> claimed --permit--> permitted --accepted--> sent --dsn--> delivered | bounced
       ^  ^               |                   |  |
       |  +--- go back ---+---- go back ------+  +--lost, sender dead, stop--> maybe
       +------------------------------ claim (a retry, same bytes) <------------+

"Go back" is for a dot that was provably not written, or that the server refused. It leads to
pending, refused or skipped, but to maybe when an earlier attempt may have arrived: exposure is the
maximum over all attempts and falls only by proof that no attempt was accepted.

Pure. The SQL functions of `notices` do the same to many rows at once; a differential test drives
both.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import ClassVar, Final

from countermand.domain.delivery import NoticeKind, NoticeState
from countermand.domain.errors import CountermandError, gettext_noop
from countermand.domain.exposure import Exposure

MOST_ATTEMPTS: Final = 3  # of a mail in doubt; a correction is tried until it is answered
FIRST_RETRY: Final = timedelta(seconds=60)
_MOST_DOUBLINGS: Final = 5


class NoticeStep(StrEnum):
    """What may happen to a notice."""

    CLAIM = "claim"
    PERMIT = "permit"
    ACCEPTED = "accepted"  # 250 to the dot
    DEFERRED = "deferred"  # 4xx, before or at the dot
    REFUSED = "refused"  # 5xx, before or at the dot
    LOST = "lost"  # the dot was written, and no reply was read
    ABORT = "abort"  # by a living sender: the dot was provably not written
    SENDER_DEAD = "sender_dead"
    PAUSE = "pause"  # settled after a pause
    TAKE_BACK = "take_back"  # settled after a take-back
    DSN_DELIVERED = "dsn_delivered"
    DSN_FAILED = "dsn_failed"
    RELAY_LOG_ACCEPTED = "relay_log_accepted"
    RELAY_LOG_NOT_ACCEPTED = "relay_log_not_accepted"
    CHECK_CODE = "check_code"
    PULLED_FROM_QUEUE = "pulled_from_queue"
    PULLED_UNREAD = "pulled_unread"


@dataclass(eq=False)
class NoticeStepNotAllowed(CountermandError):
    """A step that cannot follow where the notice stands; the row stays as it is."""

    state: NoticeState
    step: NoticeStep

    code: ClassVar[str] = "notice.step_not_allowed"
    sentence: ClassVar[str] = gettext_noop("A mail that is {state} cannot be {step}.")
    remedy: ClassVar[str] = gettext_noop("Look at the record of this mail; it may have moved on.")


@dataclass(frozen=True, slots=True)
class NoticeRow:
    """The moving part of a notice. `exposure_before` leaves the present attempt out."""

    kind: NoticeKind
    state: NoticeState = NoticeState.PENDING
    exposure: Exposure = Exposure.NONE
    exposure_before: Exposure = Exposure.NONE
    attempts: int = 0


_S = NoticeState
_IN_HAND: Final = frozenset({_S.CLAIMED, _S.PERMITTED})
_NEVER_SENT: Final = frozenset({_S.PENDING, _S.REFUSED, _S.SKIPPED})
_FROM: Final = MappingProxyType(
    {
        NoticeStep.CLAIM: frozenset({_S.PENDING, _S.MAYBE}),
        NoticeStep.PERMIT: frozenset({_S.CLAIMED}),
        NoticeStep.ACCEPTED: _IN_HAND | _NEVER_SENT | {_S.MAYBE},
        NoticeStep.DEFERRED: _IN_HAND,
        NoticeStep.REFUSED: _IN_HAND,
        NoticeStep.LOST: frozenset({_S.PERMITTED}),
        NoticeStep.ABORT: _IN_HAND,
        NoticeStep.SENDER_DEAD: _IN_HAND,
        NoticeStep.PAUSE: _IN_HAND,
        NoticeStep.TAKE_BACK: _IN_HAND | {_S.PENDING},
        NoticeStep.DSN_DELIVERED: frozenset(_S) - {_S.DELIVERED, _S.PULLED_UNREAD},
        # It may come back before its sender could note that it was accepted.
        NoticeStep.DSN_FAILED: frozenset({_S.SENT, _S.MAYBE, _S.PERMITTED}),
        NoticeStep.RELAY_LOG_ACCEPTED: _IN_HAND | _NEVER_SENT | {_S.MAYBE},
        NoticeStep.RELAY_LOG_NOT_ACCEPTED: frozenset({_S.MAYBE}),
        NoticeStep.CHECK_CODE: frozenset(_S),
        NoticeStep.PULLED_FROM_QUEUE: frozenset({_S.SENT}),
        NoticeStep.PULLED_UNREAD: frozenset({_S.SENT, _S.DELIVERED}),
    }
)
_CERTAINLY: Final = MappingProxyType(
    {
        NoticeStep.ACCEPTED: _S.SENT,
        NoticeStep.RELAY_LOG_ACCEPTED: _S.SENT,
        NoticeStep.DSN_DELIVERED: _S.DELIVERED,
        NoticeStep.CHECK_CODE: _S.DELIVERED,
    }
)
_GOES_BACK_TO: Final = MappingProxyType(
    {
        NoticeStep.DEFERRED: _S.PENDING,
        NoticeStep.REFUSED: _S.REFUSED,
        NoticeStep.ABORT: _S.PENDING,
        NoticeStep.SENDER_DEAD: _S.PENDING,
        NoticeStep.PAUSE: _S.PENDING,
        NoticeStep.TAKE_BACK: _S.SKIPPED,
    }
)
_LEAVES_DOUBT: Final = frozenset(
    {NoticeStep.LOST, NoticeStep.SENDER_DEAD, NoticeStep.PAUSE, NoticeStep.TAKE_BACK}
)


def is_allowed(row: NoticeRow, step: NoticeStep) -> bool:
    """Say whether `step` may happen to `row` now."""
    if row.state not in _FROM[step]:
        return False
    if step is NoticeStep.CLAIM and row.state is _S.MAYBE:
        return row.kind is NoticeKind.CORRECTION or row.attempts < MOST_ATTEMPTS
    # What is left to say about a taken-back order is its corrections: they stay.
    return not (
        step is NoticeStep.TAKE_BACK
        and row.kind is NoticeKind.CORRECTION
        and row.state is _S.PENDING
    )


def move(row: NoticeRow, step: NoticeStep) -> NoticeRow:
    """Return the row after `step`. Raises NoticeStepNotAllowed."""
    if not is_allowed(row, step):
        raise NoticeStepNotAllowed(state=row.state, step=step)
    if step is NoticeStep.CLAIM:
        return dataclasses.replace(row, state=_S.CLAIMED, exposure_before=row.exposure)
    if step is NoticeStep.PERMIT:
        return dataclasses.replace(
            row,
            state=_S.PERMITTED,
            exposure=max(row.exposure, Exposure.POSSIBLE),
            attempts=row.attempts + 1,
        )
    if step in _CERTAINLY:
        return dataclasses.replace(row, state=_CERTAINLY[step], exposure=Exposure.CERTAIN)
    if row.state is _S.PERMITTED and step in _LEAVES_DOUBT:
        return dataclasses.replace(row, state=_S.MAYBE)
    if step in _GOES_BACK_TO:
        return _gone_back(row, step)
    return _after_later_knowledge(row, step)


def retry_after(attempts: int) -> timedelta:
    """Return how long to wait before the next try: a minute, doubling up to 32."""
    doublings = min(max(attempts, 1) - 1, _MOST_DOUBLINGS)
    return FIRST_RETRY * (1 << doublings)


def _gone_back(row: NoticeRow, step: NoticeStep) -> NoticeRow:
    before = row.exposure if row.state is _S.PENDING else row.exposure_before
    undone = step is NoticeStep.ABORT and row.state is _S.PERMITTED
    keeps = step is NoticeStep.TAKE_BACK and row.kind is NoticeKind.CORRECTION
    target = _S.PENDING if keeps else _GOES_BACK_TO[step]
    return dataclasses.replace(
        row,
        state=target if before is Exposure.NONE else _S.MAYBE,
        exposure=before,
        attempts=row.attempts - undone,
    )


def _after_later_knowledge(row: NoticeRow, step: NoticeStep) -> NoticeRow:
    match step:
        case NoticeStep.RELAY_LOG_NOT_ACCEPTED:
            return dataclasses.replace(row, state=_S.PENDING, exposure=Exposure.NONE)
        case NoticeStep.PULLED_FROM_QUEUE:
            # Only this copy is gone; an earlier attempt may have arrived.
            return dataclasses.replace(row, state=_S.PULLED_QUEUE, exposure=row.exposure_before)
        case NoticeStep.PULLED_UNREAD:
            return dataclasses.replace(row, state=_S.PULLED_UNREAD)
        case NoticeStep.DSN_FAILED:
            return dataclasses.replace(row, state=_S.BOUNCED)
        case _:
            raise NoticeStepNotAllowed(state=row.state, step=step)
