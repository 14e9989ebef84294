"""When the worker looked for due work last: whoever waits for it, and the doctor, read it here.

A note, not a promise: it is written several times a second and does not outlive the power.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from countermand.data_folder import PRIVATE_FILE, DataFolder, read_json

_NAME: Final = "worker.swept"


@dataclass(frozen=True, slots=True)
class SweepNote:
    """The last sweep that came to its end, whatever it could do."""

    began_at: datetime  # by the clock that everything here is told
    ended_at: float  # seconds since 1970, by the machine's own clock


def write(folder: DataFolder, began_at: datetime) -> None:
    """Note that a sweep has ended."""
    path = folder.run / _NAME
    draft = path.with_name(f".{_NAME}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, PRIVATE_FILE)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        json.dump({"pid": os.getpid(), "began_at": began_at.isoformat()}, file)
    draft.replace(path)


def read(folder: DataFolder) -> SweepNote | None:
    """Return the last note; None when no worker ever ended a sweep here."""
    path = folder.run / _NAME
    told = read_json(path)
    if "began_at" not in told:
        return None
    return SweepNote(datetime.fromisoformat(str(told["began_at"])), path.stat().st_mtime)
