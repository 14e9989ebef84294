"""Approved words are coded once; a person's values are put between them without coding all anew.

Base64 codes three bytes at a time, so a value that ends amid such a group borrows the missing
bytes from the words that follow. Those words are therefore kept in three ready forms, for zero,
one and two bytes lent; each form ends in the bytes that the next value takes along. Lines may be
of any length up to 76 (RFC 2045, 6.8), so every piece begins a line of its own.
"""

from __future__ import annotations

import binascii
import html
import re
from collections.abc import Mapping
from typing import Final

from countermand.domain import language_marks
from countermand.domain.language_marks import MARK, without

SLOT: Final = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_SPECIAL: Final = re.compile(rf"[&<>\"'{MARK}]")  # what HTML writes in another way
_GROUP: Final = 3
_RAW_LINE: Final = 57  # 76 characters of base64

Values = Mapping[str, str | list[str]]


def filling(value: str | list[str], *, as_html: bool) -> str:
    """Write one value out: a list becomes lines "- x", or `<li>` items in HTML."""
    if isinstance(value, str):
        return _in_html(value) if as_html else without(value)
    if as_html:
        return "".join(f"<li>{_in_html(item)}</li>" for item in value)
    return "\n".join(f"- {without(item)}" for item in value)


def _in_html(text: str) -> str:
    return language_marks.as_html(html.escape(text))


class SplicedText:
    """One text with `{slots}`, of which a base64 body is made for each person."""

    def __init__(self, text: str) -> None:
        """Code the words between the slots."""
        words = SLOT.split(text)
        self._first = _Words(_raw(words[0])).forms[0][1:]
        self._rest = [
            (slot, _Words(_raw(following)))
            for slot, following in zip(words[1::2], words[2::2], strict=True)
        ]

    def add_coded(self, lines: list[bytes], values: Mapping[str, bytes]) -> None:
        """Append the lines of the body, with values as `coded` wrote them.

        Raises KeyError with the name of a missing slot.
        """
        first, carried = self._first
        if first:
            lines.append(first)
        code = binascii.b2a_base64
        for slot, words in self._rest:
            raw = carried + values[slot]
            wanted = -len(raw) % _GROUP
            if wanted > words.length:  # a byte or none between two values: it goes along
                carried = raw + words.forms[0][2]
                continue
            lent, following, carried = words.forms[wanted]
            raw += lent
            if len(raw) > _RAW_LINE:
                lines.append(_lines(raw))
            elif raw:
                lines.append(code(raw, newline=False))
            if following:
                lines.append(following)
        if carried:
            lines.append(_lines(carried))


def coded(values: Values, *, as_html: bool) -> dict[str, bytes]:
    """Write every value of a person out, as the bytes that stand in a text or in HTML."""
    return {
        slot: value.encode()
        if not as_html and isinstance(value, str) and "\n" not in value and MARK not in value
        else _raw(filling(value, as_html=as_html))
        for slot, value in values.items()
    }


def in_html(values: Values, texts: dict[str, bytes]) -> dict[str, bytes]:
    """Return the same for HTML; values that read alike in both are not written out again."""
    found = texts
    for slot, value in values.items():
        if not isinstance(value, str) or _SPECIAL.search(value):
            if found is texts:
                found = dict(texts)
            found[slot] = _raw(filling(value, as_html=True))
    return found


class _Words:
    """Fixed bytes, as (bytes lent to what stands before, coded lines, bytes left over)."""

    __slots__ = ("forms", "length")

    def __init__(self, raw: bytes) -> None:
        self.length = len(raw)
        self.forms = tuple(_form(raw, lent) for lent in range(_GROUP))


def _form(raw: bytes, lent: int) -> tuple[bytes, bytes, bytes]:
    whole = lent + (len(raw) - lent) // _GROUP * _GROUP if len(raw) > lent else lent
    return raw[:lent], _lines(raw[lent:whole]), raw[whole:]


def _raw(text: str) -> bytes:
    # CRLF inside base64 is the form of text; readers on every system show it alike.
    if "\n" in text:
        text = text.replace("\r\n", "\n").replace("\n", "\r\n")
    return text.encode()


def _lines(raw: bytes) -> bytes:
    code = binascii.b2a_base64
    if len(raw) <= _RAW_LINE:
        return code(raw, newline=False) if raw else b""
    if len(raw) <= 2 * _RAW_LINE:
        first, second = raw[:_RAW_LINE], raw[_RAW_LINE:]
        return code(first, newline=False) + b"\r\n" + code(second, newline=False)
    return b"\r\n".join(
        code(raw[at : at + _RAW_LINE], newline=False) for at in range(0, len(raw), _RAW_LINE)
    )
