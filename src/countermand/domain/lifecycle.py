"""The life of an order: which step may follow which, and what each step sets off.

                     +--------- edit, return_for_changes ---------+
                     v                                            |
    draft --plan--> planned --submit--> review --policy_met--> approved --release--> hold
      |               |                 ^  | approve (stays)      |                   | |
      +---- abandon --+------ abandon --|--+------ abandon -------+                   | |
      v                                 +-- drift_found ----------+--- drift_found ---+ |
    abandoned                                                                          |
                                       withdrawn <---- withdraw, take_back ------------+
                                                                                       |
      +------------------------------- hold_over --------------------------------------+
      v
    canary --go--> sending --all_sent--> notified --deadline_reached--+--> enforcing ---+
                                                    (gate, cloud)     |                 |
                                                    (none)            +--> collecting --+-- close
                                                    (handed-over)     +--> handed_over -+     |
                                                                                              v
    canary ... enforcing, collecting, handed_over --pause--> paused                        closed
                         ^                                     |
                         +------------- resume ----------------+   (to where it was paused)

    canary ... closed, paused --take_back--> stopping --barrier_proven--> correcting
                                                                             | all_corrected
    withdrawn, corrected, abandoned: nothing follows.                        v
                                                                         corrected

An edit leads from planned, review and approved back to draft; planning again stays in planned.
A second pause stays paused, a second take_back stays stopping: a stop may always be repeated.
Where somebody else's policy closes the door (handed-over), corrected is reached only when a
person or an API has confirmed that it is undone (undo_confirmed, while stopping or correcting).

Pure: no clock, no database, no mail. To change the life of an order, change the tables below and
this drawing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import ClassVar, Final

from countermand.domain.approvals import Role
from countermand.domain.effects import (
    AskForReview,
    AskForUndo,
    BeginCollecting,
    BeginEnforcing,
    CorrectEveryoneReached,
    Effect,
    FreezeAffected,
    HandOver,
    HoldQueue,
    KillSenders,
    OpenDoor,
    PageOnCall,
    Purge,
    RaiseFence,
    ReleaseStatement,
    ResumeWaves,
    SettleLedger,
    StartFirstGroup,
    StartHold,
    StartWaves,
    TellClosing,
    UpdateLookup,
    VoidApprovals,
    WriteLog,
)
from countermand.domain.errors import CountermandError, gettext_noop

# Effects are part of what a step means, so they can be had from here, too.
__all__ = [
    "FINAL",
    "OF_ITSELF",
    "PAUSABLE",
    "PHASE_WORDS",
    "STEP_WORDS",
    "TOLD",
    "AskForReview",
    "AskForUndo",
    "BeginCollecting",
    "BeginEnforcing",
    "CorrectEveryoneReached",
    "Effect",
    "Enforcement",
    "FreezeAffected",
    "HandOver",
    "HoldQueue",
    "KillSenders",
    "Move",
    "NotUndoneYet",
    "OpenDoor",
    "PageOnCall",
    "Phase",
    "Purge",
    "RaiseFence",
    "ReleaseStatement",
    "ResumeWaves",
    "SettleLedger",
    "StartFirstGroup",
    "StartHold",
    "StartWaves",
    "Step",
    "StepNotAllowed",
    "TellClosing",
    "UpdateLookup",
    "VoidApprovals",
    "WriteLog",
    "allowed_steps",
    "may",
    "move",
]


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


@dataclass(frozen=True, slots=True)
class Move:
    """One decided step; `effects` are carried out in their order, each idempotent."""

    before: Phase
    step: Step
    after: Phase
    paused_from_after: Phase | None
    effects: tuple[Effect, ...]


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
        Phase.NOTIFIED: gettext_noop("sent to everybody"),
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


@dataclass(eq=False)
class StepNotAllowed(CountermandError):
    """The step does not follow from where the order stands; both are given in words, too."""

    phase: Phase
    step: Step
    stands: str = ""
    wanted: str = ""

    code: ClassVar[str] = "order.step_not_allowed"
    sentence: ClassVar[str] = gettext_noop(
        "This order stands at “{stands}”; “{wanted}” does not follow from there."
    )
    remedy: ClassVar[str] = gettext_noop("Look at the order again: someone may have moved it on.")

    def __post_init__(self) -> None:
        self.stands = self.stands or PHASE_WORDS[self.phase]
        self.wanted = self.wanted or STEP_WORDS[self.step]


@dataclass(eq=False)
class NotUndoneYet(CountermandError):
    """Somebody else's policy may still keep people from their mail."""

    code: ClassVar[str] = "order.not_undone_yet"
    sentence: ClassVar[str] = gettext_noop(
        "The policy that closes mail for this order is not confirmed to be undone."
    )
    remedy: ClassVar[str] = gettext_noop("Undo it there, then confirm it here.")


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

_AFTER_DEADLINE: Final = MappingProxyType(
    {
        Enforcement.GATE: Phase.ENFORCING,
        Enforcement.CLOUD: Phase.ENFORCING,
        Enforcement.NONE: Phase.COLLECTING,
        Enforcement.HANDED_OVER: Phase.HANDED_OVER,
    }
)

# One line per lawful step. Two targets are not here, since they depend on more than the phase:
# `resume` (to where it was paused) and `deadline_reached` (by the kind of enforcement).
_NEXT: Final = MappingProxyType(
    {
        (Phase.DRAFT, Step.PLAN): Phase.PLANNED,
        (Phase.DRAFT, Step.EDIT): Phase.DRAFT,
        (Phase.DRAFT, Step.ABANDON): Phase.ABANDONED,
        (Phase.PLANNED, Step.PLAN): Phase.PLANNED,
        (Phase.PLANNED, Step.EDIT): Phase.DRAFT,
        (Phase.PLANNED, Step.SUBMIT): Phase.REVIEW,
        (Phase.PLANNED, Step.ABANDON): Phase.ABANDONED,
        (Phase.REVIEW, Step.EDIT): Phase.DRAFT,
        (Phase.REVIEW, Step.APPROVE): Phase.REVIEW,
        (Phase.REVIEW, Step.POLICY_MET): Phase.APPROVED,
        (Phase.REVIEW, Step.RETURN_FOR_CHANGES): Phase.DRAFT,
        (Phase.REVIEW, Step.ABANDON): Phase.ABANDONED,
        (Phase.APPROVED, Step.EDIT): Phase.DRAFT,
        (Phase.APPROVED, Step.RETURN_FOR_CHANGES): Phase.DRAFT,
        (Phase.APPROVED, Step.ABANDON): Phase.ABANDONED,
        (Phase.APPROVED, Step.DRIFT_FOUND): Phase.REVIEW,
        (Phase.APPROVED, Step.RELEASE): Phase.HOLD,
        (Phase.HOLD, Step.DRIFT_FOUND): Phase.REVIEW,
        # Nobody was told, so there is nothing to correct: taking back is withdrawing here.
        (Phase.HOLD, Step.WITHDRAW): Phase.WITHDRAWN,
        (Phase.HOLD, Step.TAKE_BACK): Phase.WITHDRAWN,
        (Phase.HOLD, Step.HOLD_OVER): Phase.CANARY,
        (Phase.CANARY, Step.GO): Phase.SENDING,
        (Phase.SENDING, Step.ALL_SENT): Phase.NOTIFIED,
        (Phase.ENFORCING, Step.CLOSE): Phase.CLOSED,
        (Phase.COLLECTING, Step.CLOSE): Phase.CLOSED,
        (Phase.HANDED_OVER, Step.CLOSE): Phase.CLOSED,
        (Phase.CANARY, Step.PAUSE): Phase.PAUSED,
        (Phase.SENDING, Step.PAUSE): Phase.PAUSED,
        (Phase.NOTIFIED, Step.PAUSE): Phase.PAUSED,
        (Phase.ENFORCING, Step.PAUSE): Phase.PAUSED,
        (Phase.COLLECTING, Step.PAUSE): Phase.PAUSED,
        (Phase.HANDED_OVER, Step.PAUSE): Phase.PAUSED,
        (Phase.PAUSED, Step.PAUSE): Phase.PAUSED,
        (Phase.CANARY, Step.TAKE_BACK): Phase.STOPPING,
        (Phase.SENDING, Step.TAKE_BACK): Phase.STOPPING,
        (Phase.NOTIFIED, Step.TAKE_BACK): Phase.STOPPING,
        (Phase.ENFORCING, Step.TAKE_BACK): Phase.STOPPING,
        (Phase.COLLECTING, Step.TAKE_BACK): Phase.STOPPING,
        (Phase.HANDED_OVER, Step.TAKE_BACK): Phase.STOPPING,
        (Phase.CLOSED, Step.TAKE_BACK): Phase.STOPPING,
        (Phase.PAUSED, Step.TAKE_BACK): Phase.STOPPING,
        (Phase.STOPPING, Step.TAKE_BACK): Phase.STOPPING,
        (Phase.STOPPING, Step.UNDO_CONFIRMED): Phase.STOPPING,
        (Phase.CORRECTING, Step.UNDO_CONFIRMED): Phase.CORRECTING,
        (Phase.STOPPING, Step.BARRIER_PROVEN): Phase.CORRECTING,
        (Phase.CORRECTING, Step.ALL_CORRECTED): Phase.CORRECTED,
    }
)

_EFFECTS: Final[MappingProxyType[Step, tuple[Effect, ...]]] = MappingProxyType(
    {
        Step.PLAN: (FreezeAffected(), VoidApprovals(keep_same_digest=True), WriteLog()),
        Step.EDIT: (VoidApprovals(keep_same_digest=False), WriteLog()),
        Step.SUBMIT: (AskForReview(), WriteLog()),
        Step.APPROVE: (WriteLog(),),
        Step.POLICY_MET: (WriteLog(),),
        Step.RETURN_FOR_CHANGES: (VoidApprovals(keep_same_digest=False), WriteLog()),
        Step.ABANDON: (VoidApprovals(keep_same_digest=False), WriteLog()),
        Step.RELEASE: (StartHold(), UpdateLookup(), WriteLog(), PageOnCall()),
        Step.DRIFT_FOUND: (
            FreezeAffected(),
            VoidApprovals(keep_same_digest=True),
            UpdateLookup(),
            WriteLog(),
        ),
        Step.HOLD_OVER: (StartFirstGroup(), UpdateLookup(), WriteLog(), PageOnCall()),
        Step.GO: (StartWaves(), WriteLog()),
        # A pause stops mail and can be undone. Doors open by its fence until the order goes on.
        Step.PAUSE: (
            RaiseFence(is_final=False),
            KillSenders(),
            SettleLedger(),
            UpdateLookup(),
            WriteLog(),
            PageOnCall(),
        ),
        Step.RESUME: (ResumeWaves(), UpdateLookup(), WriteLog()),
        Step.ALL_SENT: (WriteLog(),),
        Step.DEADLINE_REACHED: (UpdateLookup(), WriteLog()),
        Step.CLOSE: (OpenDoor(), TellClosing(), UpdateLookup(), WriteLog(), Purge()),
        Step.WITHDRAW: (
            RaiseFence(is_final=True),
            OpenDoor(),
            UpdateLookup(),
            WriteLog(),
            PageOnCall(),
        ),
        # Order matters: the stop is durable first, the door is open before senders are looked at,
        # and nobody is counted before every sender is dead.
        Step.TAKE_BACK: (
            RaiseFence(is_final=True),
            OpenDoor(),
            KillSenders(),
            HoldQueue(),
            SettleLedger(),
            UpdateLookup(),
            WriteLog(),
            PageOnCall(),
        ),
        Step.BARRIER_PROVEN: (CorrectEveryoneReached(), WriteLog()),
        Step.UNDO_CONFIRMED: (WriteLog(),),
        Step.ALL_CORRECTED: (ReleaseStatement(), UpdateLookup(), WriteLog(), Purge()),
    }
)

# What a step sets off besides, before its other effects or after them, by kind of enforcement.
_AT_DEADLINE: Final[MappingProxyType[Enforcement, Effect]] = MappingProxyType(
    {
        Enforcement.GATE: BeginEnforcing(),
        Enforcement.CLOUD: BeginEnforcing(),
        Enforcement.NONE: BeginCollecting(),
        Enforcement.HANDED_OVER: HandOver(),
    }
)

# Steps that follow from stored facts and times: the program takes them, no person may.
OF_ITSELF: Final = frozenset(
    {
        Step.POLICY_MET,
        Step.DRIFT_FOUND,
        Step.HOLD_OVER,
        Step.ALL_SENT,
        Step.DEADLINE_REACHED,
        Step.BARRIER_PROVEN,
        Step.ALL_CORRECTED,
    }
)

_WRITERS: Final = frozenset({Role.AUTHOR})
_APPROVERS: Final = frozenset({Role.APPROVER})
_STEERING: Final = frozenset({Role.AUTHOR, Role.APPROVER, Role.OPERATOR})
_NOBODY: Final[frozenset[Role]] = frozenset()

# Who may take which step. Sending takes two people and time; stopping takes any one.
_MAY: Final[MappingProxyType[Step, frozenset[Role]]] = MappingProxyType(
    {
        Step.PLAN: _WRITERS,
        Step.EDIT: _WRITERS | _APPROVERS,
        Step.SUBMIT: _WRITERS,
        Step.APPROVE: _APPROVERS,
        Step.RETURN_FOR_CHANGES: _APPROVERS,
        Step.ABANDON: _WRITERS,
        Step.RELEASE: frozenset({Role.AUTHOR, Role.OPERATOR}),
        Step.GO: _STEERING,
        Step.PAUSE: frozenset(Role),
        Step.RESUME: _APPROVERS,
        Step.CLOSE: frozenset({Role.AUTHOR, Role.OPERATOR}),
        Step.WITHDRAW: frozenset(Role),
        Step.TAKE_BACK: _STEERING,
        Step.UNDO_CONFIRMED: frozenset({Role.OPERATOR, Role.MAIL_ADMIN}),
        **dict.fromkeys(OF_ITSELF, _NOBODY),
    }
)


def may(role: Role, step: Step) -> bool:
    """Tell whether a person with this role may take this step."""
    return role in _MAY[step]


def move(
    phase: Phase,
    step: Step,
    *,
    enforcement: Enforcement,
    paused_from: Phase | None = None,
    is_undone: bool = False,
) -> Move:
    """Decide one step, or refuse it.

    `paused_from` is where a paused order was paused; `is_undone` says that somebody confirmed the
    end of the policy to which the order was handed over. Raises StepNotAllowed or NotUndoneYet.
    """
    after = _next_phase(phase, step, enforcement, paused_from)
    handed_over = enforcement is Enforcement.HANDED_OVER
    if step is Step.ALL_CORRECTED and handed_over and not is_undone:
        raise NotUndoneYet
    effects = _EFFECTS[step]
    if step is Step.DEADLINE_REACHED:
        effects = (_AT_DEADLINE[enforcement], *effects)
    if handed_over and step in {Step.TAKE_BACK, Step.CLOSE} and after is not Phase.WITHDRAWN:
        effects = (*effects, AskForUndo())
    if after is Phase.WITHDRAWN:
        effects = _EFFECTS[Step.WITHDRAW]
    if after is not Phase.PAUSED:
        paused_from_after = None
    else:
        paused_from_after = paused_from if phase is Phase.PAUSED else phase
    return Move(phase, step, after, paused_from_after, effects)


def _next_phase(
    phase: Phase, step: Step, enforcement: Enforcement, paused_from: Phase | None
) -> Phase:
    if (phase, step) == (Phase.PAUSED, Step.RESUME) and paused_from in PAUSABLE:
        return Phase(paused_from)
    if (phase, step) == (Phase.NOTIFIED, Step.DEADLINE_REACHED):
        return _AFTER_DEADLINE[enforcement]
    try:
        return _NEXT[phase, step]
    except KeyError:
        raise StepNotAllowed(phase=phase, step=step) from None


def allowed_steps(
    phase: Phase,
    *,
    enforcement: Enforcement,
    paused_from: Phase | None = None,
    is_undone: bool = False,
) -> frozenset[Step]:
    """Return every step that `move` would not refuse."""
    allowed = set()
    for step in Step:
        try:
            move(
                phase,
                step,
                enforcement=enforcement,
                paused_from=paused_from,
                is_undone=is_undone,
            )
        except (StepNotAllowed, NotUndoneYet):
            continue
        allowed.add(step)
    return frozenset(allowed)
