"""Gates on one data folder tell the one that writes the table of a damaged page that they met.

A file that is there says so; whoever writes reads all entries anew and takes it away then.
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

    def is_there(self) -> bool:
        """Tell whether any gate left the file."""
        return self._path.exists()

    def take(self) -> None:
        """Take the file away: what it told of is healed."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            log_lines.error("damage.note_stays", why=str(error), consequence="all is read again")
