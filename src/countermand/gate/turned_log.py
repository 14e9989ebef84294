"""A log that somebody else writes and turns over: each of its lines is counted once, none twice.

    the file that was read last, wherever it lies -> those turned over after it -> the log itself

A file is known by its number, and by what stands right before the place up to which it was read.
What was packed, deleted or emptied before it was read to its end is said: it is `missed`.
"""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

_PIECE: Final = 1 << 20
# In one look; whoever was away for longer takes some looks more.
_MOST_FILES: Final = 4
_MOST_BESIDE: Final = 10_000
_LOOKED_BACK: Final = 64  # bytes; each line begins with its time
_PACKED: Final = frozenset({".gz", ".bz2", ".xz", ".zst"})
_TURNED_NAME: Final = (
    r"{stem}(?:{suffix})?(?:\.\d{{1,3}}|[.-]\d{{4}}[\dT.:-]*)(?:{suffix})?(?:\.(?:gz|bz2|xz|zst))?"
)


class Place(NamedTuple):
    """Which file was read last, up to which byte, and the hash of what stands right before."""

    number: int = 0
    read: int = 0
    before: str = ""  # none is no doubt


class _Turned(NamedTuple):
    """A file that was turned over: when it was last written, its number, and where it lies."""

    written_ns: int
    number: int
    path: Path


class TurnedLog:
    """One log, and how far it has been counted; `lines` and `missed` only rise."""

    def __init__(self, path: Path, place: Place) -> None:
        """Go on at `place`; the first of all begins with the log that lies there."""
        self.path = path
        self.place = place
        self.lines = 0
        self.missed = 0
        # Whoever was at the end a second ago cannot have missed more than that second.
        self._is_at_end = False

    def look(self) -> None:
        """Count the lines that are new, a piece of each file. Raises OSError where one is closed.

        A log that is not there is none of these: nothing was ever written.
        """
        with suppress(FileNotFoundError):  # turned over this very moment: the next look finds it
            for _ in range(_MOST_FILES):
                if not self._goes_further():
                    return

    def _goes_further(self) -> bool:
        """Read in the file of our place, or leave it for the next; false where nothing more is."""
        number, size = _number_and_size(self.path)
        if self.place.number in {0, number}:
            if not number or self._has_read(self.path, number):
                return False
        else:
            turned = sorted(_turned_over(self.path))
            ours = next((each for each in turned if each.number == self.place.number), None)
            if ours is not None and self._has_read(ours.path, ours.number):
                return self._is_at_end and self._turns(turned, ours, number if size else 0)
        if number:
            self.missed += not self._is_at_end
            self._begin(number)
        return number != 0

    def _turns(self, turned: list[_Turned], ours: _Turned, number: int) -> bool:
        """Leave a file that was read to its end, if another was begun and there is a line in it.

        Before that, whoever writes may still write into the old one.
        """
        later = [each for each in turned if each.written_ns > ours.written_ns]
        packed = [each for each in later if each.path.suffix in _PACKED]
        plain = [each for each in later if each.path.suffix not in _PACKED]
        if plain:
            self.missed += sum(each < plain[0] for each in packed)
            self._begin(plain[0].number)
        elif number:
            self.missed += len(packed)
            self._begin(number)
        return bool(plain or number)

    def _begin(self, number: int) -> None:
        self.place, self._is_at_end = Place(number), False

    def _has_read(self, path: Path, number: int) -> bool:
        """Read on; false where the file no longer holds what was read of it."""
        with path.open("rb") as file:
            about = os.fstat(file.fileno())
            if about.st_ino != number:
                raise FileNotFoundError(path)
            _, read, before = self.place
            if about.st_size < read or (before and before != _hash_before(file, read)):
                return False
            file.seek(read)
            piece = file.read(_PIECE)
            self.lines += piece.count(b"\n")
            self._is_at_end = len(piece) < _PIECE
            whole = piece.rfind(b"\n") + 1
            if whole or number != self.place.number:
                self.place = Place(number, read + whole, _hash_before(file, read + whole))
        return True


def _number_and_size(path: Path) -> tuple[int, int]:
    try:
        about = path.stat()
    except FileNotFoundError:
        return 0, 0
    return about.st_ino, about.st_size


def _turned_over(path: Path) -> list[_Turned]:
    """Return what the log was called and written before, as far as the folder may be read.

    `down.log.1` and `down.log-20261201` by logrotate, `down-2026-12-01T10-00-00.log` by Caddy.
    """
    parts = {"stem": re.escape(path.stem), "suffix": re.escape(path.suffix)}
    name = re.compile(_TURNED_NAME.format(**parts))
    found = []
    with suppress(OSError), os.scandir(path.parent) as beside:
        for each in islice(beside, _MOST_BESIDE):
            if name.fullmatch(each.name):
                with suppress(FileNotFoundError):
                    about = each.stat()
                    found.append(_Turned(about.st_mtime_ns, about.st_ino, Path(each.path)))
    return found


def _hash_before(file: BinaryIO, place: int) -> str:
    begin = max(0, place - _LOOKED_BACK)
    file.seek(begin)
    return hashlib.sha256(file.read(place - begin)).hexdigest()[:16]
