"""One meaning has one form in bytes (RFC 8785), so that a digest names content and not spelling."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from countermand.domain.errors import CountermandError, gettext_noop

# Beyond this a reader that keeps numbers as doubles would see another number.
_GREATEST: Final = 2**53 - 1
# Made once: a log of a thousand entries has a hundred thousand texts.
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False)


@dataclass(eq=False)
class NotCanonical(CountermandError):
    """A value has no canonical form here: a float, a number too great, a half character."""

    what: str

    code: ClassVar[str] = "canonical.not_possible"
    sentence: ClassVar[str] = gettext_noop("This content has no exact form: {what}.")
    remedy: ClassVar[str] = gettext_noop("Write it as text, a whole number, true or false.")


def canonical(value: Any) -> bytes:
    """Return the canonical JSON of null, booleans, whole numbers, text, lists and mappings.

    Raises NotCanonical for floats, whole numbers from 2**53 on, lone surrogates, keys that are
    not text, and anything that JSON does not know.
    """
    return _written(value).encode("utf-8")


def digest(value: Any) -> str:
    """Return the SHA-256 of the canonical JSON, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical(value)).hexdigest()


def _written(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return _whole_number(value)
        case str():
            return _text(value)
        case list() | tuple():
            return f"[{','.join(_written(item) for item in value)}]"
        case dict():
            return _mapping(value)
        case _:
            raise NotCanonical(what=f"a {type(value).__name__}")


def _whole_number(value: int) -> str:
    if abs(value) > _GREATEST:
        raise NotCanonical(what="a number from 2**53 on")
    return str(int(value))


def _text(value: str) -> str:
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise NotCanonical(what="half a character (a lone surrogate)") from error
    return _ENCODER.encode(str(value))


def _mapping(value: dict[Any, Any]) -> str:
    if not all(isinstance(key, str) for key in value):
        raise NotCanonical(what="a key that is not text")
    # The order of RFC 8785 is that of UTF-16 code units, which differs from Python's
    # beyond the basic plane.
    keys = sorted(value) if all(map(str.isascii, value)) else sorted(value, key=_utf16)
    return "{" + ",".join(f"{_text(key)}:{_written(value[key])}" for key in keys) + "}"


def _utf16(text: str) -> bytes:
    return text.encode("utf-16-be", "surrogatepass")
