"""Dovecot's question about a login is read without a parser, if it is the one it always asks.

The first such question of a connection is read carefully and leaves its frame behind: every byte
but the date, the length of the body and the values in it. A later one is cut up only if

    every other byte is the same  |  the length is true  |  the values are printable ASCII text

Values that are read may hold nothing that JSON writes in another way; keys are those of the frame,
each once and in its order. Whatever else comes is read by the parsers, and means the same.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from hmac import compare_digest
from typing import Any, Final

from countermand.gate.fronts import forward_auth
from countermand.gate.protocol import PlainAnswer, Request

TARGET: Final = b"/policy?command=allow"
# Of a login, a device, a protocol and a mechanism, each as it came.
AnswerLogin = Callable[[bytes, bytes, bytes, bytes], bytes | None]
_MOST_FRAMES: Final = 64
_LONGEST: Final = 4096
_LINES: Final = rb"(?:[!-9;-~]+:[ -~]*\r\n)"
_LINES_AND_NAME: Final = _LINES + rb"*?"
_SHAPE: Final = re.compile(
    rb"(?P<before>POST /policy\?command=allow HTTP/1\.1\r\n" + _LINES_AND_NAME + rb"Date: )"
    rb"(?P<date>[ -~]*)(?P<between>\r\n" + _LINES_AND_NAME + rb"Content-Length: )"
    rb"(?P<length>[1-9][0-9]{0,3})(?P<after>\r\n" + _LINES + rb"*\r\n)(?P<body>\{.*\})",
    re.DOTALL,
)
# What a second one of would be read otherwise than the frame says, or would change the body.
_ONCE: Final = (b"\ncontent-length:", b"\ndate:")
_NEVER: Final = b"\ntransfer-encoding:"
_ASKED: Final = ("login", "device", "protocol", "mechanism")
_READ: Final = frozenset({*_ASKED, "passed"})
# A device that could be text in hexadecimal digits is left to the careful reading.
_VALUES: Final = {
    "login": rb"(?P<login>[!#-\[\]-~]+)",
    "device": rb"(?P<device>(?!(?:[2-7][0-9A-Fa-f]){6,}\")[!#-\[\]-~]*)",
    "protocol": rb"(?P<protocol>[!#-\[\]-~]*)",
    "mechanism": rb"(?P<mechanism>[!#-\[\]-~]*)",
    # Empty, it says that no password was checked yet: another question.
    "passed": rb"[!#-\[\]-~]+",
}
_UNREAD: Final = rb'(?:[ !#-\[\]-~]|\\["\\/bfnrt])*'
_KEY: Final = re.compile(r"[A-Za-z0-9_]+")


class PlainLogins:
    """The frames that were seen, each once."""

    def __init__(self, token: bytes, answer_login: AnswerLogin) -> None:
        """Read for whoever shows `token`; `answer_login` answers for a login, or leaves it."""
        self._bearer = b"Bearer " + token
        self._answer_login = answer_login
        self._frames: dict[tuple[bytes, ...], Frame] = {}

    def learn(self, data: bytes, request: Request) -> PlainAnswer | None:
        """Return what answers questions of the same frame, None where `data` has no plain one.

        `request` is what the parser read in `data`, and nothing but this was in it.
        """
        shape = _SHAPE.fullmatch(data)
        if shape is None or not self._is_plain(shape, request):
            return None
        pattern = _pattern(shape["body"])
        if pattern is None:
            return None
        parts = shape["before"], shape["between"], shape["after"], pattern
        frame = self._frames.get(parts)
        if frame is None and len(self._frames) < _MOST_FRAMES:
            frame = self._frames[parts] = Frame(*parts, self._answer_login)
        return None if frame is None else frame.answer

    def _is_plain(self, shape: re.Match[bytes], request: Request) -> bool:
        """Tell whether the parser found in it just what the shape says, and the token."""
        shown = request.headers.get(forward_auth.AUTHORIZATION)
        head = shape.string[: shape.start("body")].lower()
        return (
            isinstance(shown, bytes)
            and len(shown) > len(b"Bearer ")
            and compare_digest(shown, self._bearer)
            and shown in shape["after"]
            and request.headers == {forward_auth.AUTHORIZATION: shown}
            and (request.method, request.target) == (b"POST", TARGET)
            and request.body == shape["body"]
            and len(request.body) == int(shape["length"])
            and not request.oversized
            and all(head.count(name) == 1 for name in _ONCE)
            and _NEVER not in head
        )


class Frame:
    """All bytes of a question but the date, the length and the values."""

    __slots__ = ("_after", "_answer_login", "_body", "_head", "_length")

    def __init__(
        self,
        before: bytes,
        between: bytes,
        after: bytes,
        pattern: bytes,
        answer_login: AnswerLogin,
    ) -> None:
        """Take what stands around the values, and the pattern of the body."""
        head = re.escape(before) + rb"[ -~]*" + re.escape(between) + rb"([1-9][0-9]{0,3})(?=\r)"
        self._head = re.compile(head).match
        self._after = after
        self._length = len(after)
        self._body = re.compile(pattern).fullmatch
        self._answer_login = answer_login

    def answer(self, data: bytes) -> bytes | None:
        """Return the answer as it goes out, None where this is to be read carefully."""
        head = self._head(data, 0, _LONGEST)
        if head is None:
            return None
        end = head.end()
        begin = end + self._length
        # The token stands in this part.
        if not compare_digest(data[end:begin], self._after):
            return None
        if int(head[1]) != len(data) - begin or len(data) > _LONGEST:
            return None
        body = self._body(data, begin)
        if body is None:
            return None
        said = body.groupdict(b"")
        return self._answer_login(
            said["login"],
            said.get("device", b""),
            said.get("protocol", b""),
            said.get("mechanism", b""),
        )


def _pattern(body: bytes) -> bytes | None:
    """Return the pattern of bodies that differ from this one in their texts only, None if odd."""
    try:
        pairs: list[tuple[str, Any]] = json.loads(body, object_pairs_hook=list)
    except (ValueError, RecursionError):
        return None
    keys = [key for key, _ in pairs]
    if "login" not in keys or len(set(keys)) != len(keys):
        return None
    parts: list[bytes] = []
    for key, value in pairs:
        written = _written(key, value)
        if written is None:
            return None
        parts.append(b'"' + key.encode() + b'":' + written)
    pattern = rb"\{" + b",".join(parts) + rb"\}"
    # Dovecot writes no blanks; who does is read carefully. So is what is not plain itself.
    return pattern if re.fullmatch(pattern, body) else None


def _written(key: str, value: object) -> bytes | None:
    """Return how the values of one key may be written, None where no frame is made of it."""
    if not _KEY.fullmatch(key):
        return None
    if isinstance(value, str):
        return b'"' + _VALUES.get(key, _UNREAD) + b'"'
    if key in _READ or not (value is None or isinstance(value, bool)):
        return None
    return rb"(?:true|false|null)"
