"""Questions that were let through because no gate answered: proxies write a line for each.

The shipped nginx configuration fails open, and never silently: its way out writes a line into a
log of its own. A gate that is up again counts the lines, also those from before its start.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from countermand.gate.counts import Counts

_PIECE: Final = 1 << 20


class DownLogs:
    """The log files and how far each has been counted."""

    def __init__(self, paths: Iterable[Path], counts: Counts) -> None:
        """Begin at the start of each file."""
        self._places: dict[Path, tuple[int, int]] = dict.fromkeys(paths, (0, 0))
        self._counts = counts
        self.unreadable = 0

    def look(self) -> None:
        """Count the lines that are new, a piece of each file at a time; the loop is not held up.

        How many cannot be read is in `unreadable`; one that is not there is none of them.
        """
        unreadable = 0
        for path, (file_number, read) in self._places.items():
            try:
                with path.open("rb") as log:
                    about = os.fstat(log.fileno())
                    if about.st_ino != file_number or about.st_size < read:
                        read = 0  # turned over  # noqa: PLW2901
                    log.seek(read)
                    piece = log.read(_PIECE)
            except FileNotFoundError:  # nothing was ever written
                continue
            except OSError:
                unreadable += 1
                continue
            lines = piece.count(b"\n")
            if lines:
                self._counts.counter("gate_down_answers", log=path.name).n += lines
            self._places[path] = (about.st_ino, read + piece.rfind(b"\n") + 1)
        self.unreadable = unreadable
