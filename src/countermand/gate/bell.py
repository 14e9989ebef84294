"""How all processes of one gate hear of a change before they answer the next question.

One process follows the database and is told of stops; the others only answer. The first rings: it
raises a number in memory that all of them see. Each looks at that number (40 ns) before the first
question of every turn of its event loop. So when a stop is acknowledged, nobody answers from
before it any more. What was told lies beside the number, each stop once, so that hearing one costs
the same whatever was told before; and it counts also where no disk takes it. So does the newest
list of orders, as it is written to the disk. Who reads it while the next one is written reads what
nobody signed, leaves it out, and is rung for once more.

    rung 8 | filled anew 8 | bytes of stops 8 | asked to look 8 | lists told 8 | bytes of the list 8
    stops as JSON, a line each
    the list, from a fixed place on
"""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from countermand.stop.fence import Fence

_STOPS_END: Final = 1 << 20
# Of tens of thousands of orders; what is not written takes no memory.
MOST_STATES: Final = 16 << 20
_BYTES: Final = _STOPS_END + MOST_STATES
_HEAD: Final = 48
_RUNG: Final = 0
_FILLED: Final = 1
_LENGTH: Final = 2
_LOOK: Final = 3
_LISTS: Final = 4
_LIST_LENGTH: Final = 5


@dataclass(frozen=True, slots=True)
class Heard:
    """Stops that were told since the last time; `look` says that the folder may hold more.

    `states` is the newest list of orders, empty where there is no newer one; `on_disk` says that
    there is, and that it is too long for this memory.
    """

    stops: tuple[Fence, ...]
    look: bool
    states: bytes = b""
    on_disk: bool = False


class Bell:
    """Memory that the processes of one gate share; it lies in no file and ends with them."""

    def __init__(self, file: int | None = None) -> None:
        """Make the memory, or take that of an open file that another process made."""
        self.file = os.memfd_create("countermand-gate") if file is None else file
        if file is None:
            os.ftruncate(self.file, _BYTES)
        self._memory = mmap.mmap(self.file, _BYTES)
        self._words = memoryview(self._memory)[:_HEAD].cast("Q")
        self._rung = self._filled = self._read = self._looked = self._lists = 0
        self._ringing = threading.Lock()  # the follower rings from a thread of its own

    def ring(self, stops: Iterable[Fence] = (), *, look: bool = False, states: bytes = b"") -> None:
        """Have the others hear of these stops before they answer again; only one process rings.

        `look` sends them to the folder of stops; `states` is a list of orders, which is left on
        the disk alone where it is longer than MOST_STATES.
        """
        told = b"".join(each.to_json() + b"\n" for each in stops)
        with self._ringing:
            words = self._words
            begin = words[_LENGTH]
            if _HEAD + begin + len(told) > _STOPS_END:  # thousands: they lie in the folder
                words[_FILLED] += 1
                begin = 0
                told = told if _HEAD + len(told) <= _STOPS_END else b""
            self._memory[_HEAD + begin : _HEAD + begin + len(told)] = told
            words[_LENGTH] = begin + len(told)
            words[_LOOK] += look
            if states:
                kept = states if len(states) <= MOST_STATES else b""
                self._memory[_STOPS_END : _STOPS_END + len(kept)] = kept
                words[_LIST_LENGTH] = len(kept)
                words[_LISTS] += 1
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
        filled, end, looked = self._words[_FILLED], self._words[_LENGTH], self._words[_LOOK]
        look = filled != self._filled or looked != self._looked
        begin = self._read if filled == self._filled else 0
        self._filled, self._read, self._looked = filled, end, looked
        told = self._memory[_HEAD + begin : _HEAD + end]
        lists = self._words[_LISTS]
        is_newer, self._lists = lists != self._lists, lists
        length = self._words[_LIST_LENGTH] if is_newer else 0
        states = self._memory[_STOPS_END : _STOPS_END + length]
        on_disk = is_newer and not length
        try:
            stops = tuple(Fence.from_json(each) for each in told.splitlines())
        except ValueError:
            stops, look = (), True
        return Heard(stops, look, states, on_disk)
