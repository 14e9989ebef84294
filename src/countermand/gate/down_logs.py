"""Questions that were let through because no gate answered: proxies write a line for each.

The shipped nginx configuration fails open, and never silently: its way out writes a line into a
log of its own. A gate that is up again counts the lines, also those from before its start and
those of a log that was turned over meanwhile. How far it came is kept, so no line is counted again
by the next gate on the same data folder. What was gone before it could be counted is said.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from countermand.data_folder import FileDamaged, read_json
from countermand.gate.counts import Counts
from countermand.gate.turned_log import Place, TurnedLog

_AT_THE_START: Final = Place()


class DownLogs:
    """The log files, and how far each has been counted."""

    def __init__(self, paths: Iterable[Path], counts: Counts, kept: Path | None = None) -> None:
        """Begin where the file `kept` says, else at the start of each log."""
        self._paths = tuple(paths)
        self._counts = counts
        self._kept = kept
        self._logs: tuple[TurnedLog, ...] | None = None
        self.unreadable = 0

    def look(self) -> None:
        """Count the lines that are new, a piece of each file at a time; the loop is not held up.

        How many cannot be read is in `unreadable`; one that is not there is none of them.
        """
        if self._logs is None:  # not before: until then another gate may have counted
            self._logs = self._recalled()
        before = [log.place for log in self._logs]
        self.unreadable = sum(not self._counts_of(log) for log in self._logs)
        if [log.place for log in self._logs] != before:
            self._keep(self._logs)

    def _counts_of(self, log: TurnedLog) -> bool:
        """Count what is new in one log; returns whether it could be read."""
        lines, missed = log.lines, log.missed
        try:
            log.look()
        except OSError:
            return False
        finally:
            self._add("gate_down_answers", log, log.lines - lines)
            self._add("gate_down_missed", log, log.missed - missed)
        return True

    def _add(self, name: str, log: TurnedLog, number: int) -> None:
        if number:
            self._counts.counter(name, log=log.path.name).n += number

    def _recalled(self) -> tuple[TurnedLog, ...]:
        said: dict[str, Any] = {}
        if self._kept is not None:
            with contextlib.suppress(FileDamaged, OSError):
                said = read_json(self._kept)
        return tuple(TurnedLog(path, _place(said.get(str(path)))) for path in self._paths)

    def _keep(self, logs: Iterable[TurnedLog]) -> None:
        """Write it down without waiting for a disk; where that fails lines are counted again."""
        if self._kept is None:
            return
        beside = self._kept.with_name(f".{self._kept.name}")
        with contextlib.suppress(OSError):
            said = {str(log.path): log.place for log in logs}
            beside.write_text(json.dumps(said), encoding="utf-8")
            beside.replace(self._kept)


def _place(said: object) -> Place:
    match said:
        case [int(number), int(read), str(before)]:
            return Place(number, read, before)
        case [int(number), int(read)]:  # as a gate of before wrote it
            return Place(number, read)
        case _:
            return _AT_THE_START
