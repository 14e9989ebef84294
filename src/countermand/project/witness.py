"""What this installation saw last, beside the database: a copy or an older state is recognised.

    the data folder is another one than the witness lay in    -> copied, or restored from a backup
    the log no longer holds the head that the witness names   -> the database is an older one
    gates were told last by another installation              -> the database belongs to another one
    nothing ran here for ten minutes, by the machine's clock  -> perhaps a snapshot of all of it

Whoever starts in such a state would send again what has left already. So every order is paused
first, and a person lets each go on.
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
# Real seconds. The rule of the specification; what was planned to stop is resumed by a person, too.
STANDS_STILL_AFTER_S: Final = 600.0
_WRITTEN_EVERY_S: Final = 30.0


def disagreement(settings: Settings, *, real: float | None = None) -> str:
    """Say in one sentence why mail may not go on leaving by itself; empty when all is well.

    `real` is the machine's time in seconds since 1970; without it nothing is said about that.
    """
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
    alive_at = seen.get("alive_at")
    if real is not None and isinstance(alive_at, int | float):
        stood_s = real - alive_at
        # A clock that was set back says nothing about how long it was.
        if stood_s > STANDS_STILL_AFTER_S or stood_s < -STANDS_STILL_AFTER_S:
            return causes.line("cause.stood_still", minutes=round(abs(stood_s) / 60))
    return ""


def remember(settings: Settings, *, real: float | None = None) -> None:
    """Write down what is seen now, and that we live; nothing is written when it is the same."""
    size, root = log.newest_head()
    before = read_json(settings.folder.witness)
    alive_at = before.get("alive_at")
    if real is not None and (alive_at is None or abs(real - alive_at) >= _WRITTEN_EVERY_S):
        alive_at = real
    now_seen: dict[str, Any] = {**_place(settings.folder), "log_size": size, "log_root": root}
    if alive_at is not None:
        now_seen["alive_at"] = alive_at
    if before != now_seen:
        write_json(settings.folder.witness, now_seen)


def _place(folder: DataFolder) -> dict[str, int]:
    about = folder.instance.stat()
    return {"inode": about.st_ino, "changed_ns": about.st_ctime_ns}
