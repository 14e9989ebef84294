"""A file as bytes, and as text in the encoding that its first bytes show.

The promise: a line without end uses up no memory, and bytes that are no text are found by line.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from countermand.delimited_scan import LineTooLong
from countermand.domain.errors import gettext_noop

LONGEST_LINE: Final = 1_000_000
_SNIFFED_BYTES: Final = 4_096
_BUFFER_BYTES: Final = 1 << 16
# Said of a file of whatever kind.
UNREADABLE: Final = (
    gettext_noop("The file cannot be opened: {why}."),
    gettext_noop("Check the name and who may read it."),
)


@dataclass(frozen=True, slots=True)
class ByteSource:
    """A file by the name that faults show, and a way to open it from its beginning."""

    name: str
    open: Callable[[], BinaryIO]

    @classmethod
    def of(cls, path: Path) -> ByteSource:
        """Name a file of this machine."""
        return cls(name=str(path), open=lambda: path.open("rb", buffering=_BUFFER_BYTES))


def as_text(source: ByteSource) -> io.TextIOWrapper:
    """Open a file as text. A lone BOM is no text. Raises OSError."""
    with_start = io.BufferedReader(_Raw(source.open()), buffer_size=_BUFFER_BYTES)
    encoding = _encoding(with_start.peek(_SNIFFED_BYTES)[:_SNIFFED_BYTES])
    return io.TextIOWrapper(with_start, encoding=encoding, newline="")


class _Raw(io.RawIOBase):
    """Any stream of bytes in the form that a buffered reader wants, up to a line without end.

    Bytes are counted, and a character of UTF-16 may hold one that looks like a line's end: of such
    a file lines are bounded when they are read.
    """

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__()
        self._stream = stream
        self._since_line = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        chunk = self._stream.read(len(buffer))
        behind = max(chunk.rfind(b"\n"), chunk.rfind(b"\r")) + 1
        self._since_line = len(chunk) - behind + (0 if behind else self._since_line)
        if self._since_line > LONGEST_LINE:
            raise LineTooLong(0)
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def close(self) -> None:
        self._stream.close()
        super().close()


def _encoding(start: bytes) -> str:
    if start.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    # UTF-16 without a mark: every other byte of a Latin header is zero.
    if len(start) > 1 and start[1:2] == b"\0":
        return "utf-16-le"
    return "utf-16-be" if start[:1] == b"\0" else "utf-8"


def first_line_that_is_no_text(source: ByteSource) -> int:
    """Find the line of the first bytes that are not UTF-8, by reading the file once more."""
    with suppress(OSError), source.open() as stream:
        for number, line in enumerate(iter(lambda: stream.readline(LONGEST_LINE), b""), 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return 1
