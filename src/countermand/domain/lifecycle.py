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
from countermand.domain.phases import (
    PAUSABLE,
    PHASE_WORDS,
    STEP_WORDS,
    Enforcement,
    Phase,
    Step,
)


@dataclass(frozen=True, slots=True)
class Move:
    """One decided step; `effects` are carried out in their order, each idempotent."""

    before: Phase
    step: Step
    after: Phase
    paused_from_after: Phase | None
    effects: tuple[Effect, ...]


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

# Where an order can still be planned anew, with other words or the very same.
EDITABLE: Final = frozenset(phase for phase, step in _NEXT if step is Step.EDIT)

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
