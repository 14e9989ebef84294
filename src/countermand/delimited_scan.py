"""Finding the few rows that matter in a table of millions, without reading the others whole.

The promise: exactly those records come out that `csv.reader` would give with a wanted key. Of any
other row only the key is looked at. Memory does not grow with the file.

A line is passed over when its key is complete before its first quotation mark and known as
unwanted; every other line is read by `csv`. A line counts as a record where its own first quotation
mark opens a field, or the quotation marks before it are even; where they are not, `csv` says how
far the record goes. Bytes are read as UTF-8, and a key that is none ends the reading, since it
might have been a wanted one.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import chain, islice
from typing import TYPE_CHECKING, BinaryIO, Final

if TYPE_CHECKING:
    import _csv

_BATCH_BYTES: Final = 1 << 17
_MOST_KNOWN: Final = 50_000
_LONGEST_KNOWN: Final = 200  # bytes; longer keys are asked about each time
_QUOTE: Final = b'"'
_BEHIND_QUOTE: Final = b"#"


class LineTooLong(Exception):
    """A line that does not end; carries its number."""

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


@dataclass(frozen=True, slots=True)
class Key:
    """Which field decides about a row; `is_wanted` is asked about each value, stripped.

    `if_missing` says whether a row that ends before the field is wanted.
    """

    place: int
    delimiter: str
    is_wanted: Callable[[str], bool]
    if_missing: bool = False


def wanted_records(
    stream: BinaryIO, key: Key, *, lines_before: int, longest_line: int
) -> Iterator[tuple[int, list[str]]]:
    """Yield every record with a wanted key, and the line on which it begins (from 1).

    `stream` stands behind `lines_before` lines. Raises csv.Error, UnicodeDecodeError, OSError and
    LineTooLong (for a line of more than `longest_line` bytes) as they are met.
    """
    asked = replace(key, is_wanted=_remembered(key.is_wanted))
    scan = _Scan(stream, asked, longest_line, line=lines_before + 1)
    while text := scan.next_batch():
        yield from scan.records(text)


def _remembered(is_wanted: Callable[[str], bool]) -> Callable[[str], bool]:
    """Ask about a short key once; what hits is nearly always the same few keys."""
    remembered = lru_cache(maxsize=1024)(is_wanted)
    return lambda key: remembered(key) if len(key) <= _LONGEST_KNOWN else is_wanted(key)


@dataclass(slots=True)
class _Scan:
    stream: BinaryIO
    key: Key
    longest_line: int
    line: int  # on which the batch begins
    lines_in_batch: int = 0
    unread: bytes = b""  # of a line that was read, behind a carriage return
    unwanted: set[bytes] = field(default_factory=set)
    wanted: set[bytes] = field(default_factory=set)

    def next_batch(self) -> bytes:
        """Read some whole lines; a batch always begins with a record."""
        self.line += self.lines_in_batch
        self.lines_in_batch = 0
        text = self.unread + self.stream.read(_BATCH_BYTES)
        self.unread = b""
        if text and not text.endswith(b"\n"):
            text += self._next_line(after=text)
        return text

    def records(self, text: bytes) -> Iterator[tuple[int, list[str]]]:
        if b"\r" in text and text.count(b"\r") != text.count(b"\r\n"):
            yield from self._all_records(text)
            return
        lines = io.BytesIO(text).readlines()
        self.lines_in_batch = len(lines)
        suspects = [
            number
            for number in _places(lines, self._strange(lines))
            if not self._is_unwanted(lines[number])
        ]
        if len(suspects) > len(lines) // 2:
            yield from self._all_records(text)
            return
        if _QUOTE in text and self._has_open_quotes(lines, suspects):
            odd = (number for number, line in enumerate(lines) if line.count(_QUOTE) % 2)
            suspects = sorted({*suspects, *odd})
        yield from self._read(lines, suspects)

    def _strange(self, lines: Sequence[bytes]) -> list[bytes]:
        """Return the lines whose key is not known as unwanted, or cannot be told yet."""
        mark, place, unwanted = self.key.delimiter.encode(), self.key.place, self.unwanted
        cuts, whole = place + 1, place + 2
        # A quotation mark sorts before all letters and digits: the least line shows whether any
        # line may begin with one. Without one there the keys are cut out as they stand.
        if not place or (place == 1 and min(lines) >= _BEHIND_QUOTE):
            with suppress(IndexError):  # a line with too few fields
                return [line for line in lines if line.split(mark, cuts)[place] not in unwanted]
        return [
            line
            for line in lines
            if len(cells := line.split(_QUOTE, 1)[0].split(mark, cuts)) != whole
            or cells[place] not in unwanted
        ]

    def _is_unwanted(self, line: bytes) -> bool:
        """Decide about a line without quotation marks before the end of its key; learn the key."""
        place = self.key.place
        cells = line.split(_QUOTE, 1)[0].split(self.key.delimiter.encode(), place + 1)
        if len(cells) != place + 2 or cells[place] in self.wanted:
            return False
        is_wanted = self.key.is_wanted(cells[place].decode().strip())
        if len(cells[place]) <= _LONGEST_KNOWN:
            known = self.wanted if is_wanted else self.unwanted
            if len(known) >= _MOST_KNOWN:
                known.clear()
            known.add(cells[place])
        return not is_wanted

    def _has_open_quotes(self, lines: Sequence[bytes], suspects: Sequence[int]) -> bool:
        """Tell whether a suspect, or the end, may follow an odd number of quotation marks."""
        start = 0
        for number in (*suspects, len(lines) - 1):
            is_shown = self._begins_outside(lines[number])
            if not is_shown and _count(b"".join(lines[start:number]), _QUOTE) % 2:
                return True
            start = number
        return lines[-1].count(_QUOTE) % 2 == 1

    def _begins_outside(self, line: bytes) -> bool:
        """Tell whether a line shows by itself that it begins outside of a quoted field.

        Inside of one, the first quotation mark ends the field or is doubled.
        """
        behind = line.find(_QUOTE) + 1
        ends = (self.key.delimiter.encode(), _QUOTE, b"\r", b"\n")
        return 0 < behind < len(line) and not line.startswith(ends, behind)

    def _read(
        self, lines: Sequence[bytes], suspects: Sequence[int]
    ) -> Iterator[tuple[int, list[str]]]:
        try:
            # Nearly always every record is one line: then one reader does for all of them.
            texts = [lines[number].decode() for number in suspects]
            records = list(csv.reader(texts, delimiter=self.key.delimiter, strict=True))
        except (csv.Error, UnicodeDecodeError):  # broken, or one goes on in the next line
            records = []
        if len(records) < len(suspects):
            yield from self._read_one_by_one(lines, suspects)
            return
        for number, fields in zip(suspects, records, strict=True):
            if self._is_wanted(fields):
                yield self.line + number, fields

    def _read_one_by_one(
        self, lines: Sequence[bytes], suspects: Sequence[int]
    ) -> Iterator[tuple[int, list[str]]]:
        done = 0
        for number in suspects:
            if number < done:  # a part of the record before
                continue
            fields, count = self._record(lines, number)
            done = number + count
            if self._is_wanted(fields):
                yield self.line + number, fields

    def _record(self, lines: Sequence[bytes], number: int) -> tuple[list[str], int]:
        """Return the record that begins on a line, and how many lines it takes."""
        reader = self._reader(map(bytes.decode, islice(lines, number, None)))
        return next(reader), reader.line_num

    def _all_records(self, text: bytes) -> Iterator[tuple[int, list[str]]]:
        """Read a whole batch with `csv`, as plain readers do."""
        lines = _text_lines(text)
        self.lines_in_batch = len(lines)
        reader = self._reader(lines)
        while reader.line_num < len(lines):
            begins = self.line + reader.line_num
            fields = next(reader)
            if self._is_wanted(fields):
                yield begins, fields

    def _reader(self, lines: Iterable[str]) -> _csv.Reader:
        """Read records out of `lines`; one that is open at their end goes on in the stream."""
        whole = chain(lines, self._lines_after())
        return csv.reader(whole, delimiter=self.key.delimiter, strict=True)

    def _lines_after(self) -> Iterator[str]:
        while more := self.unread or self._next_line():
            line = _text_lines(more)[0]
            self.unread = more[len(line.encode()) :]
            self.lines_in_batch += 1
            yield line

    def _next_line(self, *, after: bytes = b"") -> bytes:
        """Read a line, or what is left of it behind `after`, which was not counted yet."""
        line = self.stream.readline(self.longest_line)
        if len(line) >= self.longest_line:
            raise LineTooLong(self.line + self.lines_in_batch + after.count(b"\n"))
        return line

    def _is_wanted(self, fields: Sequence[str]) -> bool:
        place = self.key.place
        if len(fields) <= place:
            return self.key.if_missing
        return self.key.is_wanted(fields[place].strip())


def _places(lines: list[bytes], some: Iterable[bytes]) -> Iterator[int]:
    """Return where in `lines` some of them stand, which come in the same order."""
    place = -1
    for line in some:
        place = lines.index(line, place + 1)
        yield place


def _count(text: bytes, mark: bytes) -> int:
    """Count one character; `bytes.count` takes three times as long where it is rare."""
    return len(text) - len(text.replace(mark, b""))


def _text_lines(text: bytes) -> list[str]:
    """Split bytes into lines as text files are split: at carriage returns alone, too."""
    return list(io.TextIOWrapper(io.BytesIO(text), encoding="utf-8", newline=""))
