"""Stops lie in a folder of files; a gate sees a new one within a twentieth of a second.

The look is cheap while nothing changes. Time stamps and inode numbers can lie about a file that
was replaced within one tick, so every second the files are read whatever they show; but for those
of an order that was taken back, since nothing can change that any more.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from countermand.gate.order_states import OrderStates
from countermand.stop import fence as fences
from countermand.stop.fence import Fence, FenceUnreadable

READ_ANYWAY_EVERY_MS: Final = 1000
Shown = dict[str, tuple[int, ...]]


@dataclass(slots=True)
class FenceWatch:
    """The folder of stops as it was last seen."""

    folder: Path
    states: OrderStates
    _shown: Shown | None = None
    _read_at_ms: int = -READ_ANYWAY_EVERY_MS
    _known: dict[str, Fence | None] = field(default_factory=dict)
    _unreadable: set[str] = field(default_factory=set)

    def look(self, now_ms: int) -> bool:
        """Tell the states what lies in the folder; `now_ms` is any steady clock.

        Returns whether it says something else than before. A folder that cannot be read shuts
        nothing.
        """
        before = self._shown
        try:
            shown = _shown(self.folder)
        except OSError:
            self.states.stop_everything()
            self._shown = None
            return before is not None
        is_due = now_ms - self._read_at_ms >= READ_ANYWAY_EVERY_MS
        if shown == before and not is_due:
            return False
        if is_due or before is None:
            changed = set(shown)
            self._read_at_ms = now_ms
        else:
            changed = {name for name, about in shown.items() if before.get(name) != about}
        self._shown = shown
        return self._read(_numbers(changed), of=_numbers(shown), anew=before is None)

    def _read(self, numbers: set[str], *, of: set[str], anew: bool) -> bool:
        """Read the stops of some orders `of` those that have any, and tell what is new."""
        found: list[Fence] = []
        unreadable = self._unreadable & of
        for number in sorted(numbers):
            known = self._known.get(number)
            if known is not None and known.withdrawn:
                continue
            unreadable.discard(number)
            try:
                fence = fences.read(self.folder, number)
            except FenceUnreadable:
                unreadable.add(number)
                fence = known
            if fence is not None and fence != known:
                found.append(fence)
            self._known[number] = fence
        is_new = anew or bool(found) or unreadable != self._unreadable
        self._unreadable = unreadable
        if is_new:
            self.states.stop(found, unreadable=unreadable)
        return is_new


def _numbers(names: Iterable[str]) -> set[str]:
    return {name.split(".", 1)[0] for name in names}


def _shown(folder: Path) -> Shown:
    with os.scandir(folder) as entries:
        return {
            each.name: (about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns)
            for each in entries
            if each.name.endswith(".json") and not each.name.startswith(".")
            for about in (each.stat(),)
        }
