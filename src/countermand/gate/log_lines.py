"""One line of JSON per event on the standard error, without loading anything for it.

An event is `noun.verb` with facts as keys. No name, no device and no password is ever a fact.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Any

from countermand.gate.machine_time import ThisMachine


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
    at = datetime.fromtimestamp(ThisMachine().wall_ms() / 1000, UTC).isoformat()
    line = {"level": level, "event": event, "timestamp": at, **facts}
    sys.stderr.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")
    sys.stderr.flush()
