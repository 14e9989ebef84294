"""The policy server that Dovecot asked before us: still asked first, within a bounded time.

Dovecot has one slot for a policy server, and filters against abuse use it, too. So a gate in that
slot hands each question on as it came, and what was reported after a login as well:

    it refuses                          -> its refusal goes back as it is
    it lets in, or only delays          -> a refusal of ours goes before a delay of its own
    dead, slow, or not understandable   -> our own answer, counted

A server that was silent several times in a row is left alone for a while, so that not every login
waits for it.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final, Self
from urllib.parse import unquote, urlsplit

import httptools

from countermand.gate import log_lines
from countermand.gate.counts import Counts
from countermand.gate.fronts.words import one_line
from countermand.gate.protocol import Response

LONGEST_S: Final = 1.0  # Dovecot itself waits for two seconds
_LONGEST_ANSWER: Final = 16 * 1024
_LONGEST_MESSAGE: Final = 400
_LONGEST_DELAY_S: Final = 3600
_MOST_IDLE: Final = 32
_MOST_REPORTS: Final = 1024
_SILENT_IN_A_ROW: Final = 5
_REST_S: Final = 5.0


class Outcome(StrEnum):
    """What came of a question that was handed on; the label of its count."""

    LET_IN = "let_in"
    REFUSED = "refused"
    DELAYED = "delayed"
    UNREACHABLE = "unreachable"
    TOO_SLOW = "too_slow"
    NOT_UNDERSTOOD = "not_understood"
    LEFT_ALONE = "left_alone"
    REPORTED = "reported"
    REPORT_LOST = "report_lost"
    NO_ADDRESS = "no_address"


class _NotUnderstood(Exception):
    """It answered something that is no answer to such a question."""


@dataclass(frozen=True, slots=True)
class Said:
    """Its answer: status 0 lets in, below refuses, above delays by so many seconds."""

    status: int
    message: str

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read an answer; raises _NotUnderstood, also for a status that is no whole number."""
        try:
            raw = json.loads(body)
            status, message = raw["status"], raw.get("msg", "")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise _NotUnderstood from None
        if type(status) is not int or not isinstance(message, str):
            raise _NotUnderstood
        # A line feed in it would end up in the mail client's protocol.
        return cls(min(max(status, -1), _LONGEST_DELAY_S), one_line(message)[:_LONGEST_MESSAGE])

    @property
    def outcome(self) -> Outcome:
        """Return what it amounts to."""
        if self.status == 0:
            return Outcome.LET_IN
        return Outcome.REFUSED if self.status < 0 else Outcome.DELAYED

    def response(self) -> Response:
        """Return it as our own answer to Dovecot."""
        content = {"status": self.status, "msg": self.message}
        return Response(HTTPStatus.OK, json.dumps(content).encode())


@dataclass(frozen=True, slots=True)
class Address:
    """Where it listens, and what has to stand in the head of each question."""

    host: str
    port: int
    tls: bool
    target: bytes
    head: bytes

    @classmethod
    def parse(cls, url: str, header: str = "") -> Self:
        """Read what Dovecot's own two settings would say: `header` is "Name: value" or a key.

        Raises ValueError where that is no address.
        """
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(url)
        tls = parts.scheme == "https"
        name, colon, value = header.partition(":")
        lines = [f"Host: {parts.netloc.rpartition('@')[2]}"]
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            lines.append(f"Authorization: Basic {b64encode(pair.encode()).decode()}")
        if header:
            lines.append(f"{name}: {value.strip()}" if colon else f"X-API-Key: {header}")
        target = parts.path or "/"
        if parts.query:
            target += "?" + parts.query
        return cls(
            host=parts.hostname or "",
            port=parts.port or (443 if tls else 80),
            tls=tls,
            target=target.encode(),
            head="".join(f"{one_line(each)}\r\n" for each in lines).encode(),
        )

    def question(self, query: bytes, body: bytes) -> bytes:
        """Return one question: the body as Dovecot wrote it, with every field that it has."""
        joint = b"&" if b"?" in self.target else b"?"
        if self.target.endswith((b"&", b"?")):
            joint = b""
        return b"".join(
            (
                b"POST ", self.target, joint, query, b" HTTP/1.1\r\n", self.head,
                b"Content-Type: application/json\r\n",
                b"Content-Length: %d\r\n\r\n" % len(body), body,
            )
        )  # fmt: skip


@dataclass(slots=True)
class _Line:
    """One connection to it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def ask(self, question: bytes) -> tuple[bytes, bool]:
        """Return the body of a good answer, and whether the connection may be used again."""
        self.writer.write(question)
        answer = _Answer()
        while not answer.whole:
            piece = await self.reader.read(_LONGEST_ANSWER)
            if not piece:
                raise ConnectionResetError
            try:
                answer.parser.feed_data(piece)
            except httptools.HttpParserError:
                raise _NotUnderstood from None
            if answer.bytes > _LONGEST_ANSWER:
                raise _NotUnderstood
        if answer.parser.get_status_code() != HTTPStatus.OK:
            raise _NotUnderstood
        return b"".join(answer.body), bool(answer.parser.should_keep_alive())


class _Answer:
    """What httptools reads into."""

    def __init__(self) -> None:
        self.parser: Any = httptools.HttpResponseParser(self)
        self.body: list[bytes] = []
        self.bytes = 0
        self.whole = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.bytes += len(name) + len(value)

    def on_body(self, body: bytes) -> None:
        self.bytes += len(body)
        if self.bytes <= _LONGEST_ANSWER:
            self.body.append(body)

    def on_message_complete(self) -> None:
        self.whole = True


@dataclass(slots=True)
class Upstream:
    """The server behind us; it lives in the event loop of its gate."""

    address: Address
    counts: Counts
    longest_s: float = LONGEST_S
    _idle: list[_Line] = field(default_factory=list)
    _reports: set[asyncio.Task[None]] = field(default_factory=set)
    _silent: int = 0
    _left_alone_until: float = 0.0
    _tls: ssl.SSLContext | None = None

    def ask_first(
        self, query: bytes, body: bytes, *, then: Callable[[], Response]
    ) -> asyncio.Future[Response]:
        """Return the answer to be: its own where it refuses or delays, else what `then` says."""
        return asyncio.ensure_future(self._answer(query, body, then))

    def pass_on(self, query: bytes, body: bytes) -> None:
        """Hand on what was reported after a login; nobody waits for it."""
        if len(self._reports) >= _MOST_REPORTS:
            self._count(Outcome.REPORT_LOST)
            return
        task = asyncio.ensure_future(self._report(query, body))
        self._reports.add(task)
        task.add_done_callback(self._reports.discard)

    def close(self) -> None:
        """Let go of all connections."""
        while self._idle:
            self._idle.pop().writer.close()

    async def _answer(self, query: bytes, body: bytes, then: Callable[[], Response]) -> Response:
        said = await self._ask(query, body)
        if said is not None and said.status < 0:
            return said.response()
        own = then()
        if said is None or said.status == 0 or _refuses(own):
            return own
        return said.response()

    async def _report(self, query: bytes, body: bytes) -> None:
        said = await self._ask(query, body, counted=False)
        self._count(Outcome.REPORT_LOST if said is None else Outcome.REPORTED)

    async def _ask(self, query: bytes, body: bytes, *, counted: bool = True) -> Said | None:
        """Return its answer, or None in every trouble."""
        now_s = asyncio.get_running_loop().time()
        if now_s < self._left_alone_until:
            outcome, said = Outcome.LEFT_ALONE, None
        else:
            outcome, said = await self._ask_in_time(self.address.question(query, body))
            self._note(outcome)
        if counted:
            self._count(outcome)
        return said

    async def _ask_in_time(self, question: bytes) -> tuple[Outcome, Said | None]:
        try:
            async with asyncio.timeout(self.longest_s):
                body = await self._exchange(question)
            said = Said.parse(body)
        except TimeoutError:
            return Outcome.TOO_SLOW, None
        except (OSError, EOFError):
            return Outcome.UNREACHABLE, None
        except _NotUnderstood:
            return Outcome.NOT_UNDERSTOOD, None
        except Exception as error:  # noqa: BLE001 - a fault of ours must never keep mail from anybody
            log_lines.error("upstream.failed", error=type(error).__name__, consequence="own answer")
            return Outcome.NOT_UNDERSTOOD, None
        return said.outcome, said

    async def _exchange(self, question: bytes) -> bytes:
        while self._idle:
            line = self._idle.pop()
            # A connection that lay idle may have been closed meanwhile: then another one is tried.
            with suppress(OSError, EOFError):
                return await self._over(line, question)
        return await self._over(await self._connect(), question)

    async def _over(self, line: _Line, question: bytes) -> bytes:
        keep = False
        try:
            body, keep = await line.ask(question)
        finally:
            if keep and len(self._idle) < _MOST_IDLE:
                self._idle.append(line)
            else:
                line.writer.close()
        return body

    async def _connect(self) -> _Line:
        at = self.address
        if at.tls and self._tls is None:
            # Once: reading every certificate that the machine trusts holds up whoever else asks.
            self._tls = ssl.create_default_context()
        return _Line(*await asyncio.open_connection(at.host, at.port, ssl=self._tls))

    def _note(self, outcome: Outcome) -> None:
        if outcome is not Outcome.TOO_SLOW:
            self._silent = 0
            return
        self._silent += 1
        if self._silent >= _SILENT_IN_A_ROW:
            self._silent = 0
            self._left_alone_until = asyncio.get_running_loop().time() + _REST_S

    def _count(self, outcome: Outcome) -> None:
        self.counts.add("upstream", outcome=outcome.value)


def _refuses(own: Response) -> bool:
    return b'"status": -1' in own.body
