"""What a check of the doctor found: one sentence, and the way out when it is bad."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """What a check found."""

    GOOD = "good"
    BAD = "bad"
    NOTE = "note"  # worth knowing, and no fault


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: its name, what it found, one sentence, and the way out if it is bad."""

    name: str
    state: State
    sentence: str
    remedy: str = ""
