"""Property lists that devices wrote: XML alone, bounded, without entities."""

from __future__ import annotations

import base64
import binascii
import plistlib
from collections.abc import Mapping
from typing import Any, Final
from xml.parsers.expat import ExpatError

MOST_BYTES: Final = 4 * 1024**2


class NoPropertyList(Exception):
    """The bytes are no property list that may be read here."""


def of_base64(text: object) -> Mapping[str, Any]:
    """Read the property list in a field of base64. Raises NoPropertyList."""
    if not isinstance(text, str) or len(text) > MOST_BYTES * 4 // 3 + 4:
        raise NoPropertyList
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NoPropertyList from error
    return of_bytes(raw)


def of_bytes(raw: bytes) -> Mapping[str, Any]:
    """Read an XML property list that holds a dictionary. Raises NoPropertyList."""
    # A document type with declarations of its own could swell; Apple's has none.
    if len(raw) > MOST_BYTES or b"<!ENTITY" in raw or b"\x00" in raw[:4]:
        raise NoPropertyList
    try:
        value = plistlib.loads(raw, fmt=plistlib.FMT_XML)
    # plistlib lets several of its own slips through as whatever they happen to be.
    except (ValueError, TypeError, AttributeError, LookupError, ArithmeticError) as error:
        raise NoPropertyList from error
    except (ExpatError, RecursionError, plistlib.InvalidFileException) as error:
        raise NoPropertyList from error
    if not isinstance(value, dict):
        raise NoPropertyList
    return value
