"""Gates on one data folder tell the one that writes the table of a damaged page that they met.

A file that is there says so; whoever writes takes it away and reads all entries anew.
"""

from __future__ import annotations

from pathlib import Path

from countermand.gate import log_lines


class DamageNote:
    """The file, and how much of its own damage this gate has told by it."""

    def __init__(self, path: Path) -> None:
        """Name the file; nothing is written yet."""
        self._path = path
        self._told = 0

    def tell(self, met: int) -> None:
        """Leave the file if this gate met more damage than it has told; `met` only rises."""
        if met <= self._told:
            return
        try:
            self._path.touch(mode=0o600)
        except OSError as error:
            log_lines.error("damage.not_told", why=str(error))
        else:
            self._told = met

    def take(self) -> bool:
        """Take the file away; returns whether it was there."""
        try:
            self._path.unlink()
        except OSError:
            return False
        return True
