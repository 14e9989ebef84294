"""The relay's queue stays short: a deep queue is what makes a stop a lie.

What the relay took and has not passed on can still be delivered after a stop. So no more is handed
over than the relay passes on within little more than a second, by its own rate as it was seen.
Only the beginning of a mail waits for this, never an open one; corrections wait for nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from typing import Final

from countermand.domain.errors import CountermandError
from countermand.sender.journal import note

LOOK_EVERY_S: Final = 0.5
LOOK_SOON_S: Final = 0.1
_TARGET_S: Final = 1.2
_SMALLEST: Final = 32  # mails that may wait whatever the rate: something has to begin
_STUCK_S: Final = 20.0  # waits for somebody else's server; says nothing about the relay's rate
_NEW_SHARE: Final = 0.4


class QueueDepth:
    """What of ours waits at the relay, and how quickly it passes mails on. Times are in seconds."""

    def __init__(self) -> None:
        """Nothing was handed over yet."""
        self._waiting: dict[str, float] = {}
        self._looked_at_s: float | None = None
        self._was_busy = False
        self.rate = 0.0  # mails a second

    def __len__(self) -> int:
        """Count what was handed over and is not known to be passed on."""
        return len(self._waiting)

    def hand_over(self, queue_id: str, *, at_s: float) -> None:
        """Note down that the relay took a mail."""
        self._waiting[queue_id] = at_s
        if self._looked_at_s is None:
            self._looked_at_s = at_s

    def see(self, queued: Collection[str], *, at_s: float) -> None:
        """Take in a look at the queue that began at `at_s`; younger mails are not judged by it."""
        if self._looked_at_s is None:
            return
        judged = [each for each, since_s in self._waiting.items() if since_s < at_s]
        gone = [each for each in judged if each not in queued]
        elapsed_s = at_s - self._looked_at_s
        if elapsed_s > 0 and judged:
            rate = len(gone) / elapsed_s
            self._was_busy = len(gone) < len(judged)
            # An empty queue shows what we gave, not what the relay could have done.
            mixed = self.rate + _NEW_SHARE * (rate - self.rate)
            self.rate = mixed if self._was_busy and self.rate else max(self.rate, rate)
        self._looked_at_s = at_s
        stuck = [each for each in judged if at_s - self._waiting[each] > _STUCK_S]
        for each in (*gone, *stuck):
            self._waiting.pop(each, None)

    def is_deep(self) -> bool:
        """Say whether nothing more may be handed over now."""
        return len(self._waiting) >= max(_SMALLEST, _TARGET_S * self.rate)

    def look_after_s(self) -> float:
        """Say how long after a look the next one is due.

        A relay that has work for a second is not asked often: looking takes its time from it. One
        that may have run out of work while mails wait for a look is asked soon.
        """
        return LOOK_SOON_S if self.is_deep() and not self._was_busy else LOOK_EVERY_S


class Pace:
    """Looks at the relay's queue while mails leave. Without a way to look, nothing is held up."""

    def __init__(self, queued: Callable[[], Collection[str]] | None = None) -> None:
        """Let `queued` list the queue ids at the relay; it is called in a thread of its own."""
        self._queued = queued
        self._depth = QueueDepth()
        self._is_blind = queued is None

    def allows(self) -> bool:
        """Say whether another mail may be begun at this instant."""
        return self._is_blind or not self._depth.is_deep()

    def hand_over(self, queue_id: str | None) -> None:
        """Note down that the relay took a mail."""
        if self._queued is not None and queue_id:
            self._depth.hand_over(queue_id, at_s=time.monotonic())

    async def run(self) -> None:
        """Look, over and over, as long as something of ours may wait."""
        if self._queued is None:
            return
        looked_s = time.monotonic()
        while True:
            await asyncio.sleep(LOOK_SOON_S)
            begun_s = time.monotonic()
            if not self._depth or begun_s - looked_s < self._depth.look_after_s():
                continue
            looked_s = begun_s
            try:
                queued = await asyncio.to_thread(self._queued)
            except CountermandError as error:
                if not self._is_blind:
                    note("relay.queue_not_seen", code=error.code)
                self._is_blind = True
            else:
                self._is_blind = False
                self._depth.see(frozenset(queued), at_s=begun_s)
