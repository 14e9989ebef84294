"""Reading tables as the world writes them: CSV in several encodings, with whatever headers.

The promise: every row carries the line where it begins, nothing in a file can use up the machine
(long fields, many faults, endless lines), and what cannot be read is a fault with line and remedy,
never a guess. Rows are streamed; nothing is kept.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import BinaryIO, Final

from countermand import delimited_scan
from countermand.delimited_scan import LineTooLong
from countermand.domain.errors import Fault, gettext_noop
from countermand.domain.nearest import nearest_word

LONGEST_FIELD: Final = 4_000
LONGEST_LINE: Final = 1_000_000
MOST_FAULTS: Final = 1_000
_DELIMITERS: Final = ",;\t|"
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]").search  # the category Cc
_SNIFFED_BYTES: Final = 4_096
_BUFFER_BYTES: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class ByteSource:
    """A file by the name that faults show, and a way to open it from its beginning."""

    name: str
    open: Callable[[], BinaryIO]

    @classmethod
    def of(cls, path: Path) -> ByteSource:
        """Name a file of this machine."""
        return cls(name=str(path), open=lambda: path.open("rb", buffering=_BUFFER_BYTES))


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


@dataclass(slots=True)
class FaultList:
    """Collects the faults of one load; the first thousand are enough for anybody."""

    faults: list[Fault] = field(default_factory=list)
    left_out: int = 0

    def add(self, fault: Fault) -> None:
        """Keep a fault, or count it when there are too many already."""
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(fault)
        else:
            self.left_out += 1

    def extend(self, faults: Iterable[Fault]) -> None:
        """Keep several faults."""
        for fault in faults:
            self.add(fault)

    def of_whole_files(self) -> Iterator[Fault]:
        """Yield the faults that are of no single row."""
        return (fault for fault in self.faults if fault.code.startswith("file."))

    def of_rows(self) -> Iterator[Fault]:
        """Yield the faults of rows of which nothing could be read."""
        return (fault for fault in self.faults if not fault.code.startswith("file."))

    def __bool__(self) -> bool:
        return bool(self.faults)


class _FaultyFile(Exception):
    """Ends the reading of one file; carries the fault."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.code)
        self.fault = fault


def header_key(header: str) -> str:
    """Reduce a header to what people mean by it: `E-Mail Address [Required]` is `emailaddress`."""
    text = re.sub(r"\[[^\]]*\]|\([^)]*\)", "", header)
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(c for c in folded if c.isalnum() or unicodedata.category(c).startswith("M"))


def clean(text: str) -> str:
    """Return a field as one line: runs of white space become single blanks."""
    return " ".join(text.split())


def has_control_characters(text: str) -> bool:
    """Whether a text holds characters that belong into no name and no address."""
    return _CONTROL(text) is not None


def instant(text: str, *, zone_if_none: tzinfo | None = None) -> datetime | None:
    """Read an instant in ISO 8601, in UTC; None if it is none, or has no zone and none is given."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        return None
    if read.tzinfo is None:
        if zone_if_none is None:
            return None
        read = read.replace(tzinfo=zone_if_none)
    if read.tzinfo is UTC:
        return read
    try:
        return read.astimezone(UTC)
    except OverflowError:  # the years 1 and 9999
        return None


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
        return _FaultyFile(_encoding_fault(source))
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
    except UnicodeDecodeError as error:
        raise _FaultyFile(_encoding_fault(source)) from error
    except (OSError, LineTooLong) as error:
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


def _opened(source: ByteSource) -> io.TextIOWrapper:
    """Open a file as text in the encoding that its first bytes show. A lone BOM is no text."""
    try:
        with_start = io.BufferedReader(_Raw(source.open()), buffer_size=_BUFFER_BYTES)
        encoding = _encoding(with_start.peek(_SNIFFED_BYTES)[:_SNIFFED_BYTES])
    except OSError as error:
        why = error.strerror or str(error) or type(error).__name__
        raise _FaultyFile(_fault(source, "file.unreadable", None, why=why)) from error
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


def _encoding_fault(source: ByteSource) -> Fault:
    """Find the line of the first bytes that are no text, by reading the file once more."""
    faulty = 1
    with suppress(OSError), source.open() as stream:
        for number, line in enumerate(iter(lambda: stream.readline(LONGEST_LINE), b""), 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                faulty = number
                break
    return _fault(source, "file.encoding", faulty)


# Said of a file of whatever kind.
UNREADABLE: Final = (
    gettext_noop("The file cannot be opened: {why}."),
    gettext_noop("Check the name and who may read it."),
)
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
