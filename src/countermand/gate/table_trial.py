"""A table that would end whoever reads it is mended or set aside before a gate reads it.

The table is a memory map. Where its file has lost its end (a disk that was full, a copy that was
cut off), reading what is missing ends the process by a signal that nothing can catch, and a gate
would die of it again at each start. So a file that is shorter than it says gets its length back,
as nothing, which can be read and found wrong. An empty table refuses nobody, and is filled anew.
So is one that another version of the gate wrote in another form.
"""

from __future__ import annotations

import os
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import lmdb

from countermand.gate import log_lines
from countermand.gate.table import PARTS

_FILE: Final = "data.mdb"
_MAP_BYTES: Final = 1 << 34  # as the table itself has it


class _OtherForm(Exception):
    """The table is whole, and nothing in it is of this version's form."""


def set_aside_if_unreadable(folder: Path) -> str | None:
    """Throw the table in `folder` away if it cannot be read; returns the doubt to count, if any."""
    try:
        _look_at(folder)
    except _OtherForm as other:
        log_lines.warning("table.other_form", has=str(other), consequence="it is filled anew")
        doubt = "table_other_form"
    except (lmdb.Error, OSError) as error:
        log_lines.error("table.unreadable", why=str(error), consequence="it is filled anew")
        doubt = "table_unreadable"
    else:
        return None
    shutil.rmtree(folder)
    return doubt


def _look_at(folder: Path) -> None:
    path = folder / _FILE
    if not path.exists() or path.stat().st_size == 0:  # somebody may begin one just now
        return
    with closing(_opened(folder, readonly=True, lock=False)) as table:
        said = (table.info()["last_pgno"] + 1) * table.stat()["psize"]
        if path.stat().st_size >= said:
            _open_parts(table)
            return
    _lengthen(path, said)
    # The last pages of a sound file may never have been written, so all may be well.
    with closing(_opened(folder)) as table:
        _try(table)


def _lengthen(path: Path, size: int) -> None:
    """Give the file this size at least; what is in it, and what is longer, stays."""
    file = os.open(path, os.O_RDWR)
    try:
        os.posix_fallocate(file, 0, size)
    finally:
        os.close(file)


def _try(table: Any) -> None:
    """Read everything, and write without keeping it. Raises lmdb.Error where that fails."""
    parts = _open_parts(table)
    with table.begin() as reading:
        for each in parts:
            for _entry in reading.cursor(each):
                pass
    writing = table.begin(write=True)
    try:
        for each in parts:
            writing.put(b"\x00", bytes(64 * 1024), db=each)
    finally:
        writing.abort()


def _open_parts(table: Any) -> list[Any]:
    """Open what is there of our form. Raises _OtherForm where there is something, and none of it.

    What another version has beside it is that one's own.
    """
    with table.begin() as reading:
        names = [bytes(name) for name, _ in reading.cursor()]
    ours = [name for name in names if name in PARTS]
    if names and not ours:
        raise _OtherForm(b" ".join(names).decode(errors="replace"))
    return [table.open_db(name, create=False) for name in ours]


def _opened(folder: Path, **how: bool) -> Any:
    return lmdb.open(
        str(folder), map_size=_MAP_BYTES, max_dbs=len(PARTS), create=False, mode=0o600, **how
    )
