"""Questions that were let through because no gate answered: proxies write a line for each.

The shipped nginx configuration fails open, and never silently: its way out writes a line into a
log of its own. A gate that is up again counts the lines, also those from before its start. How far
it came is kept, so no line is counted again by the next gate on the same data folder.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from countermand.data_folder import FileDamaged, read_json
from countermand.gate.counts import Counts

_PIECE: Final = 1 << 20
_AT_THE_START: Final = (0, 0)


class DownLogs:
    """The log files and how far each has been counted: which file, and how many bytes of it."""

    def __init__(self, paths: Iterable[Path], counts: Counts, kept: Path | None = None) -> None:
        """Begin where the file `kept` says, else at the start of each log."""
        self._paths = tuple(paths)
        self._counts = counts
        self._kept = kept
        self._places: dict[Path, tuple[int, int]] | None = None
        self.unreadable = 0

    def look(self) -> None:
        """Count the lines that are new, a piece of each file at a time; the loop is not held up.

        How many cannot be read is in `unreadable`; one that is not there is none of them.
        """
        if self._places is None:  # not before: until then another gate may have counted
            self._places = self._recalled()
        unreadable = 0
        before = dict(self._places)
        for path, (file_number, read) in before.items():
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
        if self._places != before:
            self._keep(self._places)

    def _recalled(self) -> dict[Path, tuple[int, int]]:
        said: dict[str, Any] = {}
        if self._kept is not None:
            with contextlib.suppress(FileDamaged, OSError):
                said = read_json(self._kept)
        return {path: _place(said.get(str(path))) for path in self._paths}

    def _keep(self, places: dict[Path, tuple[int, int]]) -> None:
        """Write it down without waiting for a disk; where that fails lines are counted again."""
        if self._kept is None:
            return
        beside = self._kept.with_name(f".{self._kept.name}")
        with contextlib.suppress(OSError):
            said = {str(path): place for path, place in places.items()}
            beside.write_text(json.dumps(said), encoding="utf-8")
            beside.replace(self._kept)


def _place(said: object) -> tuple[int, int]:
    match said:
        case [int(file_number), int(read)]:
            return file_number, read
        case _:
            return _AT_THE_START
