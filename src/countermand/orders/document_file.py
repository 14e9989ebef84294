"""Reads the YAML of an order with the line of each key, and nothing that YAML could smuggle in.

A file is at most 256 KiB of UTF-8, 12 levels deep and 20,000 values long. Anchors, aliases, tags
and doubled keys are refused. Only null, true, false and whole numbers are more than text: a date
or a share stays the text that the author wrote, and what it means is decided in one place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.reader import ReaderError

from countermand.domain.errors import Fault, FaultsFound, gettext_noop

LARGEST_FILE: Final = 256 * 1024
DEEPEST: Final = 12
MOST_VALUES: Final = 20_000
_WHOLE_NUMBER: Final = re.compile(r"-?(0|[1-9]\d{0,14})")
_CONSTANTS: Final[Mapping[str, bool | None]] = {
    "": None,
    "~": None,
    "null": None,
    "true": True,
    "false": False,
}


def text_of(path: Path) -> str:
    """Return the text of an order file; raise FaultsFound when it is too big or not UTF-8."""
    with path.open("rb") as file:
        return _decoded(file.read(LARGEST_FILE + 1), str(path))


def load(source: Path | str | bytes, *, name: str = "") -> tuple[dict[str, Any], dict[str, int]]:
    """Read an order file, or its text, into plain values and the line of each dotted key.

    List items are numbered from 1 in keys, lines from 1 as well; `name` is shown in faults when
    the source is no path. Raises FaultsFound, and OSError when the file cannot be opened.
    """
    if isinstance(source, Path):
        return _Builder(str(source)).build(text_of(source))
    encoded = source.encode("utf-8", "surrogatepass") if isinstance(source, str) else source
    return _Builder(name or None).build(_decoded(encoded, name or None))


def _decoded(encoded: bytes, name: str | None) -> str:
    if len(encoded) > LARGEST_FILE:
        _refuse(
            "file.too_big",
            gettext_noop("The file is larger than 256 KiB."),
            gettext_noop("An order is a page or two; move the rest elsewhere."),
            name=name,
            line=None,
        )
    try:
        text = encoded.decode("utf-8")
    except UnicodeDecodeError as error:
        _refuse(
            "file.encoding",
            gettext_noop("The file is not in UTF-8."),
            gettext_noop("Save it as UTF-8 and try again."),
            name=name,
            line=encoded.count(b"\n", 0, error.start) + 1,
        )
    return text.removeprefix("\ufeff")


def _refuse(
    code: str, sentence: str, remedy: str, *, name: str | None, line: int | None, key: str = ""
) -> NoReturn:
    fault = Fault(code=code, sentence=sentence, remedy=remedy, key=key, line=line, file=name)
    raise FaultsFound.of(name or gettext_noop("This order"), [fault])


class _Builder:
    """Builds plain values out of the events of one YAML text."""

    def __init__(self, name: str | None) -> None:
        self._name = name
        self._lines: dict[str, int] = {}
        self._values = 0

    def build(self, text: str) -> tuple[dict[str, Any], dict[str, int]]:
        try:
            value = self._document(YAML(typ="safe", pure=True).parse(text))
        except ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            self._not_yaml(line, error)
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            self._not_yaml(mark.line + 1 if mark else None, error)
        except (YAMLError, ValueError, IndexError) as error:
            # The reader of YAML lets some of these through on odd numbers and directives.
            self._not_yaml(None, error)
        if not isinstance(value, dict):
            self._refuse_at(
                "file.no_keys",
                gettext_noop("The file holds no keys with values."),
                gettext_noop("Begin with: countermand: order/v1"),
                1,
            )
        return value, self._lines

    def _document(self, events: Iterator[Event]) -> Any:
        value: Any = None
        documents = 0
        for event in events:
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._refuse_at(
                        "file.two_documents",
                        gettext_noop("The file holds more than one document."),
                        gettext_noop("Put each order into a file of its own."),
                        _line(event),
                    )
            elif isinstance(event, ScalarEvent | MappingStartEvent | SequenceStartEvent):
                value = self._value(event, events, "", 1)
            elif isinstance(event, AliasEvent):
                self._refuse_alias(event)
        return value

    def _value(self, event: Event, events: Iterator[Event], key: str, depth: int) -> Any:
        self._check(event, depth)
        self._lines.setdefault(key, _line(event))
        if isinstance(event, ScalarEvent):
            return _scalar(event)
        if isinstance(event, SequenceStartEvent):
            return self._sequence(events, key, depth)
        return self._mapping(events, key, depth)

    def _sequence(self, events: Iterator[Event], key: str, depth: int) -> list[Any]:
        found: list[Any] = []
        for event in events:
            if isinstance(event, SequenceEndEvent):
                break
            found.append(self._value(event, events, _joined(key, str(len(found) + 1)), depth + 1))
        return found

    def _mapping(self, events: Iterator[Event], key: str, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for event in events:
            if isinstance(event, MappingEndEvent):
                break
            name = self._name_of(event, depth)
            inner = _joined(key, name)
            if name in found:
                self._refuse_at(
                    "file.key_twice",
                    gettext_noop("A key stands here for the second time."),
                    gettext_noop("Keep one of the two."),
                    _line(event),
                    inner,
                )
            self._lines[inner] = _line(event)
            found[name] = self._value(next(events), events, inner, depth + 1)
        return found

    def _name_of(self, event: Event, depth: int) -> str:
        self._check(event, depth)
        if not isinstance(event, ScalarEvent) or not event.value:
            self._refuse_at(
                "file.key_odd",
                gettext_noop("A key must be one word of text."),
                gettext_noop("Write “key: value”."),
                _line(event),
            )
        return str(event.value)

    def _check(self, event: Event, depth: int) -> None:
        self._values += 1
        if isinstance(event, AliasEvent) or getattr(event, "anchor", None):
            self._refuse_alias(event)
        if _tag_of(event):
            self._refuse_at(
                "file.tag",
                gettext_noop("A value carries a tag (“!…”)."),
                gettext_noop("Take the tag out; every value says itself what it is."),
                _line(event),
            )
        if depth > DEEPEST or self._values > MOST_VALUES:
            self._refuse_at(
                "file.too_deep",
                gettext_noop("The file is nested too deeply or holds too many values."),
                gettext_noop("Write it as the examples are written."),
                _line(event),
            )

    def _refuse_alias(self, event: Event) -> NoReturn:
        self._refuse_at(
            "file.alias",
            gettext_noop("A value refers to another one (“&” or “*”)."),
            gettext_noop("Write the value out; put “*” in quotes when it means everything."),
            _line(event),
        )

    def _not_yaml(self, line: int | None, error: Exception) -> NoReturn:
        fault = Fault(
            code="file.not_yaml",
            sentence=gettext_noop("The file is not YAML: {problem}."),
            remedy=gettext_noop("Correct this line; indent with spaces, quote odd characters."),
            line=line,
            file=self._name,
            facts=(("problem", _problem(error)),),
        )
        raise FaultsFound.of(self._name or gettext_noop("This order"), [fault]) from error

    def _refuse_at(
        self, code: str, sentence: str, remedy: str, line: int, key: str = ""
    ) -> NoReturn:
        _refuse(code, sentence, remedy, name=self._name, line=line, key=key)


def _line(event: Event) -> int:
    return int(event.start_mark.line) + 1


def _joined(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name


def _tag_of(event: Event) -> bool:
    return getattr(event, "tag", None) is not None


def _problem(error: Exception) -> str:
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "not readable"
    # Braces would be taken for places to fill.
    return str(problem).replace("{", "(").replace("}", ")")


def _scalar(event: ScalarEvent) -> Any:
    """Return null, true, false or a whole number for a bare word of that form, else the text."""
    is_bare = not event.style and event.implicit[0]
    if not is_bare:
        return event.value
    if event.value in _CONSTANTS:
        return _CONSTANTS[event.value]
    return int(event.value) if _WHOLE_NUMBER.fullmatch(event.value) else event.value
