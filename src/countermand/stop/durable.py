"""A file is either there whole and on the disk, or it is as it was before.

What root makes in somebody else's folder is theirs, as far as the system lets us: whoever types
`sudo` before a stop must not leave a file there that senders and gates cannot read.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def write_durably(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Put `content` at `path`: when this returns, a power cut cannot take it back.

    The new file is synced, renamed over the old one, and the folder is synced. Raises OSError
    when the disk refuses; then `path` is unchanged.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        try:
            give_to_owner_of(path.parent, file)
            _write_all(file, content)
            os.fsync(file)
        finally:
            os.close(file)
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def open_lock(path: Path) -> int:
    """Open a file that is there to be locked; make it first if it is not there. Raises OSError."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        file = os.open(path, flags | os.O_EXCL, 0o600)
    except FileExistsError:  # whoever put it there, it stays theirs
        return os.open(path, flags, 0o600)
    give_to_owner_of(path.parent, file)
    return file


def give_to_owner_of(folder: Path, file: int) -> None:
    """Let a file that we have just made belong to whom its folder belongs."""
    if os.geteuid() == 0:
        with suppress(OSError):  # a disk elsewhere that knows no root
            about = folder.stat()
            if about.st_uid != 0:
                os.fchown(file, about.st_uid, about.st_gid)


def sync_folder(folder: Path) -> None:
    """Make renames inside `folder` durable."""
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _write_all(file: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(file, view) :]
