"""The machine's own time, for promises between machines; deadlines are judged by the clock port.

How long a signed state is good for is counted on a clock that nobody sets and that runs while the
machine sleeps. What time of day it is matters only to tell an old state from a fresh one.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class MachineTime(Protocol):
    """Two clocks of one machine, in milliseconds."""

    def since_boot_ms(self) -> int:
        """Return the time since this machine started, sleep included."""
        ...

    def wall_ms(self) -> int:
        """Return the time since 1970, as far as the machine knows."""
        ...

    def boot_id(self) -> str:
        """Return what tells this start of the machine from every other."""
        ...


@dataclass(frozen=True, slots=True)
class ThisMachine:
    """The machine that this runs on."""

    def since_boot_ms(self) -> int:
        """Return the time since this machine started, sleep included."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000

    def wall_ms(self) -> int:
        """Return the time since 1970, as far as the machine knows."""
        return time.time_ns() // 1_000_000

    def boot_id(self) -> str:
        """Return what tells this start of the machine from every other."""
        try:
            return _BOOT_ID.read_text(encoding="ascii").strip()
        except OSError:
            return ""
