"""What a step of an order sets off, as values: decided first, carried out afterwards.

Each is idempotent. Which step has which, and in which order, stands in `lifecycle`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class RaiseFence:
    """Make the stop durable before anything else is touched; `is_final` also withdraws."""

    is_final: bool


@dataclass(frozen=True, slots=True)
class OpenDoor:
    """No device is refused mail because of this order any more."""


@dataclass(frozen=True, slots=True)
class KillSenders:
    """End every sender and prove it dead."""


@dataclass(frozen=True, slots=True)
class HoldQueue:
    """Hold what the mail server still has, by queue id."""


@dataclass(frozen=True, slots=True)
class SettleLedger:
    """Book what was permitted as 'may have got it', what was not sent as never sent."""


@dataclass(frozen=True, slots=True)
class UpdateLookup:
    """Write the look-up page anew."""


@dataclass(frozen=True, slots=True)
class WriteLog:
    """Enter the step in the log."""


@dataclass(frozen=True, slots=True)
class CorrectEveryoneReached:
    """Create the corrections: for everybody who got the order or may have got it."""


@dataclass(frozen=True, slots=True)
class ReleaseStatement:
    """The statement for press and maker may be given out: staff were told first."""


@dataclass(frozen=True, slots=True)
class VoidApprovals:
    """Approvals count no more, except those that name the very same digest where that is said."""

    keep_same_digest: bool


@dataclass(frozen=True, slots=True)
class FreezeAffected:
    """Store the list of people affected together with the digest."""


@dataclass(frozen=True, slots=True)
class AskForReview:
    """Tell those who may approve."""


@dataclass(frozen=True, slots=True)
class StartHold:
    """Set the instant until which nothing leaves."""


@dataclass(frozen=True, slots=True)
class StartFirstGroup:
    """Freeze the first small group and create its notices, with the first epoch."""


@dataclass(frozen=True, slots=True)
class StartWaves:
    """Create the notices of everybody else, wave by wave."""


@dataclass(frozen=True, slots=True)
class ResumeWaves:
    """Go on under a higher epoch, which is durable before the database says so."""


@dataclass(frozen=True, slots=True)
class BeginEnforcing:
    """Doors may close from now on, each person at their own instant."""


@dataclass(frozen=True, slots=True)
class BeginCollecting:
    """Nobody closes a door: collect answers and list whom a person should call."""


@dataclass(frozen=True, slots=True)
class HandOver:
    """Open the task for whoever's policy closes the door, with the exact clicks."""


@dataclass(frozen=True, slots=True)
class AskForUndo:
    """Open the task to undo somebody else's policy; red until it is confirmed."""


@dataclass(frozen=True, slots=True)
class TellClosing:
    """Tell those affected that the order has ended."""


@dataclass(frozen=True, slots=True)
class PageOnCall:
    """Tell the people on call what just happened."""


@dataclass(frozen=True, slots=True)
class Purge:
    """Start the time after which personal data of this order is deleted."""


Effect: TypeAlias = (
    RaiseFence
    | OpenDoor
    | KillSenders
    | HoldQueue
    | SettleLedger
    | UpdateLookup
    | WriteLog
    | CorrectEveryoneReached
    | ReleaseStatement
    | VoidApprovals
    | FreezeAffected
    | AskForReview
    | StartHold
    | StartFirstGroup
    | StartWaves
    | ResumeWaves
    | BeginEnforcing
    | BeginCollecting
    | HandOver
    | AskForUndo
    | TellClosing
    | PageOnCall
    | Purge
)
