"""The port that mail servers and proxies ask: `/policy` for Dovecot, `/auth` for proxies.

Whoever shows no token is a stranger, and is answered as everybody is about an unknown device: go
on. So a wrong token in a configuration keeps mail from nobody, and it is counted.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Iterable
from enum import Enum, auto
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from countermand.domain.device_key import door_key, plain_door_key
from countermand.domain.verdict import Reason
from countermand.gate import plain_logins
from countermand.gate.answerer import NOBODY, UNKNOWN, Answer, Answerer, Door
from countermand.gate.counts import Counter
from countermand.gate.door_kinds import WEBMAIL_DEVICE, DoorKind, of_login
from countermand.gate.fronts import dovecot, forward_auth
from countermand.gate.fronts.words import refusal_line
from countermand.gate.plain_logins import PlainLogins
from countermand.gate.plain_questions import PlainQuestions
from countermand.gate.protocol import PlainAnswer, Request, Response
from countermand.gate.unknown_clients import DEVICE_PASSWORD, EAS_DEVICE_ID, UnknownClients

if TYPE_CHECKING:
    from countermand.gate.upstream import Upstream

WANTED_HEADERS: Final = forward_auth.WANTED_HEADERS
_TOKEN_HEADER: Final = b"x-countermand-token"
_BEARER: Final = b"bearer "
_POLICY: Final = b"/policy"
_GO_ON: Final = Response(HTTPStatus.NO_CONTENT)
_POLICY_GO_ON: Final = Response(HTTPStatus.OK, dovecot.GO_ON)
_NOT_HERE: Final = Response(HTTPStatus.NOT_FOUND)
_MOST_REFUSALS: Final = 1024
_MOST_OUTCOMES: Final = 4096
_MOST_LOGIN_KINDS: Final = 256
_WEBMAIL: Final = WEBMAIL_DEVICE.encode()
# Nobody's phone, as which the doctor asks through a front: counted, and no device to be confirmed.
PROBE: Final = Door(login="countermand-doctor", device="countermanddoctor")
_PROBE: Final = door_key(PROBE.login, PROBE.device)


class _Form(Enum):
    """How a refusal is said."""

    POLICY = auto()
    WORDED = auto()
    # nginx never shows what a refusal says, and closes the connection rather than read it.
    BARE = auto()


class Doors:
    """Both fronts behind one port."""

    def __init__(
        self,
        answerer: Answerer,
        *,
        token: str,
        lookup_address: str,
        upstream: Upstream | None = None,
        unknown: UnknownClients | None = None,
    ) -> None:
        """Answer whoever shows `token`; Dovecot's questions are put to `upstream` first.

        Devices that no entry knows are kept in `unknown`.
        """
        self._answerer = answerer
        self._unknown = UnknownClients() if unknown is None else unknown
        self._token = token.encode()
        self._bearer = b"Bearer " + self._token
        self._lookup_address = lookup_address
        self._upstream = upstream
        self._counters: dict[tuple[DoorKind, bool, str], Counter] = {}
        self._refusals: dict[tuple[str, _Form], Response] = {}
        self._outcomes: dict[Answer, tuple[Counter, bytes]] = {}
        self._login_kinds: dict[tuple[bytes, bytes, bytes], tuple[DoorKind, bool]] = {}
        self._plain = PlainQuestions(self._token, self.answer_key)
        self._plain_logins = PlainLogins(self._token, self.answer_login)

    def learn(self, data: bytes, request: Request) -> PlainAnswer | None:
        """Return what answers questions like this one without a parser, None where nothing can."""
        if request.target == forward_auth.PATH:
            return self._plain.learn(data, request)
        # Somebody else's policy server is shown every question whole.
        if request.target == plain_logins.TARGET and self._upstream is None:
            return self._plain_logins.learn(data, request)
        return None

    def respond(self, request: Request) -> Response | asyncio.Future[Response]:
        """Answer one question."""
        target = request.target
        if target == forward_auth.PATH:  # nginx asks so, nine times of ten
            return self._forward_auth(request)
        path, _, query = target.partition(b"?")
        if path == _POLICY:
            return self._policy(request, query)
        if path == forward_auth.PATH or path.startswith(forward_auth.PATH + b"/"):
            return self._forward_auth(request)
        return _NOT_HERE

    def _forward_auth(self, request: Request) -> Response:
        if not self._is_answerable(request):
            return _GO_ON
        key = forward_auth.plain_key(request.headers)
        if key is not None:
            given = self._answerer.answer_key(key)
            kind = (
                DoorKind.ACTIVESYNC_KNOWN
                if given.device_known == "known"
                else DoorKind.ACTIVESYNC_UNKNOWN
            )
            if given is UNKNOWN:
                self._see(key, EAS_DEVICE_ID, lambda: _device_of(request))
        else:
            asked = forward_auth.question(request)
            if asked.is_too_long:
                self._answerer.counts.add("doubts", kind="question_too_long")
            if asked.has_unread:
                self._answerer.counts.add("doubts", kind="too_many_names")
            given = self._answerer.answer(asked.doors)
            kind = forward_auth.kind_of(asked, given.device_known)
            if given is UNKNOWN:
                self._see_door(asked.doors[-1], EAS_DEVICE_ID)
        self._count(kind, given.reason, paused=given.paused)
        if not given.paused:
            return _GO_ON
        form = _Form.BARE if forward_auth.NGINX_URI in request.headers else _Form.WORDED
        return self._refusal(given, form)

    def answer_key(self, key: bytes) -> bytes | None:
        """Answer a plain question about this door as it goes out, None where it is not known."""
        given = self._answerer.answer_key(key)
        outcome = self._outcomes.get(given)
        if outcome is None:
            if given is UNKNOWN:
                return None
            outcome = self._outcome(given)
        counter, wire = outcome
        counter.n += 1
        return wire

    def _outcome(self, given: Answer) -> tuple[Counter, bytes]:
        """Return what counts an answer to a plain question, and how it goes out."""
        known = given.device_known == "known"
        kind = DoorKind.ACTIVESYNC_KNOWN if known else DoorKind.ACTIVESYNC_UNKNOWN
        counter = self._counter(kind, given.reason, paused=given.paused)
        response = self._refusal(given, _Form.BARE) if given.paused else _GO_ON
        if len(self._outcomes) >= _MOST_OUTCOMES:
            self._outcomes.clear()
        self._outcomes[given] = counter, response.wire
        return counter, response.wire

    def answer_login(
        self, login: bytes, device: bytes, protocol: bytes, mechanism: bytes
    ) -> bytes | None:
        """Answer a plain question about this login as it goes out, None where it is not known."""
        given = self._answerer.answer_key(plain_door_key(login, device)) if device else NOBODY
        folded = device.lower()
        alike = protocol, mechanism, folded if folded == _WEBMAIL else device[:1]
        if alike not in self._login_kinds:
            if len(self._login_kinds) >= _MOST_LOGIN_KINDS:
                self._login_kinds.clear()
            named = dovecot.protocol_of(protocol.decode())
            kind = of_login(named, folded.decode(), mechanism.decode())
            self._login_kinds[alike] = kind, dovecot.sends(named)
        kind, sends = self._login_kinds[alike]
        if given is UNKNOWN and kind is DoorKind.DEVICE_PASSWORD:
            return None
        return self._answer_to_login(given, kind, sends=sends).wire

    def _policy(self, request: Request, query: bytes) -> Response | asyncio.Future[Response]:
        if not self._is_answerable(request):
            return _POLICY_GO_ON
        if b"command=report" in query:
            if self._upstream is not None:
                self._upstream.pass_on(query, request.body)
            self._hear_report(request.body)
            return _POLICY_GO_ON
        asked = dovecot.question(request.body)
        if self._upstream is None:
            return self._policy_answer(asked)
        return self._upstream.ask_first(
            query, request.body, then=lambda: self._policy_answer(asked)
        )

    def _policy_answer(self, asked: dovecot.PolicyQuestion | None) -> Response:
        if asked is None:
            self._answerer.counts.add("doubts", kind="question_not_understood")
            return _POLICY_GO_ON
        if asked.is_early:
            return _POLICY_GO_ON
        given = self._answerer.answer([asked.door])
        kind = of_login(asked.protocol, asked.door.device, asked.mechanism)
        if given is UNKNOWN and kind is DoorKind.DEVICE_PASSWORD:
            self._see_door(asked.door, DEVICE_PASSWORD)
            kind = DoorKind.DEVICE_PASSWORD_UNKNOWN
        return self._answer_to_login(given, kind, sends=asked.sends)

    def _hear_report(self, body: bytes) -> None:
        """Count a login that no question could be told to be one."""
        login = dovecot.login_in_report(body)
        if login is not None:
            kind = of_login(login.protocol, "", login.mechanism)
            self._count(kind, NOBODY.reason, paused=False)

    def _answer_to_login(self, given: Answer, kind: DoorKind, *, sends: bool) -> Response:
        if given.paused and sends and self._answerer.sends_while_paused(given.order_number):
            self._count(kind, "sending_allowed", paused=False)
            return _POLICY_GO_ON
        self._count(kind, given.reason, paused=given.paused)
        return self._refusal(given, _Form.POLICY) if given.paused else _POLICY_GO_ON

    def _see_door(self, door: Door, kind: str) -> None:
        self._see(door_key(door.login, door.device), kind, lambda: door)

    def _see(self, key: bytes, kind: str, door: Callable[[], Door | None]) -> None:
        if key == _PROBE:
            self._answerer.counts.add("probes")
            return
        self._unknown.see(key, kind, door, self._answerer.now)

    def _refusal(self, given: Answer, form: _Form) -> Response:
        """Return the refusal of one order, worded once."""
        number = given.order_number or ""
        worded = self._refusals.get((number, form))
        if worded is None:
            worded = _worded(form, refusal_line(self._lookup_address, number), number)
            if len(self._refusals) >= _MOST_REFUSALS:
                self._refusals.clear()
            self._refusals[number, form] = worded
        return worded

    def _count(self, kind: DoorKind, reason: Reason | str, *, paused: bool) -> None:
        self._counter(kind, reason, paused=paused).n += 1

    def _counter(self, kind: DoorKind, reason: Reason | str, *, paused: bool) -> Counter:
        key = (kind, paused, reason)
        counter = self._counters.get(key)
        if counter is None:
            answer = "paused" if paused else "open"
            counter = self._answerer.counts.counter(
                "answers", door=kind.value, answer=answer, reason=str(reason)
            )
            self._counters[key] = counter
        return counter

    def _is_answerable(self, request: Request) -> bool:
        if request.oversized:
            self._answerer.counts.add("doubts", kind="question_too_long")
            return False
        shown = request.headers.get(forward_auth.AUTHORIZATION)
        if isinstance(shown, bytes) and hmac.compare_digest(shown, self._bearer):
            return bool(self._token)
        if shows_token(request, self._token):
            return True
        self._answerer.counts.add("doubts", kind="stranger")
        return False


def _worded(form: _Form, line: str, number: str) -> Response:
    if form is _Form.POLICY:
        return Response(HTTPStatus.OK, dovecot.refused(line))
    return Response(
        HTTPStatus.FORBIDDEN,
        b"" if form is _Form.BARE else line.encode(),
        "text/plain; charset=utf-8",
        (f"X-Countermand-Order: {number}",),
    )


def _device_of(request: Request) -> Door | None:
    """Return the one door that a question of the plain shape names."""
    return next(iter(forward_auth.question(request).doors), None)


def shows_token(request: Request, token: bytes) -> bool:
    """Tell whether a request carries the token, in a time that says nothing about it."""
    shown = [*request.all(_TOKEN_HEADER), *_bearers(request.all(b"authorization"))]
    return bool(token) and any(hmac.compare_digest(each, token) for each in shown)


def _bearers(values: Iterable[bytes]) -> list[bytes]:
    start = len(_BEARER)
    return [each[start:].strip() for each in values if each[:start].lower() == _BEARER]
