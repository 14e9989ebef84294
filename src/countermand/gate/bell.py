"""How all processes of one gate hear of a change before they answer the next question.

One process follows the database and is told of stops; the others only answer. The first rings: it
raises a number in memory that all of them see. Each looks at that number (40 ns) before the first
question of every turn of its event loop. So when a stop is acknowledged, nobody answers from
before it any more. What was told lies beside the number: it counts also where no disk takes it.

    number 8 | bytes that follow 8 | stops as JSON
"""

from __future__ import annotations

import json
import mmap
import os
import threading
from collections.abc import Iterable
from typing import Final

from countermand.stop.fence import Fence

_BYTES: Final = 1 << 20
_HEAD: Final = 16
_NUMBER: Final = 0
_LENGTH: Final = 1


class Bell:
    """Memory that the processes of one gate share; it lies in no file and ends with them."""

    def __init__(self, file: int | None = None) -> None:
        """Make the memory, or take that of an open file that another process made."""
        self.file = os.memfd_create("countermand-gate") if file is None else file
        if file is None:
            os.ftruncate(self.file, _BYTES)
        self._memory = mmap.mmap(self.file, _BYTES)
        self._words = memoryview(self._memory)[:_HEAD].cast("Q")
        self._heard = 0
        self._ringing = threading.Lock()  # the follower rings from a thread of its own

    def ring(self, stops: Iterable[Fence] = ()) -> None:
        """Tell the others to look again, and which stops stand; only one process ever rings."""
        content = json.dumps([each.to_json().decode() for each in stops]).encode()
        if len(content) > _BYTES - _HEAD:
            content = b"[]"  # thousands of stops: then they are read from their folder alone
        with self._ringing:
            self._words[_LENGTH] = 0
            self._memory[_HEAD : _HEAD + len(content)] = content
            self._words[_LENGTH] = len(content)
            self._words[_NUMBER] += 1

    def has_rung(self) -> bool:
        """Tell whether it rang since this was last asked."""
        number = self._words[_NUMBER]
        if number == self._heard:
            return False
        self._heard = number
        return True

    def stops(self) -> list[Fence]:
        """Return the stops that were told with it; what is torn is read at the next ringing."""
        content = self._memory[_HEAD : _HEAD + self._words[_LENGTH]]
        try:
            return [Fence.from_json(each) for each in json.loads(content)]
        except ValueError:
            return []
