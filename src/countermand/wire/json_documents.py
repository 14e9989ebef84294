"""JSON that others wrote: bounded, refused when it is none, read field by field.

The promise: nothing in a document can use up the machine, no text leaves a record that a database
cannot hold, and a missing key is never the same as an empty list.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from countermand.byte_source import ByteSource
from countermand.domain.errors import Fault, gettext_noop
from countermand.field_texts import instant
from countermand.row_faults import fault_at

MOST_BYTES: Final = 64 * 1024**2
DEEPEST: Final = 64
LONGEST_TEXT: Final = 4_000
_BEFORE_ALL_DEVICES: Final = datetime(1971, 1, 1, tzinfo=UTC)  # sources write year 1 for “never”


class Faulty(Exception):
    """Ends the reading of a document or of one record; carries the fault."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.code)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Record:
    """One object of a document, with the place that faults show."""

    file: str
    place: str
    value: Mapping[str, Any]

    def text(self, *path: str, longest: int = LONGEST_TEXT) -> str:
        """Return a text as one line without control characters; empty when it is missing.

        A number is written out. Raises Faulty when it is something else, or too long.
        """
        found = self._find(path)
        if found is None:
            return ""
        if isinstance(found, bool) or not isinstance(found, str | int):
            raise self.faulty("row.bad_shape", *path)
        written = str(found)
        if len(written) > longest:
            raise self.faulty("row.text_too_long", *path, limit=str(longest))
        return _printable(written)

    def texts(self, *path: str) -> tuple[str, ...]:
        """Return a list of texts; empty when it is missing. Raises Faulty."""
        found = self._find(path)
        if found is None:
            return ()
        if not isinstance(found, list) or len(found) > LONGEST_TEXT:
            raise self.faulty("row.bad_shape", *path)
        if not all(isinstance(each, str) and len(each) <= LONGEST_TEXT for each in found):
            raise self.faulty("row.bad_shape", *path)
        return tuple(_printable(each) for each in found)

    def records(self, *path: str) -> tuple[Record, ...] | None:
        """Return the objects of a list; None when the list is missing.

        Raises Faulty, also where one of its members is no object: what it was nobody knows.
        """
        found = self._find(path)
        if found is None:
            return None
        if not isinstance(found, list):
            raise self.faulty("row.bad_shape", *path)
        place = self._place(path)
        for number, each in enumerate(found, 1):
            if not isinstance(each, dict):
                raise Faulty(fault_at("row.bad_shape", self.file, f"{place}[{number}]"))
        return tuple(
            Record(self.file, f"{place}[{number}]", each) for number, each in enumerate(found, 1)
        )

    def is_true(self, *path: str) -> bool:
        """Whether a field says yes; anything else is no."""
        return self._find(path) is True

    def has(self, *path: str) -> bool:
        """Whether a field is there and not null."""
        return self._find(path) is not None

    def time(self, *path: str, as_of: datetime, clamp: bool = False) -> datetime | None:
        """Return an instant in UTC, None when there is none.

        Raises Faulty when it is no instant, or lies after `as_of`; with `clamp` it is then taken
        for `as_of`, which makes evidence weaker and never stronger.
        """
        text = self.text(*path)
        if not text:
            return None
        read = instant(text, zone_if_none=UTC)
        if read is None:
            raise self.faulty("row.bad_time", *path, text=text[:40])
        if read < _BEFORE_ALL_DEVICES:
            return None
        if read > as_of:
            if not clamp:
                facts = {"text": text[:40], "as_of": as_of.isoformat()}
                raise self.faulty("row.time_ahead", *path, **facts)
            return as_of
        return read

    def faulty(self, code: str, *path: str, **facts: str) -> Faulty:
        """Return the exception that says what is wrong with a field."""
        return Faulty(fault_at(code, self.file, self._place(path), **facts))

    def _place(self, path: Sequence[str]) -> str:
        return ".".join(part for part in (self.place, *path) if part)

    def _find(self, path: Sequence[str]) -> Any:
        found: Any = self.value
        for key in path:
            if found is None:
                return None
            if not isinstance(found, Mapping):
                raise self.faulty("row.bad_shape", *path)
            found = found.get(key)
        return found


def document(name: str, raw: bytes) -> Record:
    """Read one JSON object. Raises Faulty: too large, no JSON, too deep, or no object."""
    if len(raw) > MOST_BYTES:
        raise Faulty(fault_at("file.too_large", name, limit=str(MOST_BYTES // 1024**2)))
    try:
        value = json.loads(raw, parse_constant=_no_number)
    except RecursionError:
        raise Faulty(fault_at("file.bad_json", name, why=gettext_noop("nested too deep"))) from None
    except ValueError as error:
        # Never the text itself: it may hold what must not be kept.
        place = f"{type(error).__name__} at {getattr(error, 'pos', 0)}"
        raise Faulty(fault_at("file.bad_json", name, why=place)) from None
    if not isinstance(value, dict):
        raise Faulty(fault_at("file.bad_json", name, why=gettext_noop("no object")))
    if _is_deeper_than(value, DEEPEST):
        raise Faulty(fault_at("file.bad_json", name, why=gettext_noop("nested too deep")))
    return Record(name, "", value)


def read(source: ByteSource) -> Record:
    """Read a file as one JSON object. Raises Faulty."""
    try:
        with source.open() as stream:
            raw = stream.read(MOST_BYTES + 1)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise Faulty(fault_at("file.unreadable", source.name, why=why)) from error
    return document(source.name, raw)


def refuse_error(page: Record, *, list_key: str) -> None:
    """Raise Faulty when a page says 200 and holds an error, or lacks its list."""
    if isinstance(page.value.get(list_key), list) and not page.has("error"):
        return
    for key in ("error", "errors"):
        if page.has(key):
            raise Faulty(fault_at("file.holds_error", page.file, why=_error_word(page.value[key])))
    raise Faulty(fault_at("file.list_missing", page.file, key=list_key))


def _error_word(error: Any) -> str:
    """Return the code of an error, if it is a short word; its prose may hold anything."""
    if isinstance(error, list) and error:
        error = error[0]
    if isinstance(error, dict):
        error = error.get("code") or error.get("status") or error.get("httpStatus") or ""
    word = str(error) if isinstance(error, str | int) else ""
    return word if word.replace("_", "").isalnum() and len(word) <= 60 else "?"  # noqa: PLR2004


def _printable(text: str) -> str:
    """Return a text as one line that every database holds: no controls, no half characters."""
    plain = text.encode("utf-8", "replace").decode("utf-8")
    kept = "".join(" " if unicodedata.category(c) == "Cc" else c for c in plain)
    return " ".join(kept.split())


def _no_number(word: str) -> float:
    raise ValueError(word)


def _is_deeper_than(value: Any, levels: int) -> bool:
    layer: list[Any] = [value]
    for _ in range(levels):
        layer = [child for each in layer for child in _children(each)]
        if not layer:
            return False
    return True


def _children(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        yield from (each for each in value.values() if isinstance(each, dict | list))
    elif isinstance(value, list):
        yield from (each for each in value if isinstance(each, dict | list))
