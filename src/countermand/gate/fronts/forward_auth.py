"""The question of web proxies: nginx `auth_request`, Traefik, Caddy, Envoy and their like.

    204 go on | 403 mail is paused on this device, with the order's number in a header

The phone's own request comes in headers (`X-Original-URI`, `X-Forwarded-Uri`) or behind our own
path; the person in `X-Remote-User` or in a Basic header whose password is dropped before anything
else is done. A phone may add headers of its own, so all that are there count: adding one can only
shut a door on oneself. Webmail and OPTIONS name no device and pass.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final
from urllib.parse import unquote

from countermand.domain.device_key import normal_login
from countermand.gate.answerer import Answer, Answerer, Door
from countermand.gate.door_kinds import DoorKind
from countermand.gate.fronts.active_sync import device_of, is_active_sync, user_of

PATH: Final = "/auth"
URI_HEADERS: Final = (b"x-original-uri", b"x-forwarded-uri")
METHOD_HEADERS: Final = (b"x-original-method", b"x-forwarded-method")
USER_HEADERS: Final = (b"x-remote-user", b"remote-user")
AUTHORIZATION: Final = b"authorization"
WANTED_HEADERS: Final = frozenset(
    {*URI_HEADERS, *METHOD_HEADERS, *USER_HEADERS, AUTHORIZATION, b"x-countermand-token"}
)
_MOST_OF_EACH: Final = 4
_ACTIVE_SYNC: Final = "activesync"
_WEBMAIL: Final = "webmail"
_ACTIVE_SYNC_DOORS: Final = MappingProxyType(
    {"known": DoorKind.ACTIVESYNC_KNOWN, "unknown": DoorKind.ACTIVESYNC_UNKNOWN}
)
Headers = Mapping[bytes, Sequence[bytes]]


@dataclass(frozen=True, slots=True)
class WebQuestion:
    """Who asks through a proxy, with which devices; `kind` names the door."""

    kind: str
    doors: tuple[Door, ...]


def question(method: str, target: str, headers: Headers) -> WebQuestion:
    """Read what a proxy forwards; `method` and `target` are those of its own request to us."""
    uris = [uri for uri in _texts(headers, URI_HEADERS) if is_active_sync(_path(uri))]
    behind = target.removeprefix(PATH)
    if not any(headers.get(name) for name in URI_HEADERS) and is_active_sync(_path(behind)):
        uris = [behind]
    if not uris:
        return WebQuestion(kind=_WEBMAIL, doors=())
    if all(each.upper() == "OPTIONS" for each in _methods(method, headers)):
        return WebQuestion(kind=_ACTIVE_SYNC, doors=())
    queries = [uri.partition("?")[2] for uri in uris]
    devices = _once(device for query in queries if (device := device_of(query)))
    logins = _logins(headers) or _once(normal_login(user_of(query)) for query in queries)
    doors = tuple(Door(login, device) for login in logins for device in devices)
    return WebQuestion(kind=_ACTIVE_SYNC, doors=doors)


def answer(answerer: Answerer, asked: WebQuestion) -> Answer:
    """Answer and count."""
    given = answerer.answer(asked.doors)
    answerer.counts.add("questions", door=_door(asked.kind, given.device_known))
    answerer.counts.add(
        "answers",
        door=asked.kind,
        device=given.device_known,
        answer="paused" if given.paused else "open",
        reason=given.reason,
    )
    return given


def _door(kind: str, device_known: str) -> DoorKind:
    if kind == _WEBMAIL:
        return DoorKind.WEBMAIL
    return _ACTIVE_SYNC_DOORS.get(device_known, DoorKind.OTHER)


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


def _methods(own: str, headers: Headers) -> list[str]:
    return _texts(headers, METHOD_HEADERS) or [own]


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
