"""The question of web proxies: nginx `auth_request`, Traefik, Caddy, Envoy and their like.

    204 go on | 403 mail is paused on this device, with the order's number in a header

The phone's own request comes in headers (`X-Original-URI`, `X-Forwarded-Uri`) or behind our own
path; the person in `X-Remote-User` or in a Basic header whose password is dropped before anything
else is done. A phone may add headers of its own, so all that are there count: adding one can only
shut a door on oneself. Webmail and OPTIONS name no device and pass.

Nearly every question has one plain shape. `plain_key` reads exactly that shape, and leaves every
other to `question`; where both read, both read the same.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from countermand.domain.device_key import normal_login, plain_door_key
from countermand.gate.answerer import Door
from countermand.gate.door_kinds import DoorKind
from countermand.gate.fronts.active_sync import LONGEST_QUERY, device_of, is_active_sync, user_of
from countermand.gate.protocol import Request

PATH: Final = b"/auth"
URI_HEADERS: Final = (b"x-original-uri", b"x-forwarded-uri")
METHOD_HEADERS: Final = (b"x-original-method", b"x-forwarded-method")
USER_HEADERS: Final = (b"x-remote-user", b"remote-user")
AUTHORIZATION: Final = b"authorization"
WANTED_HEADERS: Final = frozenset(
    {*URI_HEADERS, *METHOD_HEADERS, *USER_HEADERS, AUTHORIZATION, b"x-countermand-token"}
)
_MOST_OF_EACH: Final = 4
Headers = Mapping[bytes, Sequence[bytes]]

# In lower case. An id that may be text written in hexadecimal digits is not plain.
_PLAIN_URI: Final = re.compile(
    rb"/microsoft-server-activesync\?"
    rb"(?:(?!deviceid=)[a-z0-9]+=[!-%'-~]*&)*+"
    rb"deviceid=(?!(?:[2-7][0-9a-f]){6,}(?:&|\Z))([a-z0-9]+)(?:&[!-~]*)?"
)
_PLAIN_HEADERS: Final = frozenset(
    {b"x-original-uri", b"x-original-method", b"x-remote-user", AUTHORIZATION}
)
_PLAIN_LOGIN: Final = re.compile(rb"[!-\[\]-~]+")


@dataclass(frozen=True, slots=True)
class WebQuestion:
    """Who asks through a proxy, with which devices; `is_webmail` says that it is no phone."""

    is_webmail: bool
    doors: tuple[Door, ...]


def plain_key(headers: Headers) -> bytes | None:
    """Return the key of the one door that a question of the plain shape names, else None.

    Whoever calls has made sure that what stands in `authorization` is no Basic name.
    """
    if len(headers) != len(_PLAIN_HEADERS) or not headers.keys() >= _PLAIN_HEADERS:
        return None
    uris, logins = headers[b"x-original-uri"], headers[b"x-remote-user"]
    methods = headers[b"x-original-method"]
    if not len(uris) == len(logins) == len(methods) == len(headers[AUTHORIZATION]) == 1:
        return None
    named = _PLAIN_URI.fullmatch(uris[0].lower())
    login, method = logins[0], methods[0]
    if (
        named is None
        or len(uris[0]) > LONGEST_QUERY
        or method == b"OPTIONS"
        or not method.isupper()
        or not _PLAIN_LOGIN.fullmatch(login)
    ):
        return None
    return plain_door_key(login, named[1])


def question(request: Request) -> WebQuestion:
    """Read what a proxy forwards."""
    headers = request.headers
    uris = [uri for uri in _texts(headers, URI_HEADERS) if is_active_sync(_path(uri))]
    behind = request.target.removeprefix(PATH).decode("utf-8", "replace")
    if not any(headers.get(name) for name in URI_HEADERS) and is_active_sync(_path(behind)):
        uris = [behind]
    if not uris:
        return WebQuestion(is_webmail=True, doors=())
    if all(each.upper() == "OPTIONS" for each in _methods(request)):
        return WebQuestion(is_webmail=False, doors=())
    queries = [uri.partition("?")[2] for uri in uris]
    devices = _once(device for query in queries if (device := device_of(query)))
    logins = _logins(headers) or _once(normal_login(user_of(query)) for query in queries)
    doors = tuple(Door(login, device) for login in logins for device in devices)
    return WebQuestion(is_webmail=False, doors=doors)


def kind_of(asked: WebQuestion, device_known: str) -> DoorKind:
    """Return the door through which a question came, knowing what was found."""
    if asked.is_webmail:
        return DoorKind.WEBMAIL
    return _KINDS.get(device_known, DoorKind.OTHER)


_KINDS: Final[Mapping[str, DoorKind]] = {
    "known": DoorKind.ACTIVESYNC_KNOWN,
    "unknown": DoorKind.ACTIVESYNC_UNKNOWN,
}


def basic_name(value: bytes) -> str:
    """Return the name in a Basic header; the password is not kept for a moment."""
    scheme, _, word = value.partition(b" ")
    if scheme.lower() != b"basic":
        return ""
    try:
        name = base64.b64decode(word.strip(), validate=True).partition(b":")[0]
    except (binascii.Error, ValueError):
        return ""
    return name.decode("utf-8", "replace")


def _logins(headers: Headers) -> list[str]:
    named = _texts(headers, USER_HEADERS)
    named += [basic_name(each) for each in headers.get(AUTHORIZATION, ())[:_MOST_OF_EACH]]
    # Windows clients write DOMAIN\name; which of the two a mail server knows is not ours to say.
    spelled = [part for name in named for part in (name, name.rpartition("\\")[2])]
    return _once(normal_login(name) for name in spelled if name.strip())


def _methods(request: Request) -> list[str]:
    return _texts(request.headers, METHOD_HEADERS) or [request.method.decode("ascii", "replace")]


def _texts(headers: Headers, names: Iterable[bytes]) -> list[str]:
    return [
        each.decode("utf-8", "replace")
        for name in names
        for each in headers.get(name, ())[:_MOST_OF_EACH]
    ]


def _path(uri: str) -> str:
    path = uri.partition("?")[0]
    if "://" in path:
        path = "/" + path.partition("://")[2].partition("/")[2]
    return unquote(path)


def _once(names: Iterable[str]) -> list[str]:
    return [name for name in dict.fromkeys(names) if name]
