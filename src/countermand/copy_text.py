"""Rows in the text form that PostgreSQL's COPY reads: whatever stands in a field comes out again.

All but NUL, which PostgreSQL cannot hold: it comes out as a blank.

Written by hand, since a million rows go through it: a field without anything odd is taken as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, datetime
from typing import Final

NULL: Final = r"\N"
# What COPY or an array takes for something else: separators, escapes, and control characters.
is_odd: Final = re.compile(r'[\\"\x00-\x1f]').search
_ESCAPES: Final = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r", "\0": " "})


def escaped(text: str) -> str:
    """Return a text as a field of its own."""
    return text.translate(_ESCAPES) if is_odd(text) else text


def array(texts: Iterable[str]) -> str:
    """Return texts as one field that holds an array."""
    quoted = '","'.join([_element(text) if is_odd(text) else text for text in texts])
    return f'{{"{quoted}"}}'


def _element(text: str) -> str:
    """Return a text as it stands between the quotation marks of an element."""
    return text.replace("\\", "\\\\").replace('"', '\\"').translate(_ESCAPES)


def day(on: date | None) -> str:
    """Return a day, or that there is none."""
    return NULL if on is None else on.isoformat()


def epoch(at: datetime | None) -> str:
    """Return an instant in seconds since 1970 for `to_timestamp`, or that there is none.

    Writing and reading its parts takes three times as long. Exact to the microsecond up to 2106.
    """
    return NULL if at is None else f"{at.timestamp()}"
