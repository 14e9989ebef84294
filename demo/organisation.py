"""The invented organisation, and its inventories as they will stand at each turn of the story.

They are written by `countermand synth` in a process of its own, the first while the stage is set
up, the others while the story is told: an inventory of Friday does not depend on what is done
about it.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from countermand.cli import entry

FRIDAY = datetime.fromisoformat("2020-07-10T02:00Z")  # 07:30 in India
MONDAY = datetime.fromisoformat("2020-07-13T03:00Z")
JOINED = datetime.fromisoformat("2020-07-21T04:00Z")
EVE = datetime.fromisoformat("2020-07-23T01:00Z")
MORNING_AFTER = datetime.fromisoformat("2020-07-24T05:30Z")
NOON = MORNING_AFTER + timedelta(hours=6)

_NEWCOMERS = 30
_HOUR = timedelta(hours=1)


@dataclass
class Organisation:
    """Folders of invented people and devices, by the turn of the story at which they are true."""

    folder: Path
    people: int
    seed: str
    _coming: dict[str, Future[dict[str, Any]]] = field(default_factory=dict)

    def begin(self) -> None:
        """Begin to invent the organisation as it stands on Friday."""
        self._invent_all((("friday", FRIDAY - _HOUR, ()),))

    def go_on(self) -> None:
        """Begin to invent what comes later, in the order in which it is needed."""
        self._invent_all(
            (
                ("monday", MONDAY - _HOUR, ()),
                ("joined", MONDAY - _HOUR, _later(JOINED, "0%")),
                ("eve", MONDAY - _HOUR, _later(EVE, "60%")),
                ("morning", MONDAY - _HOUR, _later(MORNING_AFTER, "60%")),
                ("noon", MONDAY - _HOUR, _later(NOON, "90%")),
            )
        )

    def _invent_all(self, wanted: Iterable[tuple[str, datetime, tuple[str, ...]]]) -> None:
        # A fresh process: this one has threads, and a database of its own.
        one_by_one = ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn"))
        for name, as_of, options in wanted:
            self._coming[name] = one_by_one.submit(
                _invent,
                [
                    *("synth", "--json", "--people", str(self.people - 8), "--seed", self.seed),
                    *("--out", str(self.folder / name), "--as-of", as_of.isoformat(), *options),
                ],
            )
        one_by_one.shutdown(wait=False)

    def summary(self, name: str) -> dict[str, Any]:
        """Wait until a folder is written; return what `synth` said of it."""
        return self._coming[name].result()

    def path(self, name: str) -> Path:
        """Wait until a folder is written, and return it."""
        self.summary(name)
        return self.folder / name


def _invent(arguments: list[str]) -> dict[str, Any]:
    """Give one command line; return what it said."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = entry.main(arguments)
    if code != 0:
        raise ChildProcessError(f"countermand {' '.join(arguments)} ended with {code}")
    said: dict[str, Any] = json.loads(out.getvalue())
    return said


def _later(moment: datetime, removed: str) -> tuple[str, ...]:
    """Options of `synth` for an inventory of `moment`, newcomers included."""
    hours = int((moment - MONDAY + _HOUR) / _HOUR)
    newcomers = ("--late-joiners", str(_NEWCOMERS))
    return ("--after-removal", removed, *newcomers, "--later", f"{hours}h")
