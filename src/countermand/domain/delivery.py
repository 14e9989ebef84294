"""What is handed to a sender, what comes back, and when a mail may leave at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import ClassVar, Final, NamedTuple

from countermand.domain.errors import CountermandError, gettext_noop
from countermand.domain.exposure import Exposure


class NoticeState(StrEnum):
    """Where a notice stands."""

    PENDING = "pending"
    CLAIMED = "claimed"
    PERMITTED = "permitted"
    SENT = "sent"
    MAYBE = "maybe"
    REFUSED = "refused"
    SKIPPED = "skipped"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    PULLED_QUEUE = "pulled_queue"
    PULLED_UNREAD = "pulled_unread"


class NoticeKind(StrEnum):
    """What a mail says."""

    NOTICE = "notice"
    REMINDER = "reminder"
    LOCK = "lock"
    RESTORED = "restored"
    CLOSING = "closing"
    CORRECTION = "correction"


@dataclass(frozen=True, slots=True)
class Template:
    """Approved words of one mail in one language, with `{slots}`."""

    template_id: int
    subject: str
    text: str
    html: str


EXPIRES: Final = "expires_at"  # among the values of a mail: when what it asks for is over
ZONE: Final = "zone"  # … of one that does not leave by night: on whose clock


class Holding(NamedTuple):
    """A mail in a sender's hands, under the number of the claim that handed it out.

    A sender that slept may hold a mail twice: once under a claim that was taken from it, and once
    under a newer one. What it says of the older holding changes nothing, but for a 250.
    """

    notice_id: int
    claim: int


class ClaimedNotice(NamedTuple):
    """All that a sender needs to send one mail; `values` fill the slots of the template."""

    notice_id: int
    claim: int
    order_number: str
    epoch: int
    kind: NoticeKind
    address: str
    language: str
    template_id: int
    values: Mapping[str, str | list[str]]
    message_id: str
    in_reply_to: str
    dated_at: datetime
    attempts: int

    @property
    def holding(self) -> Holding:
        """The mail as whoever claimed it names it from now on."""
        return Holding(self.notice_id, self.claim)


@dataclass(eq=False)
class OrderNotStopped(CountermandError):
    """Settling needs a stop first: senders would go on."""

    order_number: str

    code: ClassVar[str] = "ledger.order_not_stopped"
    sentence: ClassVar[str] = gettext_noop("Order {order_number} is not stopped.")
    remedy: ClassVar[str] = gettext_noop("Pause the order or take it back first.")


@dataclass(eq=False)
class LedgerUnavailable(CountermandError):
    """The database cannot be reached or ended the session; a later try may succeed."""

    why: str

    code: ClassVar[str] = "ledger.unavailable"
    sentence: ClassVar[str] = gettext_noop("The record of mails cannot be reached ({why}).")
    remedy: ClassVar[str] = gettext_noop(
        "Look whether the database runs; what was stopped stays stopped."
    )


class StopKind(StrEnum):
    """A pause can be resumed; a take-back is final."""

    PAUSE = "pause"
    TAKE_BACK = "take_back"


class PermitRefusal(StrEnum):
    """Why a notice may not leave now."""

    STOPPED = "stopped"
    STATE = "state"
    LEASE = "lease"
    TOO_LATE = "too_late"
    MODE = "mode"
    NOT_CLAIMED = "not_claimed"


class PermitAnswer(NamedTuple):
    """`refusal` is None when the intent to send is durable."""

    holding: Holding
    refusal: PermitRefusal | None


class ReplyKind(StrEnum):
    """What became of an attempt, as the sender saw it."""

    ACCEPTED = "accepted"  # 250 to the dot
    DEFERRED = "deferred"  # 4xx, before or after the dot
    REFUSED = "refused"  # 5xx, before or after the dot
    LOST = "lost"  # the dot was written and no reply was read


class Reply(NamedTuple):
    """The server's answer for one notice; `text` is the last reply line, at most 200 characters."""

    holding: Holding
    kind: ReplyKind
    after_dot: bool
    text: str
    queue_id: str | None


# Recorded in place of a server's answer: something failed at this mail that nobody expected.
FAULT: Final = "notice.fault"


class EvidenceKind(StrEnum):
    """Where later knowledge about a mail came from."""

    DSN_DELIVERED = "dsn_delivered"
    DSN_FAILED = "dsn_failed"
    RELAY_LOG_ACCEPTED = "relay_log_accepted"
    RELAY_LOG_NOT_ACCEPTED = "relay_log_not_accepted"
    CHECK_CODE = "check_code"
    PULLED_FROM_QUEUE = "pulled_from_queue"
    PULLED_UNREAD = "pulled_unread"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One piece of later knowledge about a notice."""

    notice_id: int
    kind: EvidenceKind
    at: datetime
    detail: str = ""


@dataclass(frozen=True, slots=True)
class OwedCorrection:
    """A person who is owed a correction at an address that a notice went to, or may have."""

    person_id: int
    address: str
    language: str
    exposure: Exposure
    notice_message_id: str


@dataclass(frozen=True, slots=True)
class Settled:
    """How an order's mails stand after it was settled, corrections left out."""

    maybe: int  # may have got it
    skipped: int  # never sent
    certain: int  # got it


@dataclass(frozen=True, slots=True)
class MailingFacts:
    """An order as its mails depend on it. `phase` is the text of `phases.Phase`."""

    phase: str
    epoch: int
    stopped_epoch: int
    withdrawn: bool
    barrier_at: datetime | None
    not_after: datetime


_WHILE_SENDING: Final = frozenset({"sending", "notified", "enforcing", "collecting", "handed_over"})
_CORRECTING: Final = frozenset({"stopping", "correcting", "corrected"})
_PHASES: Final = MappingProxyType(
    {
        NoticeKind.NOTICE: _WHILE_SENDING | {"canary"},
        NoticeKind.REMINDER: _WHILE_SENDING,
        NoticeKind.LOCK: _WHILE_SENDING,
        NoticeKind.RESTORED: _WHILE_SENDING,
        NoticeKind.CLOSING: _WHILE_SENDING | {"closed"},
    }
)


def may_not_leave(
    kind: NoticeKind, *, wave: int, epoch: int, mailing: MailingFacts, now: datetime
) -> PermitRefusal | None:
    """Say why a mail claimed in `epoch` may not leave now; None if it may (N4, I3, I10).

    A correction leaves once the order is taken back and its senders are proven dead, however late
    it is. Everything else needs an epoch above the stopped one, a phase that sends such mails, and
    a `now` before `not_after`. While the first small group is tried, only that group (wave 0) is
    told. The SQL function `ledger_refusal` says the same; a test holds both together.
    """
    if kind is NoticeKind.CORRECTION:
        lawful = mailing.withdrawn and mailing.phase in _CORRECTING and mailing.barrier_at
        return None if lawful else PermitRefusal.STATE
    if mailing.withdrawn or epoch != mailing.epoch or epoch <= mailing.stopped_epoch:
        return PermitRefusal.STOPPED
    if mailing.phase not in _PHASES[kind] or (mailing.phase == "canary" and wave > 0):
        return PermitRefusal.STATE
    return PermitRefusal.TOO_LATE if now >= mailing.not_after else None
