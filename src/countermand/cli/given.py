"""Words that people type, read once: shares, durations, times, files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
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
