"""Which device speaks ActiveSync: plain parameters, or one base64 word (MS-ASHTTP 2.2.1.1.1).

    version 1 | command 1 | locale 2 | n, device id n | n, policy key n | n, device type n | ...

The id inside the base64 form may be text or raw bytes. What cannot be read names no device.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final
from urllib.parse import unquote_to_bytes

from countermand.domain.device_key import normal_device

_PATH: Final = "microsoft-server-activesync"
_VERSIONS: Final = frozenset({120, 121, 140, 141, 160, 161})
LONGEST_QUERY: Final = 4096
_BEFORE_ID: Final = 4


def is_active_sync(path: str) -> bool:
    """Tell whether a path is that of ActiveSync, whatever stands before it."""
    return _PATH in path.casefold().split("/")


def device_of(query: str) -> str:
    """Return the normal form of the device that a query names, empty if it names none."""
    if len(query) > LONGEST_QUERY:
        return ""
    named = _parameter(query, "deviceid")
    if named is not None:
        return normal_device(named)
    raw = _unpacked(query)
    return normal_device(_device_bytes(raw)) if raw else ""


def user_of(query: str) -> str:
    """Return the person that a plain query names, empty if it names none."""
    if len(query) > LONGEST_QUERY:
        return ""
    return (_parameter(query, "user") or b"").decode("utf-8", "replace")


def _parameter(query: str, wanted: str) -> bytes | None:
    for pair in query.split("&"):
        name, equals, value = pair.partition("=")
        if equals and name.casefold() == wanted:
            return unquote_to_bytes(value.replace("+", " "))
    return None


def _unpacked(query: str) -> bytes:
    word = unquote_to_bytes(query).rstrip(b"=")
    try:
        return base64.b64decode(word + b"=" * (-len(word) % 4), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _device_bytes(raw: bytes) -> bytes:
    if len(raw) <= _BEFORE_ID or raw[0] not in _VERSIONS:
        return b""
    length = raw[_BEFORE_ID]
    device = raw[_BEFORE_ID + 1 : _BEFORE_ID + 1 + length]
    return device if len(device) == length else b""
