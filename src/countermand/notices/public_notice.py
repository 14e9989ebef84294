"""What anybody may know of one notice, and how it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from countermand.domain.order_parts import Variant
from countermand.domain.phases import Phase
from countermand.notices.order_words import order_of
from countermand.notices.wording import Signatory


class PublicState(StrEnum):
    """How a notice stands, as anybody may know it."""

    PREPARED = "prepared"
    IN_FORCE = "in_force"
    PAUSED = "paused"
    WITHDRAWN = "withdrawn"
    ENDED = "ended"


_STATES: Final[Mapping[Phase, PublicState]] = {
    Phase.APPROVED: PublicState.PREPARED,
    Phase.HOLD: PublicState.PREPARED,
    Phase.CANARY: PublicState.IN_FORCE,
    Phase.SENDING: PublicState.IN_FORCE,
    Phase.NOTIFIED: PublicState.IN_FORCE,
    Phase.ENFORCING: PublicState.IN_FORCE,
    Phase.COLLECTING: PublicState.IN_FORCE,
    Phase.HANDED_OVER: PublicState.IN_FORCE,
    Phase.PAUSED: PublicState.PAUSED,
    Phase.CLOSED: PublicState.ENDED,
    Phase.STOPPING: PublicState.WITHDRAWN,
    Phase.CORRECTING: PublicState.WITHDRAWN,
    Phase.CORRECTED: PublicState.WITHDRAWN,
}


def public_state(phase: Phase) -> PublicState | None:
    """Return how a notice in this phase is shown; None: it has no page (nobody was told)."""
    return _STATES.get(phase)


@dataclass(frozen=True, slots=True)
class PublicNotice:
    """What a page tells of one notice; `content` is what the digest covers.

    `since` is when it was put in force, `changed_at` when it was taken back or ended, `variant`
    why it was taken back (empty while unknown), `replaced_by` what stands in its place
    (empty where nothing does, yet or any more), whatever the reason.
    """

    number: str
    content: Mapping[str, Any]
    app_names: tuple[str, ...]
    state: PublicState
    issued_by: Signatory
    approved_by: tuple[Signatory, ...] = ()
    since: datetime | None = None
    changed_at: datetime | None = None
    variant: str = ""
    replaced_by: str = ""

    @property
    def is_exercise(self) -> bool:
        """Whether nothing has to be done because of it, whatever it says."""
        return order_of(self.content).get("mode") == "exercise"

    @property
    def is_over(self) -> bool:
        """Whether it was taken back or has ended."""
        return self.state in {PublicState.WITHDRAWN, PublicState.ENDED}

    @property
    def newer(self) -> str:
        """The notice that it was taken back for, if one stands in its place."""
        return self.replaced_by if self.variant == Variant.REPLACED else ""
