"""Which share of mail reading comes through a door that knows the device.

Without that figure a deadline is a bluff: a door that does not know the device never closes. The
logins that a webmail makes for somebody, and sending, are no reading of their own. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

# As `gate.door_kinds.DoorKind` names them; a name that is not known here counts as reading
# through a door that does not know the device.
KNOWS_DEVICE: Final = ("activesync_known", "device_password")
READS_WITHOUT: Final = (
    "activesync_unknown",
    "device_password_unknown",
    "main_password",
    "webmail",
    "pop3",
    "oauth",
)
NO_READING: Final = ("behind_webmail", "sending", "other")


@dataclass(frozen=True, slots=True)
class Share:
    """How many questions there were about reading mail, and how many through a knowing door."""

    known: int
    reading: int

    @property
    def per_cent(self) -> int | None:
        """The share in per cent, rounded down; None as long as nothing was counted."""
        return None if self.reading == 0 else self.known * 100 // self.reading


def share_of(counts: Mapping[str, int]) -> Share:
    """Return the share out of counts by door."""
    return Share(
        known=sum(count for door, count in counts.items() if door in KNOWS_DEVICE),
        reading=sum(count for door, count in counts.items() if door not in NO_READING),
    )
