"""A few wrong tries at a secret, so that guessing is slow and is noticed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_AT_ONCE: Final = 10
_PER_S: Final = 0.5


@dataclass(slots=True)
class Tries:
    """A few wrong tries at once, then one every two seconds."""

    left: float = float(_AT_ONCE)
    counted_at_s: float | None = None

    def take(self, now_s: float) -> bool:
        """Use a try up, if there is one; `now_s` is of a clock that nobody sets."""
        passed_s = 0.0 if self.counted_at_s is None else now_s - self.counted_at_s
        self.left = min(float(_AT_ONCE), self.left + passed_s * _PER_S)
        self.counted_at_s = now_s
        if self.left < 1:
            return False
        self.left -= 1
        return True
