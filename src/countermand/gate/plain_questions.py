"""The question that a proxy asks thousands of times a second is read without a parser.

A question that was read carefully leaves its frame behind: all of its bytes but two values, the
phone's URI and the login. Of a later question of the same connection only these two are read, if

    every other byte is the same  |  neither value holds a byte that could end a header

So it is a question that the parser would read the same way, and whatever else comes is read by the
parser. The frame holds the token: only a question that showed it leaves one, and it is compared in
a time that says nothing about it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from hmac import compare_digest
from typing import Final

from countermand.domain.device_key import plain_door_key
from countermand.gate.fronts import forward_auth
from countermand.gate.fronts.active_sync import LONGEST_QUERY
from countermand.gate.protocol import PlainAnswer, Request

AnswerKey = Callable[[bytes], bytes | None]
_URI, _METHOD, _LOGIN = b"x-original-uri", b"x-original-method", b"x-remote-user"
# One proxy has one frame; the bound is for whoever lets phones' own headers through.
_MOST_FRAMES: Final = 64
# So no query is longer than the careful reading takes.
_LONGEST: Final = LONGEST_QUERY
# No possessive quantifiers: Python before 3.11.5 loses matches by them (gh-106052).
_LINES: Final = rb"(?:[!-9;-~]+:[ -~]*\r\n)"
_SHAPE: Final = re.compile(
    rb"(?P<before>GET /auth HTTP/1\.1\r\n" + _LINES + rb"*?(?i:x-original-uri): )(?P<uri>[!-~]+)"
    rb"(?P<between>\r\n(?i:x-original-method): (?P<method>(?!OPTIONS\r)[A-Z]+)"
    rb"\r\n(?i:x-remote-user): )(?P<login>[!-~]+)"
    rb"(?P<after>\r\n" + _LINES + rb"*\r\n)"
)
# Every frame ends here: it is compared with all other bytes at once, quicker than by a pattern.
_PATH: Final = b"/Microsoft-Server-ActiveSync?"
# The first device id that a query names, as phones write it: after command and user, nearly always,
# or after whatever else. What could be text in hexadecimal digits is left to the careful reading,
# and so is a name with a backslash.
_VALUES: Final = (
    rb"(?:Cmd=[A-Za-z]*&User=[!-%%'-~]*&|(?:(?!(?i:deviceid)=)[!-%%'-~]*&)*?)DeviceId="
    rb"(?!(?:[2-7][0-9A-Fa-f]){6,}(?![0-9A-Za-z]))([0-9A-Za-z]+)(?:&[!-~]*)?%b([!-\[\]-~]+)%b"
)


class PlainQuestions:
    """The frames that were seen, each once."""

    def __init__(self, token: bytes, answer_key: AnswerKey) -> None:
        """Read for whoever shows `token`; `answer_key` answers for a door, or leaves it."""
        self._bearer = b"Bearer " + token
        self._answer_key = answer_key
        self._frames: dict[tuple[bytes, bytes, bytes], PlainAnswer] = {}

    def learn(self, data: bytes, request: Request) -> PlainAnswer | None:
        """Return what answers questions of the same frame, None where `data` has no plain one.

        `request` is what the parser read in `data`, and nothing but this was in it.
        """
        shape = _SHAPE.fullmatch(data)
        if shape is None or not self._is_plain(shape, request):
            return None
        parts = shape["before"], shape["between"], shape["after"]
        frame = self._frames.get(parts)
        if frame is None and len(self._frames) < _MOST_FRAMES:
            frame = self._frames[parts] = _answering(*parts, self._answer_key)
        return frame

    def _is_plain(self, shape: re.Match[bytes], request: Request) -> bool:
        """Tell whether the parser found in it just what the shape says, and the token."""
        shown = request.headers.get(forward_auth.AUTHORIZATION)
        plain = {
            _URI: shape["uri"],
            _METHOD: shape["method"],
            _LOGIN: shape["login"],
            forward_auth.AUTHORIZATION: shown,
        }
        return (
            isinstance(shown, bytes)
            and len(shown) > len(b"Bearer ")
            and compare_digest(shown, self._bearer)
            and shown in shape["before"]
            and request.headers == plain
            and (request.method, request.target) == (b"GET", forward_auth.PATH)
            and not request.body
            and not request.oversized
        )


def _answering(before: bytes, between: bytes, after: bytes, answer_key: AnswerKey) -> PlainAnswer:
    """Return what answers questions that hold all of these bytes, and two values between them."""
    before += _PATH
    length = len(before)
    values_in = re.compile(_VALUES % (re.escape(between), re.escape(after))).fullmatch

    def answer(data: bytes) -> bytes | None:
        if not compare_digest(data[:length], before):
            return None
        values = values_in(data, length, _LONGEST)
        if values is None:
            return None
        device, login = values.groups()
        return answer_key(plain_door_key(login, device))

    return answer
