"""Words in another language than the text they stand in, marked until the text gets its form.

HTML says `lang` of them, so that a screen reader speaks them rightly (WCAG 3.1.2); plain text has
no word for it. The marks are characters that no language uses.
"""

from __future__ import annotations

import re
from typing import Final

MARK: Final = "\ue000"
_BEGINS: Final = re.compile(f"{MARK}([A-Za-z0-9-]+)\ue001")
_ENDS: Final = "\ue002"


def marked(text: str, language: str, *, within: str) -> str:
    """Return words of `language` as they stand in a text in the language `within`."""
    return text if language == within or not text else f"{MARK}{language}\ue001{text}{_ENDS}"


def without(text: str) -> str:
    """Return a text as plain text has it."""
    return _BEGINS.sub("", text).replace(_ENDS, "") if MARK in text else text


def as_html(escaped: str) -> str:
    """Return a text that is escaped already as HTML has it."""
    if MARK not in escaped:
        return escaped
    return _BEGINS.sub(r'<span lang="\1">', escaped).replace(_ENDS, "</span>")
