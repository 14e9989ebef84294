"""Opening the zip of an Intune report: one CSV file, and never more than it may be.

What the zip says about its own sizes is not believed: the bytes are counted while they come out.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import Path
from typing import IO, BinaryIO, Final

from countermand.byte_source import ByteSource
from countermand.domain.errors import Fault, gettext_noop
from countermand.row_faults import file_fault

MOST_BYTES: Final = 16 * 1024**3
MOST_RATIO: Final = 200
_SMALL_ENOUGH: Final = 10 * 1024**2
MOST_MEMBERS: Final = 100
MOST_DIRECTORY_BYTES: Final = 1024**2
_SIZE_OF_DIRECTORY: Final = 5  # its place in the record at the end, of 64 bits where need be
_METHODS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
# A damaged directory ends in whatever its fields happen to be.
_NO_ZIP: Final = (OSError, zipfile.BadZipFile, RuntimeError, ValueError, struct.error)


def opened(path: Path) -> ByteSource | Fault:
    """Return the one CSV file of a zip, or a fault when it has none, several, or a password."""
    try:
        if _size_of_directory(path) > MOST_DIRECTORY_BYTES:
            return file_fault("file.bad_zip", str(path), why=gettext_noop("too many files in it"))
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except _NO_ZIP as error:
        return file_fault("file.bad_zip", str(path), why=str(error) or type(error).__name__)
    tables = [each for each in members if each.filename.lower().endswith(".csv")]
    if len(members) > MOST_MEMBERS or len(tables) != 1:
        return file_fault(
            "file.bad_zip", str(path), why=gettext_noop("it must hold exactly one CSV file")
        )
    if tables[0].flag_bits & 0x1:
        return file_fault("file.bad_zip", str(path), why=gettext_noop("it has a password"))
    if tables[0].compress_type not in _METHODS:
        return file_fault(
            "file.bad_zip", str(path), why=gettext_noop("it is packed in an unusual way")
        )
    name = tables[0].filename
    return ByteSource(name=f"{path}/{name}", open=lambda: _member(path, name))


def _size_of_directory(path: Path) -> int:
    """Return how long the list of members is: `ZipFile` reads all of it, however long, at once."""
    with path.open("rb") as file:
        end = zipfile._EndRecData(file)  # type: ignore[attr-defined]  # noqa: SLF001
    return int(end[_SIZE_OF_DIRECTORY]) if end else 0


def _member(path: Path, name: str) -> BinaryIO:
    try:
        archive = zipfile.ZipFile(path)
        stream = archive.open(name)
    except (*_NO_ZIP, KeyError) as error:
        raise OSError(str(error)) from error
    compressed = archive.getinfo(name).compress_size
    limit = min(MOST_BYTES, max(_SMALL_ENOUGH, compressed * MOST_RATIO))
    return io.BufferedReader(_Counted(archive, stream, limit))


class _Counted(io.RawIOBase):
    """A member of a zip that stops when more comes out than may."""

    def __init__(self, archive: zipfile.ZipFile, stream: IO[bytes], limit: int) -> None:
        super().__init__()
        self._archive = archive
        self._stream = stream
        self._left = limit

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        try:
            chunk = self._stream.read(len(buffer))
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise OSError(str(error)) from error
        self._left -= len(chunk)
        if self._left < 0:
            raise OSError("more comes out of the zip than a report can hold")
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def close(self) -> None:
        self._stream.close()
        self._archive.close()
        super().close()
