"""Device passwords come in steps, group by group, and nobody is locked out by surprise.

    activesync_only --> volunteers --> new_devices --> main_password_limited

Before `volunteers` nobody is given one. Only the last step changes what the mail server accepts:
the main password is then good at the webmail alone. Whoever is in several groups stands where the
one stands that has come furthest. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Final

EVERYBODY: Final = "*"


class Stage(StrEnum):
    """How far a group has come."""

    ACTIVESYNC_ONLY = "activesync_only"
    VOLUNTEERS = "volunteers"
    NEW_DEVICES = "new_devices"
    MAIN_PASSWORD_LIMITED = "main_password_limited"  # noqa: S105 - the name of a stage

    @property
    def issues(self) -> bool:
        """Whether people at this stage may have device passwords."""
        return self is not Stage.ACTIVESYNC_ONLY

    @property
    def limits_main_password(self) -> bool:
        """Whether the main password is good at the webmail alone."""
        return self is Stage.MAIN_PASSWORD_LIMITED


_ORDER: Final = tuple(Stage)


def stage_of(groups: Collection[str], stages: Mapping[str, Stage]) -> Stage:
    """Return where somebody in these groups stands; `stages` says where each group stands."""
    reached = [stages[group] for group in {*groups, EVERYBODY} if group in stages]
    return max(reached, key=_ORDER.index, default=Stage.ACTIVESYNC_ONLY)
