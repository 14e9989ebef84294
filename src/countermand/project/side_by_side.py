"""Work that waits for other people's servers, side by side: no piece waits for another.

What is due stands in the database: a piece that is lost is found again, and one that is refused
here because its like is under way comes back with the next look. So does one for which there is no
place; a server that is silent keeps a place for no longer than it is waited for.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

from django.db import connections

_LOG: Final = logging.getLogger("countermand.worker")
MOST_AT_ONCE: Final = 8  # each may be at work, and holds a connection to the database
MOST_IN_ALL: Final = 32  # those that are waited for included
# Five tries at a server that does not answer, with the pauses between them (`wire.http`). What goes
# on for longer has told much already, or is told to wait: it hardly works here.
LONGEST_PLACE_S: Final = 240.0


class Begin(Protocol):
    """Begins a piece of work of this name, at once or beside others."""

    def __call__(self, name: str, work: Callable[[], object], /) -> object: ...


class SideBySide:
    """Pieces of work of one kind, each under a name of its own."""

    def __init__(self, kind: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Begin with nothing; `kind` names the threads."""
        self._kind = kind
        self._monotonic = monotonic
        self._under_way: dict[str, float] = {}  # since when
        self._lock = threading.Lock()

    def begin(self, name: str, work: Callable[[], object], /) -> bool:
        """Do `work` beside what is under way; False where that is its like, or too much."""
        now = self._monotonic()
        with self._lock:
            if name in self._under_way:
                return False
            at_work = [n for n, at in self._under_way.items() if now - at < LONGEST_PLACE_S]
            if len(at_work) >= MOST_AT_ONCE or len(self._under_way) >= MOST_IN_ALL:
                held_by = ",".join(sorted(self._under_way))
                _LOG.warning("%s.no_place waits=%s held_by=%s", self._kind, name, held_by)
                return False
            self._under_way[name] = now
        thread = threading.Thread(
            target=self._do, args=(name, work), name=f"{self._kind}:{name}", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # the machine has no more threads
            self._end(name)
            raise
        return True

    def _do(self, name: str, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception:  # noqa: BLE001  (the database went away; it is tried again)
            _LOG.exception("%s.failed", self._kind)
        finally:
            connections.close_all()
            self._end(name)

    def _end(self, name: str) -> None:
        with self._lock:
            self._under_way.pop(name, None)
