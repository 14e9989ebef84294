"""Words that people type, read once: shares, durations, times, files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar, Final

from countermand.domain.errors import CountermandError, gettext_noop
from countermand.domain.order_number import OrderNumber
from countermand.field_texts import instant

_UNITS: Final = {
    "s": timedelta(seconds=1),
    "min": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
_DURATION: Final = re.compile(r"(\d+)\s*(s|min|h|d)")


@dataclass(eq=False)
class NotUnderstood(CountermandError):
    """A word on the command line cannot be read."""

    text: str
    example: str

    code: ClassVar[str] = "cli.not_understood"
    sentence: ClassVar[str] = gettext_noop("“{text}” cannot be read here.")
    remedy: ClassVar[str] = gettext_noop("Write it like {example}.")


@dataclass(eq=False)
class FileIsThere(CountermandError):
    """What is to be written has the name of a file that exists."""

    file: str

    code: ClassVar[str] = "cli.file_is_there"
    sentence: ClassVar[str] = gettext_noop("{file} exists already, and nothing is written over it.")
    remedy: ClassVar[str] = gettext_noop("Choose another name.")


@dataclass(eq=False)
class FileNotWritten(CountermandError):
    """A file named on the command line cannot be written."""

    file: str
    why: str

    code: ClassVar[str] = "cli.file_not_written"
    sentence: ClassVar[str] = gettext_noop("{file} cannot be written ({why}).")
    remedy: ClassVar[str] = gettext_noop("Choose another file, in a folder that you may write to.")


@dataclass(eq=False)
class OrderFileNotReadable(CountermandError):
    """An order file named on the command line cannot be opened."""

    file: str
    why: str

    code: ClassVar[str] = "order_file.not_found"
    sentence: ClassVar[str] = gettext_noop("{file} cannot be opened ({why}).")
    remedy: ClassVar[str] = gettext_noop("Look at the name of the file.")


def new_file(file: Path, parts: Iterable[bytes]) -> int:
    """Write a file that only its owner may read; returns of how many parts.

    Raises FileIsThere or FileNotWritten; then it is not there, or as it was.
    """
    try:
        file.touch(mode=0o600, exist_ok=False)
    except FileExistsError:
        raise FileIsThere(file=str(file)) from None
    except OSError as error:
        raise FileNotWritten(file=str(file), why=error.strerror or str(error)) from error
    try:
        with file.open("wb") as target:
            return sum(1 for part in parts if target.write(part))
    except OSError as error:
        file.unlink(missing_ok=True)
        raise FileNotWritten(file=str(file), why=error.strerror or str(error)) from error


def share(text: str) -> float:
    """Read `12%` or `0.12`. Raises NotUnderstood."""
    number = text.strip().removesuffix("%")
    try:
        value = float(number) / (100 if text.strip().endswith("%") else 1)
    except ValueError:
        raise NotUnderstood(text=text, example="12%") from None
    if not 0 <= value <= 1:
        raise NotUnderstood(text=text, example="12%")
    return value


def shares(text: str) -> dict[str, float]:
    """Read `hi=45%,en=55%`; weights need not add up to one. Raises NotUnderstood."""
    found: dict[str, float] = {}
    for part in text.split(","):
        name, equals, weight = part.partition("=")
        if not equals or not name.strip():
            raise NotUnderstood(text=text, example="hi=45%,en=55%")
        try:
            found[name.strip()] = float(weight.strip().removesuffix("%"))
        except ValueError:
            raise NotUnderstood(text=text, example="hi=45%,en=55%") from None
    if min(found.values()) < 0 or sum(found.values()) <= 0:
        raise NotUnderstood(text=text, example="hi=45%,en=55%")
    return found


def duration(text: str) -> timedelta:
    """Read `72h`, `3d`, `45min` or `10s`. Raises NotUnderstood."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise NotUnderstood(text=text, example="72h")
    return int(match[1]) * _UNITS[match[2]]


def time(text: str) -> datetime:
    """Read an instant with a zone, such as 2026-11-23T09:30:00+05:30. Raises NotUnderstood."""
    read = instant(text.strip())
    if read is None:
        raise NotUnderstood(text=text, example="2026-11-23T09:30:00+05:30")
    return read.astimezone(UTC)


def optional_order_number(text: str | None) -> str | None:
    """Read the number of an order, if one was given. Raises as `order_number` does."""
    return None if text is None else order_number(text)


def order_number(text: str) -> str:
    """Read the number of an order as people type it.

    Raises OrderNumberNotUnderstood, or CheckCharacterWrong when only a character is wrong.
    """
    return OrderNumber.parse(text).text
