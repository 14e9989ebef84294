"""Where an order may stand, which steps there are, and what people read for both.

Which step follows which, and what it sets off, says `domain.lifecycle`.
"""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import Final

from countermand.domain.errors import gettext_noop


class Phase(StrEnum):
    """Where an order stands."""

    DRAFT = "draft"
    PLANNED = "planned"
    REVIEW = "review"
    APPROVED = "approved"
    HOLD = "hold"
    CANARY = "canary"
    SENDING = "sending"
    NOTIFIED = "notified"
    ENFORCING = "enforcing"
    COLLECTING = "collecting"
    HANDED_OVER = "handed_over"
    CLOSED = "closed"
    PAUSED = "paused"
    WITHDRAWN = "withdrawn"
    STOPPING = "stopping"
    CORRECTING = "correcting"
    CORRECTED = "corrected"
    ABANDONED = "abandoned"


class Step(StrEnum):
    """What may happen to an order."""

    PLAN = "plan"
    EDIT = "edit"
    SUBMIT = "submit"
    APPROVE = "approve"
    POLICY_MET = "policy_met"
    RETURN_FOR_CHANGES = "return_for_changes"
    ABANDON = "abandon"
    RELEASE = "release"
    DRIFT_FOUND = "drift_found"
    HOLD_OVER = "hold_over"
    GO = "go"
    PAUSE = "pause"
    RESUME = "resume"
    ALL_SENT = "all_sent"
    DEADLINE_REACHED = "deadline_reached"
    CLOSE = "close"
    WITHDRAW = "withdraw"
    TAKE_BACK = "take_back"
    BARRIER_PROVEN = "barrier_proven"
    UNDO_CONFIRMED = "undo_confirmed"
    ALL_CORRECTED = "all_corrected"


class Enforcement(StrEnum):
    """Who closes the door, if anybody does."""

    NONE = "none"
    HANDED_OVER = "handed-over"
    CLOUD = "cloud"
    GATE = "gate"


DOORS_OF_OURS: Final = frozenset({Enforcement.GATE, Enforcement.CLOUD})

# What people read; the words inside the program are never shown.
PHASE_WORDS: Final = MappingProxyType(
    {
        Phase.DRAFT: gettext_noop("draft"),
        Phase.PLANNED: gettext_noop("planned"),
        Phase.REVIEW: gettext_noop("in review"),
        Phase.APPROVED: gettext_noop("approved"),
        Phase.HOLD: gettext_noop("held, can still be undone"),
        Phase.CANARY: gettext_noop("with the first small group"),
        Phase.SENDING: gettext_noop("being sent"),
        Phase.NOTIFIED: gettext_noop("all mails are out"),
        Phase.ENFORCING: gettext_noop("in force, past its deadline"),
        Phase.COLLECTING: gettext_noop("past its deadline, collecting answers"),
        Phase.HANDED_OVER: gettext_noop("past its deadline, handed over"),
        Phase.CLOSED: gettext_noop("closed"),
        Phase.PAUSED: gettext_noop("paused"),
        Phase.WITHDRAWN: gettext_noop("withdrawn before anybody was told"),
        Phase.STOPPING: gettext_noop("being taken back"),
        Phase.CORRECTING: gettext_noop("taken back, corrections are on their way"),
        Phase.CORRECTED: gettext_noop("taken back and corrected"),
        Phase.ABANDONED: gettext_noop("abandoned"),
    }
)
STEP_WORDS: Final = MappingProxyType(
    {
        Step.PLAN: gettext_noop("plan"),
        Step.EDIT: gettext_noop("edit"),
        Step.SUBMIT: gettext_noop("submit"),
        Step.APPROVE: gettext_noop("approve"),
        Step.POLICY_MET: gettext_noop("count the approvals"),
        Step.RETURN_FOR_CHANGES: gettext_noop("return for changes"),
        Step.ABANDON: gettext_noop("abandon"),
        Step.RELEASE: gettext_noop("release"),
        Step.DRIFT_FOUND: gettext_noop("return to review"),
        Step.HOLD_OVER: gettext_noop("start the first small group"),
        Step.GO: gettext_noop("go on to everybody"),
        Step.PAUSE: gettext_noop("pause"),
        Step.RESUME: gettext_noop("resume"),
        Step.ALL_SENT: gettext_noop("finish sending"),
        Step.DEADLINE_REACHED: gettext_noop("reach the deadline"),
        Step.CLOSE: gettext_noop("close"),
        Step.WITHDRAW: gettext_noop("withdraw"),
        Step.TAKE_BACK: gettext_noop("take back"),
        Step.BARRIER_PROVEN: gettext_noop("start the corrections"),
        Step.UNDO_CONFIRMED: gettext_noop("confirm that it is undone"),
        Step.ALL_CORRECTED: gettext_noop("finish the corrections"),
    }
)

# Where an order may be paused: everything in which mail can leave or a door can close.
PAUSABLE: Final = frozenset(
    {
        Phase.CANARY,
        Phase.SENDING,
        Phase.NOTIFIED,
        Phase.ENFORCING,
        Phase.COLLECTING,
        Phase.HANDED_OVER,
    }
)
# Everybody is being told, or has been: late joiners and reminders have their place.
TOLD_BEYOND_FIRST_GROUP: Final = PAUSABLE - {Phase.CANARY}
# Everything in which somebody may have been told, or still might be.
TOLD: Final = PAUSABLE | {Phase.PAUSED, Phase.CLOSED}
FINAL: Final = frozenset({Phase.WITHDRAWN, Phase.CORRECTED, Phase.ABANDONED})
