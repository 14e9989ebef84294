"""An event loop whose clock leaps over every wait, so that tests see pauses and take none."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class _Leaps(selectors.DefaultSelector):
    leapt_s = 0.0

    def select(self, timeout: float | None = None) -> Any:
        self.leapt_s += timeout or 0.0
        return super().select(0)


class LeapingLoop(asyncio.SelectorEventLoop):
    """Its time is that of all waits so far; nothing from outside may be waited for."""

    def __init__(self) -> None:
        self._leaps = _Leaps()
        super().__init__(self._leaps)

    def time(self) -> float:
        return self._leaps.leapt_s


@contextmanager
def a_leaping_loop() -> Iterator[LeapingLoop]:
    loop = LeapingLoop()
    try:
        yield loop
    finally:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
