"""What this installation saw last, beside the database: a copy or an older state is recognised.

    the data folder is another one than the witness lay in    -> copied, or restored from a backup
    the log no longer holds the head that the witness names   -> the database is an older one
    gates were told last by another installation              -> the database belongs to another one

Whoever starts in such a state would send again what has left already. So every order is paused
first, and a person lets each go on. A snapshot of the whole machine is not recognised by this.
"""

from __future__ import annotations

from typing import Any, Final

from countermand.audit import queries as log
from countermand.config import Settings
from countermand.data_folder import DataFolder, read_json, write_json
from countermand.domain import causes
from countermand.enforcement import queries as doors

COPIED: Final = causes.line("cause.copied")
OLDER: Final = causes.line("cause.older")
NOT_OURS: Final = "The database was last used by another installation."


def disagreement(settings: Settings) -> str:
    """Say in one sentence why mail may not go on leaving by itself; empty when all is well."""
    folder = settings.folder
    newest = doors.newest_states()
    if newest is not None and newest.instance != folder.instance_id:
        return NOT_OURS
    seen = read_json(folder.witness)
    if not seen:
        return ""
    here = _place(folder)
    # Either may change by itself (a change of owner; a file system without lasting numbers).
    if seen.get("inode") != here["inode"] and seen.get("changed_ns") != here["changed_ns"]:
        return COPIED
    size = seen.get("log_size", 0)
    if size and log.head_of(size) != seen.get("log_root"):
        return OLDER
    return ""


def remember(settings: Settings) -> None:
    """Write down what is seen now; nothing is written when it is the same."""
    size, root = log.newest_head()
    now_seen: dict[str, Any] = {**_place(settings.folder), "log_size": size, "log_root": root}
    if read_json(settings.folder.witness) != now_seen:
        write_json(settings.folder.witness, now_seen)


def _place(folder: DataFolder) -> dict[str, int]:
    about = folder.instance.stat()
    return {"inode": about.st_ino, "changed_ns": about.st_ctime_ns}
