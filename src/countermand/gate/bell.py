"""How all processes of one gate hear of a change before they answer the next question.

One process follows the database and is told of stops; the others only answer. The first rings: it
raises a number in memory that all of them see. Each looks at that number (40 ns) before the first
question of every turn of its event loop. So when a stop is acknowledged, nobody answers from
before it any more. What was told lies beside the number, each stop once, so that hearing one costs
the same whatever was told before; and it counts also where no disk takes it.

    rung 8 | filled anew 8 | bytes that follow 8 | asked to look 8 | stops as JSON, a line each
"""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from countermand.stop.fence import Fence

_BYTES: Final = 1 << 20
_HEAD: Final = 32
_RUNG: Final = 0
_FILLED: Final = 1
_LENGTH: Final = 2
_LOOK: Final = 3


@dataclass(frozen=True, slots=True)
class Heard:
    """Stops that were told since the last time; `look` says that the folder may hold more."""

    stops: tuple[Fence, ...]
    look: bool


class Bell:
    """Memory that the processes of one gate share; it lies in no file and ends with them."""

    def __init__(self, file: int | None = None) -> None:
        """Make the memory, or take that of an open file that another process made."""
        self.file = os.memfd_create("countermand-gate") if file is None else file
        if file is None:
            os.ftruncate(self.file, _BYTES)
        self._memory = mmap.mmap(self.file, _BYTES)
        self._words = memoryview(self._memory)[:_HEAD].cast("Q")
        self._rung = self._filled = self._read = self._looked = 0
        self._ringing = threading.Lock()  # the follower rings from a thread of its own

    def ring(self, stops: Iterable[Fence] = (), *, look: bool = False) -> None:
        """Have the others hear of these stops before they answer again; only one process rings.

        `look` sends them to the folder of stops.
        """
        told = b"".join(each.to_json() + b"\n" for each in stops)
        with self._ringing:
            words = self._words
            begin = words[_LENGTH]
            if _HEAD + begin + len(told) > _BYTES:  # thousands: what was there lies in the folder
                words[_FILLED] += 1
                begin = 0
                told = told if _HEAD + len(told) <= _BYTES else b""
            self._memory[_HEAD + begin : _HEAD + begin + len(told)] = told
            words[_LENGTH] = begin + len(told)
            words[_LOOK] += look
            words[_RUNG] += 1

    def has_rung(self) -> bool:
        """Tell whether it rang since this was last asked."""
        number = self._words[_RUNG]
        if number == self._rung:
            return False
        self._rung = number
        return True

    def heard(self) -> Heard:
        """Return what was told since this was last asked; what is torn is looked up instead."""
        filled, length, looked = self._words[_FILLED], self._words[_LENGTH], self._words[_LOOK]
        look = filled != self._filled or looked != self._looked
        begin = self._read if filled == self._filled else 0
        self._filled, self._read, self._looked = filled, length, looked
        told = self._memory[_HEAD + begin : _HEAD + length]
        try:
            return Heard(tuple(Fence.from_json(each) for each in told.splitlines()), look)
        except ValueError:
            return Heard((), look=True)
