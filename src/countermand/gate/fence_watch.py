"""Stops lie in a folder of files; a gate sees a new one within a twentieth of a second.

The look is cheap while nothing changes. Time stamps and inode numbers can lie about a file that
was replaced within one tick, so every second the files are read whatever they show.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from countermand.gate.order_states import OrderStates
from countermand.stop import fence as fences
from countermand.stop.fence import Fence, FenceUnreadable

READ_ANYWAY_EVERY_MS: Final = 1000


@dataclass(slots=True)
class FenceWatch:
    """The folder of stops as it was last seen."""

    folder: Path
    states: OrderStates
    _seen: tuple[object, ...] | None = None
    _read_at_ms: int = -READ_ANYWAY_EVERY_MS

    def look(self, now_ms: int) -> bool:
        """Tell the states what lies in the folder; `now_ms` is any steady clock.

        Returns whether the files were read. A folder that cannot be read shuts nothing.
        """
        try:
            shown = _shown(self.folder)
        except OSError:
            self.states.stop_everything()
            self._seen = None
            return True
        if shown == self._seen and now_ms - self._read_at_ms < READ_ANYWAY_EVERY_MS:
            return False
        self._read(shown)
        self._seen, self._read_at_ms = shown, now_ms
        return True

    def look_anyway(self, now_ms: int) -> None:
        """Read the files, whatever the folder shows."""
        self._seen = None
        self.look(now_ms)

    def _read(self, shown: tuple[tuple[object, ...], ...]) -> None:
        found: list[Fence] = []
        unreadable: set[str] = set()
        for number in sorted({str(name).split(".", 1)[0] for name, *_ in shown}):
            try:
                fence = fences.read(self.folder, number)
            except FenceUnreadable:
                unreadable.add(number)
                continue
            if fence is not None:
                found.append(fence)
        self.states.stop(found, unreadable=unreadable)


def _shown(folder: Path) -> tuple[tuple[object, ...], ...]:
    with os.scandir(folder) as entries:
        return tuple(
            sorted(
                (each.name, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns)
                for each in entries
                if each.name.endswith(".json") and not each.name.startswith(".")
                for about in (each.stat(),)
            )
        )
