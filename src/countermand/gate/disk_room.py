"""Whether a disk takes what is to be written, asked before it is written.

The table is a memory map: one that is begun on a disk without room ends its process by a signal
that nothing can catch. And where a disk takes nothing, what could not be written is no damage.
"""

from __future__ import annotations

import os
from errno import EDQUOT, EFBIG, EIO, ENOSPC, EROFS
from pathlib import Path
from typing import Final

A_LITTLE: Final = 1 << 20
# The last is said where a process may write no file so long.
_TAKES_NOTHING: Final = frozenset({ENOSPC, EDQUOT, EROFS, EIO, EFBIG})


def is_refused(error: OSError) -> bool:
    """Tell whether the disk takes nothing: not where a file is gone, or no more may be opened."""
    return error.errno in _TAKES_NOTHING


def require(folder: Path, size: int = A_LITTLE) -> None:
    """Raise OSError unless the disk of `folder` takes so many bytes more; nothing stays of it."""
    path = folder / f".room.{os.getpid()}"
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        path.unlink()
        os.posix_fallocate(file, 0, size)
    finally:
        os.close(file)
