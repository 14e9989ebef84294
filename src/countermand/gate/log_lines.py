"""One line of JSON per event on the standard error, without loading anything for it.

An event is `noun.verb` with facts as keys. No name, no device and no password is ever a fact.

Of one event no more than MOST_A_MINUTE are written within a minute; the next one that is written
says how many were `left_out`. Where the log takes nothing (a disk that is full), nothing is
written: a line that is lost must never keep a door shut, or a stop from being acknowledged.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Any, Final

from countermand.gate.machine_time import MachineTime, ThisMachine

MOST_A_MINUTE: Final = 10
_MINUTE_MS: Final = 60_000


class Bounds:
    """How often each event was written within its minute; there are as many as the code has."""

    def __init__(self, time: MachineTime) -> None:
        """Count from now on."""
        self._time = time
        self._minutes: dict[str, tuple[int, int]] = {}  # when it began, and how many came

    def left_out(self, event: str) -> int | None:
        """Return how many were left out before this one, None if it is to be left out itself."""
        now_ms = self._time.since_boot_ms()
        began_ms, came = self._minutes.get(event, (now_ms, 0))
        if now_ms - began_ms >= _MINUTE_MS:
            self._minutes[event] = (now_ms, 1)
            return max(0, came - MOST_A_MINUTE)
        self._minutes[event] = (began_ms, came + 1)
        return 0 if came < MOST_A_MINUTE else None


_bounds: Final = Bounds(ThisMachine())


def info(event: str, **facts: Any) -> None:
    """Tell of something that went as it ought to."""
    _write("info", event, facts)


def warning(event: str, **facts: Any) -> None:
    """Tell of something that a person may want to look at."""
    _write("warning", event, facts)


def error(event: str, **facts: Any) -> None:
    """Tell of something that a person has to look at."""
    _write("error", event, facts)


def _write(level: str, event: str, facts: dict[str, Any]) -> None:
    left_out = _bounds.left_out(event)
    if left_out is None:
        return
    at = datetime.fromtimestamp(ThisMachine().wall_ms() / 1000, UTC).isoformat()
    line = {"level": level, "event": event, "timestamp": at, **facts}
    if left_out:
        line["left_out"] = left_out
    try:
        sys.stderr.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):  # no room on the disk, nobody reads it, or it is closed
        return
