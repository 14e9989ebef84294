"""Stops lie in a folder of files; a gate sees a new one within a twentieth of a second.

While nothing changes a look asks for one time stamp, the folder's: whoever answers looks twenty
times a second, and thousands of stops must not cost phones anything. Time stamps and inode numbers
can lie about a file that was replaced within one tick, so no stamp is believed that is not older
than a tick, and every second the files are read whatever they show; but for those of an order that
was taken back, since nothing can change that any more.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from countermand.gate.order_states import OrderStates
from countermand.stop import fence as fences
from countermand.stop.fence import Fence, FenceUnreadable

READ_ANYWAY_EVERY_MS: Final = 1000
_SETTLED_MS: Final = 20  # longer than a tick of any kernel's clock
Shown = dict[str, tuple[int, ...]]


@dataclass(slots=True)
class FenceWatch:
    """The folder of stops as it was last seen."""

    folder: Path
    states: OrderStates
    _shown: Shown | None = None
    _stamp: tuple[int, ...] | None = None
    _stamp_since_ms: int = 0
    _settled: bool = False
    _read_at_ms: int = -READ_ANYWAY_EVERY_MS
    _known: dict[str, Fence | None] = field(default_factory=dict)
    _unreadable: set[str] = field(default_factory=set)

    def look(self, now_ms: int) -> bool:
        """Tell the states what lies in the folder; `now_ms` is any steady clock.

        Returns whether it says something that was not known here, be it told or read. A folder
        that cannot be read shuts nothing.
        """
        before = self._shown
        is_due = now_ms - self._read_at_ms >= READ_ANYWAY_EVERY_MS
        try:
            if not self._may_have_changed(now_ms) and not is_due:
                return False
            shown = _shown(self.folder, self._taken_back())
        except OSError:
            self.states.stop_everything()
            self._shown = self._stamp = None
            return before is not None
        if shown == before and not is_due:
            return False
        if is_due or before is None:
            changed = set(shown)
            self._read_at_ms = now_ms
        else:
            changed = {name for name, about in shown.items() if before.get(name) != about}
        self._shown = shown
        return self._read(_numbers(changed), of=_numbers(shown), anew=before is None)

    def _may_have_changed(self, now_ms: int) -> bool:
        """Tell whether a file may have come or gone since the last time that this said yes."""
        about = self.folder.stat()
        stamp = about.st_ino, about.st_mtime_ns, about.st_ctime_ns
        if stamp != self._stamp:
            self._stamp, self._stamp_since_ms, self._settled = stamp, now_ms, False
            return True
        if self._settled:
            return False
        self._settled = now_ms - self._stamp_since_ms >= _SETTLED_MS
        return True

    def _taken_back(self) -> set[str]:
        return {number for number, known in self._known.items() if known and known.withdrawn}

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
        says_more = anew or bool(found) or unreadable != self._unreadable
        self._unreadable = unreadable
        return says_more and (self.states.stop(found, unreadable=unreadable) or anew)


def _numbers(names: Iterable[str]) -> set[str]:
    return {name.split(".", 1)[0] for name in names}


def _shown(folder: Path, taken_back: AbstractSet[str]) -> Shown:
    """Return how every file looks; for those of an order taken back, only that they are there.

    Nothing can change these, and a house keeps them for ever.
    """
    with os.scandir(folder) as entries:
        return {
            each.name: () if each.name.split(".", 1)[0] in taken_back else _about(each)
            for each in entries
            if each.name.endswith(".json") and not each.name.startswith(".")
        }


def _about(entry: os.DirEntry[str]) -> tuple[int, ...]:
    about = entry.stat()
    return about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns
