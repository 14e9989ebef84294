"""The port that mail servers and proxies ask: `/policy` for Dovecot, `/auth` for proxies.

Whoever shows no token is a stranger, and is answered as everybody is about an unknown device: go
on. So a wrong token in a configuration keeps mail from nobody, and it is counted.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from http import HTTPStatus
from typing import Final

from countermand.gate.answerer import Answerer
from countermand.gate.fronts import dovecot, forward_auth
from countermand.gate.fronts.words import refusal_line
from countermand.gate.protocol import Headers, Request, Response

WANTED_HEADERS: Final = forward_auth.WANTED_HEADERS
_TOKEN_HEADER: Final = b"x-countermand-token"
_BEARER: Final = b"bearer "
_POLICY: Final = "/policy"
_GO_ON: Final = Response(HTTPStatus.NO_CONTENT)
_POLICY_GO_ON: Final = Response(HTTPStatus.OK, dovecot.GO_ON)
_NOT_HERE: Final = Response(HTTPStatus.NOT_FOUND)


class Doors:
    """Both fronts behind one port."""

    def __init__(self, answerer: Answerer, *, token: str, lookup_address: str) -> None:
        """Answer whoever shows `token`."""
        self._answerer = answerer
        self._token = token.encode()
        self._lookup_address = lookup_address

    def respond(self, request: Request) -> Response:
        """Answer one question."""
        path = request.target.partition("?")[0]
        if path == _POLICY:
            return self._policy(request)
        if path == forward_auth.PATH or path.startswith(forward_auth.PATH + "/"):
            return self._forward_auth(request)
        return _NOT_HERE

    def _policy(self, request: Request) -> Response:
        if "command=report" in request.target.partition("?")[2]:
            return _POLICY_GO_ON
        if not self._is_answerable(request):
            return _POLICY_GO_ON
        body = dovecot.answer(self._answerer, request.body, lookup_address=self._lookup_address)
        return Response(HTTPStatus.OK, body)

    def _forward_auth(self, request: Request) -> Response:
        if not self._is_answerable(request):
            return _GO_ON
        asked = forward_auth.question(request.method, request.target, request.headers)
        given = forward_auth.answer(self._answerer, asked)
        if not given.paused:
            return _GO_ON
        number = given.order_number or ""
        return Response(
            HTTPStatus.FORBIDDEN,
            refusal_line(self._lookup_address, number).encode(),
            "text/plain; charset=utf-8",
            (f"X-Countermand-Order: {number}",),
        )

    def _is_answerable(self, request: Request) -> bool:
        if request.oversized:
            self._answerer.counts.add("doubts", kind="question_too_long")
            return False
        if not shows_token(request.headers, self._token):
            self._answerer.counts.add("doubts", kind="stranger")
            return False
        return True


def shows_token(headers: Headers, token: bytes) -> bool:
    """Tell whether a request carries the token, in a time that says nothing about it."""
    shown = [*headers.get(_TOKEN_HEADER, ()), *_bearers(headers.get(b"authorization", ()))]
    return bool(token) and any(hmac.compare_digest(each, token) for each in shown)


def _bearers(values: Iterable[bytes]) -> list[bytes]:
    start = len(_BEARER)
    return [each[start:].strip() for each in values if each[:start].lower() == _BEARER]
