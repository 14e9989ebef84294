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

SLOT: Final = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_GROUP: Final = 3
_RAW_LINE: Final = 57  # 76 characters of base64

Values = Mapping[str, str | list[str]]


def filling(value: str | list[str], *, as_html: bool) -> str:
    """Write one value out: a list becomes lines "- x", or `<li>` items in HTML."""
    if isinstance(value, str):
        return html.escape(value) if as_html else value
    if as_html:
        return "".join(f"<li>{html.escape(item)}</li>" for item in value)
    return "\n".join(f"- {item}" for item in value)


class SplicedText:
    """One text with `{slots}`, of which a base64 body is made for each person."""

    def __init__(self, text: str, *, as_html: bool = False) -> None:
        """Code the words between the slots."""
        words = SLOT.split(text)
        self._as_html = as_html
        self._first = _Words(_raw(words[0]))
        self._rest = [
            (slot, _Words(_raw(following)))
            for slot, following in zip(words[1::2], words[2::2], strict=True)
        ]

    def add_to(self, lines: list[bytes], values: Values) -> None:
        """Append the lines of the body. Raises KeyError with the name of a missing slot."""
        coded, carried = self._first.forms[0][1:]
        if coded:
            lines.append(coded)
        for slot, words in self._rest:
            value = values[slot]
            if isinstance(value, str) and not self._as_html:
                raw = carried + _raw(value)
            else:
                raw = carried + _raw(filling(value, as_html=self._as_html))
            wanted = -len(raw) % _GROUP
            if wanted > words.length:  # a byte or none between two values: it goes along
                carried = raw + words.forms[0][2]
                continue
            lent, coded, carried = words.forms[wanted]
            if raw := raw + lent:
                lines.append(_lines(raw))
            if coded:
                lines.append(coded)
        if carried:
            lines.append(_lines(carried))


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
    if len(raw) <= _RAW_LINE:
        return binascii.b2a_base64(raw, newline=False) if raw else b""
    return b"\r\n".join(
        binascii.b2a_base64(raw[at : at + _RAW_LINE], newline=False)
        for at in range(0, len(raw), _RAW_LINE)
    )
