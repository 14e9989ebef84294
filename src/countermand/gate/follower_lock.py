"""Of all gates on one data folder, one follows the database: the one that holds this lock."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from countermand.gate import log_lines


class FollowerLock:
    """A lock that the kernel takes away from whoever dies."""

    def __init__(self, path: Path) -> None:
        """Name the file; nothing is taken yet."""
        self._path = path
        self._file: int | None = None

    @property
    def is_held(self) -> bool:
        """Tell whether this process holds it."""
        return self._file is not None

    def take(self) -> bool:
        """Take it if nobody has it; returns whether this process has it now.

        Where it cannot be tried (no file may be opened just now, the file system knows no locks),
        another time will do.
        """
        if self._file is not None:
            return True
        try:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            log_lines.warning("lock.not_tried", why=str(error))
            return False
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(file)
            if not isinstance(error, BlockingIOError):  # that one says: another gate has it
                log_lines.warning("lock.not_tried", why=str(error))
            return False
        self._file = file
        return True

    def release(self) -> None:
        """Let go."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)
