"""What a directory sends, before anything of it is believed: bounded, and text that can be kept.

A directory holds a token and is still only as good as its export: what cannot be kept is refused
in SCIM's own words, and what was known stays.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from django.http import HttpRequest
from scim2_models import InvalidSyntaxException, InvalidValueException

DEEPEST: Final = 32
MOST_OPERATIONS: Final = 1_000
_ENTERPRISE: Final = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:user"
_MANAGER: Final = frozenset({"manager", f"{_ENTERPRISE}:manager"})
_WORDS: Final[Mapping[str, bool]] = {"true": True, "false": False}


def body_of(request: HttpRequest) -> dict[str, Any]:
    """Return the object that a request carries. Raises SCIMException."""
    try:
        read = json.loads(request.body)
    except (ValueError, RecursionError) as error:
        raise InvalidSyntaxException from error
    if not isinstance(read, dict):
        raise InvalidSyntaxException
    _check(read, DEEPEST)
    return read


def changes_of(request: HttpRequest) -> dict[str, Any]:
    """Return a list of changes as it is meant. Raises SCIMException."""
    body = body_of(request)
    operations = body.get("Operations") or []
    if not isinstance(operations, list) or len(operations) > MOST_OPERATIONS:
        raise InvalidSyntaxException(detail=f"Operations: a list of {MOST_OPERATIONS} at most.")
    for operation in operations:
        _mend(operation)
    body["Operations"] = [each for operation in operations for each in _one_by_one(operation)]
    return body


def checked_text(text: str) -> str:
    """Return a text that a database can hold. Raises InvalidValueException."""
    if "\x00" in text or any("\ud800" <= c <= "\udfff" for c in text):
        raise InvalidValueException(detail="A text holds a character that is none.")
    return text


def _check(value: Any, levels: int) -> None:
    if isinstance(value, str):
        checked_text(value)
        return
    if not isinstance(value, dict | list):
        return
    if levels == 0:
        raise InvalidSyntaxException(detail="nested too deep")
    for each in value.values() if isinstance(value, dict) else value:
        _check(each, levels - 1)


def _one_by_one(operation: Any) -> Iterator[Any]:
    """Give a value to the entries that it names (`emails[type eq "work"].value`) by their path."""
    value = operation.get("value") if isinstance(operation, dict) else None
    if not isinstance(value, dict) or operation.get("path"):
        yield operation
        return
    by_path = {key: each for key, each in value.items() if "[" in key}
    if rest := {key: each for key, each in value.items() if key not in by_path}:
        yield {**operation, "value": rest}
    for path, each in by_path.items():
        yield {**operation, "path": path, "value": each}


def _mend(operation: Any) -> None:
    """Read a manager, and "True" and "False", in every form in which Entra writes them."""
    if not isinstance(operation, dict):
        return
    value = operation.get("value")
    if str(operation.get("path", "")).lower() in _MANAGER and value is not None:
        operation |= {"path": f"{_ENTERPRISE}:manager", "value": _person(value)}
        if operation["value"] is None:
            operation["op"] = "remove"
            del operation["value"]
    elif isinstance(value, dict):
        for key in (key for key in value if key.lower() in _MANAGER):
            value[key] = _person(value[key])
    if isinstance(value, str) and str(operation.get("path", "")).lower() == "active":
        operation["value"] = _WORDS.get(value.lower(), value)
    if isinstance(value, dict) and isinstance(value.get("active"), str):
        value["active"] = _WORDS.get(value["active"].lower(), value["active"])


def _person(value: Any) -> Any:
    """Return whom a value means by their key alone: a text, a list of one, or an object."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, dict):
        value = value.get("value")
    if isinstance(value, str):
        return {"value": value} if value.strip() else None
    return value
