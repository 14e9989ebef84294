"""What the text of one field says, whatever kind of file it stands in."""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from typing import Final

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]").search  # the category Cc


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
