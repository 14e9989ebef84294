"""The question of web proxies: nginx `auth_request`, Traefik, Caddy, Envoy and their like.

    204 go on | 403 mail is paused on this device, with the order's number in a header

The refusal is worded, but for nginx (`X-Original-URI`): it words its own, and where ours has words
it closes the connection instead of reading them, so that each refusal cost a new one.

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
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from countermand.domain.device_key import normal_login, plain_door_key
from countermand.gate.answerer import Door
from countermand.gate.door_kinds import DoorKind
from countermand.gate.fronts.active_sync import LONGEST_QUERY, device_of, is_active_sync, user_of
from countermand.gate.protocol import Headers, Request

PATH: Final = b"/auth"
NGINX_URI: Final = b"x-original-uri"
URI_HEADERS: Final = (NGINX_URI, b"x-forwarded-uri")
METHOD_HEADERS: Final = (b"x-original-method", b"x-forwarded-method")
USER_HEADERS: Final = (b"x-remote-user", b"remote-user")
AUTHORIZATION: Final = b"authorization"
WANTED_HEADERS: Final = frozenset(
    {*URI_HEADERS, *METHOD_HEADERS, *USER_HEADERS, AUTHORIZATION, b"x-countermand-token"}
)
_MOST_OF_EACH: Final = 4
# A browser fetches dozens for one page, before anybody has logged in, too.
_PARTS_OF_PAGES: Final = (
    *(".css", ".js", ".mjs", ".map", ".woff", ".woff2", ".ttf", ".eot"),
    *(".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp", ".ico"),
)
_PLAIN_HEADERS: Final = 4  # these three and the token
_PLAIN_PATH: Final = b"/microsoft-server-activesync?"
_DEVICE: Final = b"deviceid="
_PRINTABLE: Final = bytes(range(0x21, 0x7F))
_PLAIN_LOGIN: Final = _PRINTABLE.replace(b"\\", b"")
# Perhaps text that is written in hexadecimal digits; tried only on letters and digits.
_HIDDEN_TEXT: Final = re.compile(rb"(?:[2-7][0-9a-f]){6,}")


@dataclass(frozen=True, slots=True)
class WebQuestion:
    """Who asks through a proxy, with which devices; `is_webmail` says that it is a webmail's page.

    `is_too_long` says that a query was not read for its length, `has_unread` that there were more
    names than are read.
    """

    is_webmail: bool
    doors: tuple[Door, ...]
    is_too_long: bool = False
    has_unread: bool = False


def plain_key(headers: Headers) -> bytes | None:
    """Return the key of the one door that a question of the plain shape names, else None.

    Whoever calls has made sure that what stands in `authorization` is no Basic name.
    """
    try:
        uri, login = headers[b"x-original-uri"], headers[b"x-remote-user"]
        method = headers[b"x-original-method"]
    except KeyError:
        return None
    if len(headers) != _PLAIN_HEADERS or AUTHORIZATION not in headers:
        return None
    if not (type(uri) is type(login) is type(method) is bytes):  # a header that came twice
        return None
    if (
        method == b"OPTIONS"
        or not method.isupper()
        or not login
        or login.translate(None, _PLAIN_LOGIN)
    ):
        return None
    device = _plain_device(uri.lower())
    return plain_door_key(login, device) if device else None


def _plain_device(uri: bytes) -> bytes:
    """Return the normal form of the device that a plain URI in lower case names, else nothing."""
    if (
        not uri.startswith(_PLAIN_PATH)
        or len(uri) > LONGEST_QUERY
        or uri.translate(None, _PRINTABLE)
    ):
        return b""
    name = uri.find(_DEVICE)
    if name < 0 or uri[name - 1 : name] not in _BEFORE_A_NAME:
        return b""
    start = name + len(_DEVICE)
    end = uri.find(b"&", start)
    device = uri[start:end] if end >= 0 else uri[start:]
    return device if device.isalnum() and not _HIDDEN_TEXT.fullmatch(device) else b""


_BEFORE_A_NAME: Final = (b"?", b"&")


def question(request: Request) -> WebQuestion:
    """Read what a proxy forwards."""
    behind = request.target.removeprefix(PATH).decode("utf-8", "replace")
    asked_for = [uri for uri in _texts(request, URI_HEADERS) if uri] or [behind]
    uris = [uri for uri in asked_for if is_active_sync(_path(uri))]
    if not uris:
        return WebQuestion(is_webmail=any(map(_is_page, asked_for)), doors=())
    if all(each.upper() == "OPTIONS" for each in _methods(request)):
        return WebQuestion(is_webmail=False, doors=())
    queries = [uri.partition("?")[2] for uri in uris]
    devices = _once(device for query in queries if (device := device_of(query)))
    logins = _logins(request) or _once(normal_login(user_of(query)) for query in queries)
    doors = tuple(Door(login, device) for login in logins for device in devices)
    is_too_long = any(len(query) > LONGEST_QUERY for query in queries)
    return WebQuestion(
        is_webmail=False, doors=doors, is_too_long=is_too_long, has_unread=_has_unread(request)
    )


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


def _logins(request: Request) -> list[str]:
    named = _texts(request, USER_HEADERS)
    named += [basic_name(each) for each in _shown(request)[:_MOST_OF_EACH]]
    # Windows clients write DOMAIN\name; which of the two a mail server knows is not ours to say.
    spelled = [part for name in named for part in (name, name.rpartition("\\")[2])]
    return _once(normal_login(name) for name in spelled if name.strip())


def _shown(request: Request) -> list[bytes]:
    """Return what was shown in `Authorization`, each by itself."""
    # Envoy puts what came twice into one header, with a comma between; no Basic word holds one.
    each_shown = b",".join(request.all(AUTHORIZATION)).split(b",")
    return [shown for each in each_shown if (shown := each.strip())]


def _has_unread(request: Request) -> bool:
    named = [request.all(name) for name in (*URI_HEADERS, *METHOD_HEADERS, *USER_HEADERS)]
    return any(len(each) > _MOST_OF_EACH for each in (*named, _shown(request)))


def _methods(request: Request) -> list[str]:
    return _texts(request, METHOD_HEADERS) or [request.method.decode("ascii", "replace")]


def _texts(request: Request, names: Iterable[bytes]) -> list[str]:
    return [
        each.decode("utf-8", "replace")
        for name in names
        for each in request.all(name)[:_MOST_OF_EACH]
    ]


def _path(uri: str) -> str:
    path = uri.partition("?")[0]
    if "://" in path:
        path = "/" + path.partition("://")[2].partition("/")[2]
    return unquote(path)


def _is_page(uri: str) -> bool:
    """Tell whether a webmail was asked for what somebody reads, and not for what a page is of."""
    path = _path(uri).lower()
    return path != "" and not path.endswith(_PARTS_OF_PAGES)


def _once(names: Iterable[str]) -> list[str]:
    return [name for name in dict.fromkeys(names) if name]
