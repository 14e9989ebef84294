"""What is loaded and begun in a thread of its own, and again later where that fails."""

from __future__ import annotations

import threading
from collections.abc import Callable

from countermand.gate import log_lines


def begin(what: Callable[[], None], *, undo: Callable[[], None]) -> None:
    """Do `what` in a thread; where that fails, `undo` is called, so that it can be tried again."""
    try:
        threading.Thread(target=_try, args=(what, undo), name="follow", daemon=True).start()
    except RuntimeError as error:  # no thread is to be had just now
        log_lines.error("feed.not_begun", why=str(error))
        undo()


def _try(what: Callable[[], None], undo: Callable[[], None]) -> None:
    try:
        what()
    except Exception as error:  # noqa: BLE001 - no file may be opened, no memory is left, ...
        log_lines.error("feed.not_begun", why=type(error).__name__)
        undo()
