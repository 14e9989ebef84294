"""Work that waits for other people's servers, side by side: no piece waits for another.

What is due stands in the database: a piece that is lost is found again, and one that is refused
here because its like is under way comes back with the next look.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Final, Protocol

from django.db import connections

_LOG: Final = logging.getLogger("countermand.worker")
MOST_AT_ONCE: Final = 8  # each holds a connection to the database


class Begin(Protocol):
    """Begins a piece of work of this name, at once or beside others."""

    def __call__(self, name: str, work: Callable[[], object], /) -> object: ...


class SideBySide:
    """Pieces of work of one kind, each under a name of its own."""

    def __init__(self, kind: str) -> None:
        """Begin with nothing; `kind` names the threads."""
        self._kind = kind
        self._under_way: set[str] = set()
        self._lock = threading.Lock()

    def begin(self, name: str, work: Callable[[], object], /) -> bool:
        """Do `work` beside what is under way; False where that is its like, or too much."""
        with self._lock:
            if name in self._under_way or len(self._under_way) >= MOST_AT_ONCE:
                return False
            self._under_way.add(name)
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
            self._under_way.discard(name)
