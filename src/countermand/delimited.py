"""Reading tables as the world writes them: CSV in several encodings, with whatever headers.

The promise: every row carries the line where it begins, nothing in a file can use up the machine
(long fields, many faults, endless lines), and what cannot be read is a fault with line and remedy,
never a guess. Rows are streamed; nothing is kept.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import Final

from countermand import delimited_scan
from countermand.byte_source import (
    LONGEST_LINE,
    UNREADABLE,
    ByteSource,
    as_text,
    first_line_that_is_no_text,
)
from countermand.delimited_scan import LineTooLong
from countermand.domain.errors import Fault, gettext_noop
from countermand.domain.nearest import nearest_word
from countermand.fault_list import FaultList

LONGEST_FIELD: Final = 4_000
_DELIMITERS: Final = ",;\t|"


@dataclass(frozen=True, slots=True)
class Column:
    """One column that we read, and the headers under which others write it."""

    name: str
    aliases: tuple[str, ...] = ()
    required: bool = False


class Row(dict[str, str]):
    """One row by our names of the columns; those that the file lacks are empty, and not `in` it.

    A dictionary itself, since a million rows are asked for a dozen columns each.
    """

    __slots__ = ("file", "line")
    file: str
    line: int

    @classmethod
    def of(cls, file: str, line: int, values: Iterable[tuple[str, str]]) -> Row:
        """Return what stands in `file` from `line` on."""
        row = cls(values)
        row.file, row.line = file, line
        return row

    def __missing__(self, column: str) -> str:
        return ""


def header_key(header: str) -> str:
    """Reduce a header to what people mean by it: `E-Mail Address [Required]` is `emailaddress`."""
    text = re.sub(r"\[[^\]]*\]|\([^)]*\)", "", header)
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(c for c in folded if c.isalnum() or unicodedata.category(c).startswith("M"))


class _FaultyFile(Exception):
    """Ends the reading of one file; carries the fault."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.code)
        self.fault = fault


def read_headers(source: ByteSource) -> frozenset[str]:
    """Return the reduced headers of a file, to tell what it is; empty if it cannot be read."""
    try:
        with _opened(source) as lines:
            _, header = _header(source, lines)
    except _FaultyFile:
        return frozenset()
    return frozenset(header_key(name) for name in header)


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows of a huge file matter: those whose `column` has a value that `is_wanted`.

    `is_wanted` gets the value without blanks around it, and always answers the same. A row that
    ends before the field matters only with `if_missing`.
    """

    column: str
    is_wanted: Callable[[str], bool]
    if_missing: bool = False

    def means(self, row: Row) -> bool:
        """Tell whether a row matters."""
        if self.column not in row:
            return self.if_missing
        return self.is_wanted(row[self.column])


def read_rows(
    source: ByteSource,
    columns: Sequence[Column],
    faults: FaultList,
    *,
    only: Wanted | None = None,
) -> Iterator[Row]:
    """Yield the rows of a file; what is wrong with the file as a whole ends the reading.

    A row with more fields than the header, or with an overlong field, is a fault and is not
    yielded. With `only`, rows that do not matter are passed over quickly and not judged.
    """
    try:
        with _opened(source) as lines:
            reader, header = _header(source, lines)
            places = _places(source, header, columns)
            if only is not None and _may_scan(lines):
                wanted = _scanned(source, reader, places, only)
                yield from _rows(source, wanted, header, places, faults)
                return
            for row in _rows(source, reader, header, places, faults):
                if only is None or only.means(row):
                    yield row
    except _FaultyFile as faulty:
        faults.add(faulty.fault)


def _may_scan(lines: io.TextIOWrapper) -> bool:
    """Tell whether a file is UTF-8 with line feeds, as huge files are."""
    return lines.encoding.startswith("utf-8") and lines.newlines in {None, "\n", "\r\n"}


def _scanned(
    source: ByteSource, reader: _LineCountingReader, places: Mapping[str, int], only: Wanted
) -> Iterator[tuple[int, list[str]]]:
    """Yield the records that matter, past the header that `reader` has read."""
    place = places.get(only.column)
    if place is None:
        return
    key = delimited_scan.Key(place, reader.delimiter, only.is_wanted, only.if_missing)
    try:
        with source.open() as stream:
            for _ in range(reader.lines_read):
                stream.readline()
            yield from delimited_scan.wanted_records(
                stream, key, lines_before=reader.lines_read, longest_line=LONGEST_LINE
            )
    except _READING_FAILS as error:
        raise _faulty_file(source, error, None) from error


def _rows(
    source: ByteSource,
    records: Iterable[tuple[int, list[str]]],
    header: Sequence[str],
    places: Mapping[str, int],
    faults: FaultList,
) -> Iterator[Row]:
    width, file, names = len(header), source.name, tuple(places)
    all_places = max(places.values(), default=-1) + 1
    # Two places at least, else it would give no tuple.
    cells = itemgetter(*places.values(), 0, 0)
    strip = str.strip
    for line, fields in records:
        text = "".join(fields)
        if not text or text.isspace():
            continue
        if len(fields) > width and any(each.strip() for each in fields[width:]):
            faults.add(_fault(source, "row.too_many_fields", line, count=len(fields)))
            continue
        if len(text) > LONGEST_FIELD and max(map(len, fields)) > LONGEST_FIELD:
            faults.add(_fault(source, "row.field_too_long", line, limit=LONGEST_FIELD))
            continue
        if len(fields) >= all_places:
            row = Row(zip(names, map(strip, cells(fields)), strict=False))
            row.file, row.line = file, line  # here: a call would take as long as both
            yield row
        else:
            there = ((name, fields[at].strip()) for name, at in places.items() if at < len(fields))
            yield Row.of(file, line, there)


class _LineCountingReader:
    """Yields each record with the line where it begins, and turns csv's errors into faults."""

    def __init__(self, source: ByteSource, lines: Iterable[str], delimiter: str, skip: int) -> None:
        self._source = source
        self._skip = skip
        self._reader = csv.reader(lines, delimiter=delimiter, strict=True)
        self.delimiter = delimiter

    @property
    def lines_read(self) -> int:
        """How many lines of the file have been read."""
        return self._reader.line_num + self._skip

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        reader, before = self._reader, self._skip + 1
        line = reader.line_num + before
        try:
            for fields in reader:
                yield line, fields
                line = reader.line_num + before
        except _READING_FAILS as error:
            raise _faulty_file(self._source, error, line) from error


_READING_FAILS: Final = (csv.Error, UnicodeDecodeError, LineTooLong, OSError)


def _faulty_file(source: ByteSource, error: Exception, line: int | None) -> _FaultyFile:
    """Turn what went wrong while a file was read into the fault that ends the reading."""
    if isinstance(error, UnicodeDecodeError):
        return _FaultyFile(_fault(source, "file.encoding", first_line_that_is_no_text(source)))
    if isinstance(error, OSError):
        return _FaultyFile(_fault(source, "file.unreadable", line, why=str(error)))
    if isinstance(error, LineTooLong):
        line = error.line or line
    is_long = isinstance(error, LineTooLong) or "field larger" in str(error)
    code = "row.field_too_long" if is_long else "file.broken_quotes"
    return _FaultyFile(_fault(source, code, line, limit=LONGEST_FIELD))


def _header(
    source: ByteSource, lines: io.TextIOWrapper
) -> tuple[_LineCountingReader, Sequence[str]]:
    try:
        first = lines.readline(LONGEST_LINE)
        told = first.strip().lower().removeprefix("\ufeff")
        skip = 1 if told.startswith("sep=") else 0
        delimiter = told[4:5] if skip else _delimiter(first)
    except _READING_FAILS as error:
        raise _faulty_file(source, error, 1) from error
    # A long first line was cut: what is left of it comes next.
    rest: Iterable[str] = _bounded(lines) if lines.encoding.startswith("utf-16") else lines
    rest = rest if skip else chain((first,), rest)
    reader = _LineCountingReader(source, rest, delimiter or "\t", skip)
    for _, fields in reader:
        if any(each.strip() for each in fields):
            return reader, fields
    raise _FaultyFile(_fault(source, "file.empty", 1))


def _bounded(lines: io.TextIOWrapper) -> Iterator[str]:
    for line in iter(lambda: lines.readline(LONGEST_LINE), ""):
        if len(line) >= LONGEST_LINE:
            raise LineTooLong(0)
        yield line


def _opened(source: ByteSource) -> io.TextIOWrapper:
    try:
        return as_text(source)
    except OSError as error:
        why = error.strerror or str(error) or type(error).__name__
        raise _FaultyFile(_fault(source, "file.unreadable", None, why=why)) from error


def _delimiter(header: str) -> str:
    outside_quotes = re.sub(r'"[^"]*"', "", header)
    return max(_DELIMITERS, key=outside_quotes.count)


def _places(source: ByteSource, header: Sequence[str], columns: Sequence[Column]) -> dict[str, int]:
    """Find our columns in a header: by our own name first, then by the order of the aliases."""
    keys = [header_key(name) for name in header]
    places: dict[str, int] = {}
    for column in columns:
        wanted = (header_key(alias) for alias in (column.name, *column.aliases))
        place = next((keys.index(key) for key in wanted if key in keys), None)
        if place is not None:
            places[column.name] = place
    missing = [column.name for column in columns if column.required and column.name not in places]
    if missing:
        near = nearest_word(missing[0], [name.strip() for name in header]) or ", ".join(header)
        fault = _fault(
            source, "file.column_missing", 1, columns=", ".join(missing), found=near[:200]
        )
        raise _FaultyFile(fault)
    return places


_SENTENCES: Final[Mapping[str, tuple[str, str]]] = {
    "file.unreadable": UNREADABLE,
    "file.empty": (
        gettext_noop("The file holds no header and no rows."),
        gettext_noop("Export it again; an empty file is never taken for “nobody” or “nothing”."),
    ),
    "file.encoding": (
        gettext_noop("This line is not UTF-8 or UTF-16 text."),
        gettext_noop("Save the file as “CSV UTF-8”."),
    ),
    "file.broken_quotes": (
        gettext_noop("The quotation marks of this row do not fit together."),
        gettext_noop("Double each quotation mark inside a field, and close each field."),
    ),
    "file.column_missing": (
        gettext_noop("The header has no column {columns}."),
        gettext_noop("Add it or rename one; nearest in the file: {found}."),
    ),
    "row.too_many_fields": (
        gettext_noop("This row has {count} fields, more than the header."),
        gettext_noop("Put quotation marks around fields that hold the separator."),
    ),
    "row.field_too_long": (
        gettext_noop("A field of this row is longer than {limit} characters."),
        gettext_noop("Shorten it; often a quotation mark is missing at its end."),
    ),
}


def _fault(source: ByteSource, code: str, line: int | None, **facts: object) -> Fault:
    sentence, remedy = _SENTENCES[code]
    return Fault(
        code=code,
        sentence=sentence,
        remedy=remedy,
        line=line,
        file=source.name,
        facts=tuple((name, str(value)) for name, value in facts.items()),
    )
