"""What is known of every door, in a memory map: written by one follower, read by any answerer.

It lies on disk, so a gate that starts again answers rightly at once, with the database down too.
What is known of one door lies under its key, one record behind the other, one per order. A file
that cannot be read is thrown away: an empty table refuses nobody.

Its parts are named by their form, so what another version wrote is never read askew, not even
where gates of two versions have one file: to each of them the other's parts are not there.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, NamedTuple

import lmdb

from countermand.domain.door_record import RECORD_BYTES, SEAL_BYTES
from countermand.domain.verdict import order_bytes
from countermand.gate import disk_room, log_lines
from countermand.stop.durable import sync_folder

# Address space, not disk: the file grows with its content. Room for a hundred million entries, so
# that the map never has to move under somebody who reads.
_MAP_BYTES: Final = 1 << 34
_MAX_READERS: Final = 510
_PLACE: Final = b"place"
# Whoever changes a door's key, a record, or a place raises it; a test holds them.
FORM: Final = 1
_DOORS: Final = b"doors.%d" % FORM
_ABOUT: Final = b"about.%d" % FORM
PARTS: Final = (_DOORS, _ABOUT)
_TALLIED_BYTES: Final = 8
_AT_ONCE: Final = 512
_door: Final = itemgetter(0)
# What is known of doors by the first byte of their keys, only those that there are: each part is
# small enough to be sorted in no time, and the thread that answers gets its turn between them.
_Parts = defaultdict[int, dict[bytes, bytes]]


def _nothing() -> None:
    return None


class FeedRow(NamedTuple):
    """One change: the record of one order on one door, or None when it is gone."""

    door: bytes
    order_number: str
    record: bytes | None


@dataclass(frozen=True, slots=True)
class Place:
    """How far the table follows the feed, and the tally of all that lies in it.

    `folded` is the exclusive or of the first eight bytes of all seals, as a signed number; the
    database can compute the same from its rows.
    """

    version: int = 0
    row_id: int = 0
    count: int = 0
    folded: int = 0


class _File(NamedTuple):
    """A file that is open, and which one it is; taken and replaced as one."""

    env: Any
    doors: Any
    about: Any
    inode: int | None


class Table:
    """The records of all doors."""

    def __init__(self, folder: Path) -> None:
        """Open the table in `folder`, or begin an empty one. Raises OSError without room for it."""
        self._folder = folder
        self._replacing = threading.Lock()
        self._soon: Callable[[Callable[[], None]], object] | None = None
        self._at_first: Callable[[], None] = _nothing
        self._reading: Any = None
        # The records of one door behind each other, None if it has none (most have). Within a turn
        # this is the database's own function.
        self.stored: Callable[[bytes], bytes | None] = self._alone
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (folder / "lock.mdb").exists():
            disk_room.require(folder)
        try:
            self._file = _opened(folder)
        except lmdb.Error as error:
            log_lines.error("table.unreadable", why=str(error), consequence="it is filled anew")
            shutil.rmtree(folder)
            folder.mkdir(mode=0o700)
            self._file = _opened(folder)

    def close(self) -> None:
        """Let go of the file."""
        self._let_go()
        self._file.env.close()

    def share_reads(
        self,
        soon: Callable[[Callable[[], None]], object],
        at_first: Callable[[], None] = _nothing,
    ) -> None:
        """Let all reads of one turn of the event loop see one state of the table, which is cheaper.

        `soon` calls what it is given when the turn is over; `at_first` is called before the first
        read of a turn.
        """
        self._soon, self._at_first = soon, at_first
        self.stored = self._first

    def _alone(self, door: bytes) -> bytes | None:
        """Read where reads are not shared."""
        file = self._file
        with file.env.begin(db=file.doors) as reading:
            stored: bytes | None = reading.get(door)
        return stored

    def _first(self, door: bytes) -> bytes | None:
        """Read at the beginning of a turn."""
        if self._soon is None:
            return self._alone(door)
        self._at_first()
        file = self._file
        self._reading = file.env.begin(db=file.doors)
        self.stored = self._reading.get
        self._soon(self._let_go)
        return self.stored(door)

    def _let_go(self) -> None:
        self.stored = self._alone if self._soon is None else self._first
        if self._reading is not None:
            self._reading.abort()
            self._reading = None

    def place(self) -> Place:
        """Return how far the table has come. Raises lmdb.Error where that cannot be read."""
        file = self._file
        with file.env.begin(db=file.about) as reading:
            return _place(reading.get(_PLACE))

    def apply(self, rows: Iterable[FeedRow], *, version: int, row_id: int) -> None:
        """Store changes durably, and the place in the feed up to which they reach."""
        file = self._file
        with file.env.begin(write=True) as writing:
            self._change(file, writing, rows, Place(version, row_id))

    def amend(self, rows: Callable[[int, Callable[[bytes], bytes]], Iterable[FeedRow]]) -> None:
        """Store durably what `rows` makes of the version and of what is stored for a door.

        The place in the feed stays: whatever the feed brings from there on takes its place.
        """
        file = self._file
        with file.env.begin(write=True) as writing:
            place = _place(writing.get(_PLACE, db=file.about))
            changed = list(rows(place.version, lambda door: writing.get(door, b"", db=file.doors)))
            if changed:
                self._change(file, writing, changed, place)

    def replace_all(self, rows: Iterable[FeedRow], *, version: int, row_id: int) -> None:
        """Put these rows, one for each order and door, in the place of everything.

        Readers see the old until all is there.
        """
        parts: _Parts = defaultdict(dict)
        count, folded = 0, 0
        for door, _, record in rows:
            if record is not None:
                doors = parts[door[0]]
                before = doors.get(door)
                doors[door] = record if before is None else before + record
                count, folded = count + 1, folded ^ _folded(_seal(record))
        place = Place(version, row_id, count, folded)
        file = self._file
        with file.env.begin(write=True) as writing:
            writing.drop(file.doors, delete=False)
            with writing.cursor(file.doors) as filling:
                for entries in _in_order(parts):
                    filling.putmulti(entries, append=True)
            writing.put(_PLACE, json.dumps(asdict(place)).encode(), db=file.about)

    def require_room(self, size: int | None = None) -> None:
        """Raise OSError unless the disk takes so many bytes more: all that lies here once more.

        Of a file that is gone nothing lies here.
        """
        if size is None:
            size = _size(self._folder) + disk_room.A_LITTLE
        disk_room.require(self._folder.parent, size)

    def replace_file(self, rows: Iterable[FeedRow], *, version: int, row_id: int) -> None:
        """Put these rows into a new file, and that in the place of one which nothing mends.

        The old one lies beside it afterwards. Until the new one is whole every reader has the old
        one, and other processes until they call `reopen_if_replaced`.
        """
        beside = self._folder.with_name(f"{self._folder.name}.new")
        aside = self._folder.with_name(f"{self._folder.name}.damaged")
        shutil.rmtree(beside, ignore_errors=True)
        try:
            new = Table(beside)
            new.replace_all(rows, version=version, row_id=row_id)
            new.close()
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise
        with self._replacing:
            shutil.rmtree(aside, ignore_errors=True)
            with suppress(FileNotFoundError):  # somebody took the folder away
                self._folder.rename(aside)
            beside.rename(self._folder)
            sync_folder(self._folder.parent)
            self._file = _opened(self._folder)

    def reopen_if_replaced(self) -> None:
        """Read from now on what lies in the folder, if another process put another file there."""
        if not self._replacing.acquire(blocking=False):  # it is done here
            return
        try:
            if _inode(self._folder) not in (None, self._file.inode):
                self._file = _opened(self._folder)
        except lmdb.Error as error:
            log_lines.error("table.unreadable", why=str(error), consequence="the old one is read")
        finally:
            self._replacing.release()

    def _change(self, file: _File, writing: Any, rows: Iterable[FeedRow], to: Place) -> None:
        before = _place(writing.get(_PLACE, db=file.about))
        count, folded = before.count, before.folded
        parts: _Parts = defaultdict(dict)
        get = writing.get
        for door, number, record in rows:
            changed = parts[door[0]]
            stored = changed.get(door)
            if stored is None:
                stored = get(door, b"", db=file.doors)
            kept, gone = _split(stored, number) if stored else (b"", ())
            for seal in gone:
                count, folded = count - 1, folded ^ _folded(seal)
            if record is not None:
                count, folded = count + 1, folded ^ _folded(_seal(record))
                kept += record
            changed[door] = kept
        with writing.cursor(file.doors) as filling:
            for entries in _in_order(parts):
                filling.putmulti([entry for entry in entries if entry[1]])
                for door, kept in entries:
                    if not kept:
                        writing.delete(door, db=file.doors)
        place = Place(to.version, to.row_id, count, folded)
        writing.put(_PLACE, json.dumps(asdict(place)).encode(), db=file.about)


def _opened(folder: Path) -> _File:
    env = lmdb.open(
        str(folder),
        map_size=_MAP_BYTES,
        max_dbs=len(PARTS),
        max_readers=_MAX_READERS,
        mode=0o600,
    )
    env.reader_check()  # slots of readers that were killed
    return _File(env, env.open_db(_DOORS), env.open_db(_ABOUT), _inode(folder))


def _inode(folder: Path) -> int | None:
    try:
        return (folder / "data.mdb").stat().st_ino
    except OSError:
        return None


def _size(folder: Path) -> int:
    try:
        return (folder / "data.mdb").stat().st_size
    except FileNotFoundError:
        return 0


def _in_order(parts: _Parts) -> Iterator[list[tuple[bytes, bytes]]]:
    """Yield everything in the order of its keys, some at a time, and empty the parts.

    In that order a page is found, and written, once for all that lies on it.
    """
    for first in sorted(parts):
        entries = sorted(parts.pop(first).items(), key=_door)
        for start in range(0, len(entries), _AT_ONCE):
            yield entries[start : start + _AT_ONCE]


def _place(stored: bytes | None) -> Place:
    """Read a place. One that is none is damage as a page is, and raises lmdb.CorruptedError."""
    if stored is None:
        return Place()
    try:
        return Place(**json.loads(stored))
    except (ValueError, TypeError) as error:
        raise lmdb.CorruptedError(f"no place: {error}") from error


def _split(stored: bytes, order_number: str) -> tuple[bytes, Sequence[bytes]]:
    """Return what is not of one order, and the seals of what is."""
    order = _order(order_number)
    gone = []
    place = stored.find(order)
    while place >= 0:
        end = place + RECORD_BYTES
        if place % RECORD_BYTES:  # such bytes within another record
            place = stored.find(order, place + 1)
        else:
            gone.append(_seal(stored[place:end]))
            stored = stored[:place] + stored[end:]
            place = stored.find(order, place)
    return stored, gone


_order = lru_cache(maxsize=256)(order_bytes)


def _seal(record: bytes) -> bytes:
    if len(record) != RECORD_BYTES:
        raise ValueError(f"a record of {len(record)} bytes")
    return record[-SEAL_BYTES:]


def _folded(seal: bytes) -> int:
    return int.from_bytes(seal[:_TALLIED_BYTES], "big", signed=True)
