"""HTTP for a gate: bounded, in order, one answer to each question, nothing kept between them.

A question of any size and shape gets an answer or a closed connection, never more memory. Answers
leave in the order of their questions, and those to questions that came in one piece leave in one.

    turn of the event loop:  read every socket  |  answer all that was read  |  write every answer

This is the path of every request: parsing is httptools' (C), and what it calls here is short. What
the figures are, and why it is no framework, is in docs/decisions/0011; why in turns, in 0046.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from http import HTTPStatus
from typing import Any, Final, cast

import httptools

from countermand.gate import log_lines

MOST_CONNECTIONS: Final = 4096
LONGEST_TARGET: Final = 8 * 1024
LONGEST_BODY: Final = 16 * 1024
_LONGEST_HEADERS: Final = 32 * 1024
# What may lie in a parser before a question is whole; a piece of the network adds at most itself.
_LONGEST_UNFINISHED: Final = LONGEST_TARGET + LONGEST_BODY + _LONGEST_HEADERS
# Questions of one connection that wait for somebody else's answer.
_MOST_WAITING: Final = 64
_IDLE_SWEEPS: Final = 4
_MOST_SPELLINGS: Final = 512
_MOST_LESSONS: Final = 16

Headers = dict[bytes, bytes | list[bytes]]


class Request:
    """One question. `headers` holds only those that the front asked for, names in lower case.

    A header that came once is its value, one that came several times is a list of them.
    """

    __slots__ = ("body", "headers", "method", "oversized", "target")

    def __init__(
        self, method: bytes, target: bytes, headers: Headers | None = None, body: bytes = b""
    ) -> None:
        """Take what was parsed."""
        self.method = method
        self.target = target
        self.headers: Headers = {} if headers is None else headers
        self.body = body
        self.oversized = False

    def all(self, name: bytes) -> list[bytes]:
        """Return every value of one header, in order."""
        values = self.headers.get(name, [])
        return [values] if isinstance(values, bytes) else values


class Response:
    """One answer, put into bytes once; `headers` are whole lines without their ends."""

    __slots__ = ("body", "headers", "status", "wire", "wire_last")

    def __init__(
        self,
        status: HTTPStatus,
        body: bytes = b"",
        content_type: str = "application/json",
        headers: tuple[str, ...] = (),
    ) -> None:
        """Write the answer out."""
        self.status = status
        self.body = body
        self.headers = headers
        lines = [f"HTTP/1.1 {status.value} {status.phrase}", *headers]
        if status is not HTTPStatus.NO_CONTENT:
            lines += [f"Content-Type: {content_type}", f"Content-Length: {len(body)}"]
        head = "\r\n".join(lines).encode("latin-1", "replace")
        self.wire = head + b"\r\n\r\n" + body
        self.wire_last = head + b"\r\nConnection: close\r\n\r\n" + body

    def to_bytes(self, *, keep: bool, with_body: bool = True) -> bytes:
        """Return the answer as it goes out; `keep` says that the connection stays."""
        whole = self.wire if keep else self.wire_last
        return whole if with_body or not self.body else whole[: -len(self.body)]


Responder = Callable[[Request], "Response | asyncio.Future[Response]"]
# What answers a whole piece of the network without a parser, or leaves it to the parser.
PlainAnswer = Callable[[bytes], bytes | None]
# What is told of each piece that held one question and nothing else, and how it was read.
Learn = Callable[[bytes, Request], PlainAnswer | None]
_NOT_UNDERSTOOD: Final = Response(HTTPStatus.BAD_REQUEST)


class Listener:
    """One port: who answers, which headers are wanted, and which connections are open."""

    def __init__(
        self,
        respond: Responder,
        wanted: AbstractSet[bytes],
        most_connections: int = MOST_CONNECTIONS,
        *,
        learn: Learn | None = None,
        too_many: Callable[[], None] = lambda: None,
    ) -> None:
        """Let `respond` answer; `wanted` are names of headers in lower case.

        `learn` may return what is to answer the questions that come next on a connection;
        `too_many` hears of each connection that is not taken.
        """
        self.too_many = too_many
        self.respond = respond
        self.learn_plain = learn
        self.most_connections = most_connections
        self.open: set[Connection] = set()
        # Who was heard in this turn and has no answer yet; `soon` is None where nobody waits.
        self.heard: list[Connection] = []
        self.soon: Callable[[Callable[[], None]], object] | None = None
        self._wanted = wanted
        # How a name was spelt, and what it is called if it is wanted.
        self.spellings: dict[bytes, bytes | None] = {}

    def connection(self) -> Connection:
        """Return the protocol of one new connection."""
        return Connection(self)

    def answer_in_turns(self, soon: Callable[[Callable[[], None]], object]) -> None:
        """Answer, from now on, what new connections say once all sockets of a turn were read.

        `soon` calls what it is given when that is so, and before anything is read again.
        """
        self.soon = soon

    def answer_heard(self) -> None:
        """Answer all that was heard in this turn."""
        for each in self.heard:
            piece, each.piece = each.piece, b""
            if not piece:  # answered already, or gone
                continue
            try:
                each.hear(piece)
            except Exception as error:  # noqa: BLE001 - one connection's fault is no other's
                log_lines.error("connection.failed", error=type(error).__name__)
                each.close()
        self.heard.clear()

    def learn(self, spelling: bytes) -> bytes | None:
        """Return the wanted header that is spelt so, and remember it (up to a bound)."""
        lower = spelling.lower()
        name = lower if lower in self._wanted else None
        if len(self.spellings) < _MOST_SPELLINGS:
            self.spellings[spelling] = name
        return name

    def close_idle(self) -> None:
        """Close connections on which nothing came during the last few calls."""
        for each in list(self.open):
            each.idle_sweeps += 1
            if each.idle_sweeps > _IDLE_SWEEPS:
                each.close()

    def close_all(self) -> None:
        """Close every connection."""
        for each in list(self.open):
            each.close()


class Connection(asyncio.Protocol):
    """One connection; httptools calls the `on_...` methods while it parses."""

    def __init__(self, listener: Listener) -> None:
        """Wait for a question."""
        self._listener = listener
        self._spellings = listener.spellings
        self._transport: asyncio.Transport | None = None
        self._parser: Any = httptools.HttpRequestParser(self)
        self._answers: list[bytes | _Waiting] = []
        self._unfinished = 0
        self._target = b""
        self._headers: Headers = {}
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._done = False
        # Set only while the parser stands between two questions and no answer is waited for.
        self._plain: PlainAnswer | None = None
        self._learnt: PlainAnswer | None = None
        self._lessons = 0
        self._begun = self._asked = 0
        self._last: Request | None = None
        self._heard, self._soon = listener.heard, listener.soon
        self.piece = b""  # what was read in this turn
        self.idle_sweeps = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, unless there are too many."""
        # uvloop's streams have the shape of asyncio's, and are not of its kind.
        stream = cast("asyncio.Transport", transport)
        self._transport = stream
        self._write = stream.write
        if len(self._listener.open) >= self._listener.most_connections:
            stream.abort()
            self._listener.too_many()
            return
        self._listener.open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        del exc
        self._listener.open.discard(self)
        self._transport = None
        self.piece = b""
        for each in self._answers:
            if isinstance(each, _Waiting):
                each.future.cancel()
        self._answers.clear()

    def pause_writing(self) -> None:
        """Hear no more from somebody who does not listen."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Hear again."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Take what was read; it is answered once every socket was."""
        heard = self._heard
        if self._soon is None:
            self.hear(data)
        elif self.piece:  # it says more than a read takes
            piece, self.piece = self.piece, b""
            self.hear(piece)
            self.hear(data)
        else:
            if not heard:
                self._soon(self._listener.answer_heard)
            heard.append(self)
            self.piece = data

    def hear(self, data: bytes) -> None:
        """Send the answers to every question that is whole."""
        plain = self._plain
        if plain is not None:
            answer = plain(data)
            if answer is not None:
                self.idle_sweeps = 0
                self._write(answer)
                return
        self._read(data)

    def _read(self, data: bytes) -> None:
        """Parse what came, and send the answers to every question that is whole."""
        if self._done:
            return
        self.idle_sweeps = 0
        was_between, asked = self._begun == self._asked, self._asked
        self._plain = None
        self._unfinished += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._done = True
        except httptools.HttpParserError:
            if not self._done:
                self._answers.append(_NOT_UNDERSTOOD.wire_last)
            self._done = True
        if self._unfinished > _LONGEST_UNFINISHED + len(data):
            self._done = True
        self._send()
        request, self._last = self._last, None  # no header of it is kept any longer
        if self._begun == self._asked and not self._done and not self._answers:
            if request is not None and was_between and self._asked == asked + 1:
                self._learn(data, request)
            self._plain = self._learnt

    def _learn(self, data: bytes, request: Request) -> None:
        """Learn from a piece that held one question and nothing else; a few times at most."""
        learn = self._listener.learn_plain
        if learn is None or self._lessons >= _MOST_LESSONS:
            return
        learnt = learn(data, request)
        if learnt is not None:
            self._lessons += 1
            self._learnt = learnt

    def _send(self) -> None:
        """Send what can be sent now: every answer up to the first that is still waited for."""
        transport = self._transport
        if transport is None:
            return
        if self._answers:
            ready = self._ready()
            if ready:
                transport.write(ready)
        if self._done and not self._answers:
            transport.close()

    def _ready(self) -> bytes:
        """Take out what can be sent now."""
        answers = self._answers
        if len(answers) == 1 and isinstance(answers[0], bytes):  # nearly always
            return cast("bytes", answers.pop())
        ready: list[bytes] = []
        for each in answers:
            if isinstance(each, _Waiting):
                if not each.future.done():
                    break
                ready.append(each.answer())
            else:
                ready.append(each)
        del answers[: len(ready)]
        return b"".join(ready)

    def close(self) -> None:
        """Close from our side."""
        self._done = True
        if self._transport is not None:
            self._transport.close()

    def on_message_begin(self) -> None:
        """Take note that a question has begun."""
        self._begun += 1

    def on_url(self, url: bytes) -> None:
        """Take (a part of) the target."""
        self._target = (self._target + url)[: LONGEST_TARGET + 1] if self._target else url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a wanted header."""
        try:
            wanted = self._spellings[name]
        except KeyError:
            wanted = self._listener.learn(name)
        if wanted is None:
            return
        headers = self._headers
        if wanted not in headers:
            headers[wanted] = value
        else:
            before = headers[wanted]
            headers[wanted] = [*([before] if isinstance(before, bytes) else before), value]

    def on_body(self, body: bytes) -> None:
        """Take a part of the body, as long as it is short."""
        self._body_bytes += len(body)
        if self._body_bytes <= LONGEST_BODY:
            self._body.append(body)

    def on_message_complete(self) -> None:
        """Answer the question."""
        request = Request(self._parser.get_method(), self._target, self._headers)
        if self._body_bytes:
            request.body = b"".join(self._body)
            request.oversized = self._body_bytes > LONGEST_BODY
            self._body_bytes = 0
            self._body.clear()
        if len(self._target) > LONGEST_TARGET:
            request.oversized = True
        self._asked += 1
        self._last = request
        # Nothing of one question is left in the next.
        self._target, self._headers, self._unfinished = b"", {}, 0
        response = self._listener.respond(request)
        keep = bool(self._parser.should_keep_alive()) and not self._done
        with_body = request.method != b"HEAD"
        if isinstance(response, Response):
            self._answers.append(
                response.wire
                if keep and with_body
                else response.to_bytes(keep=keep, with_body=with_body)
            )
        else:
            self._wait_for(response, keep=keep, with_body=with_body)
        if not keep:
            self._done = True

    def _wait_for(self, future: asyncio.Future[Response], *, keep: bool, with_body: bool) -> None:
        if len(self._answers) >= _MOST_WAITING:
            future.cancel()
            self._done = True
            return
        self._answers.append(_Waiting(future, keep=keep, with_body=with_body))
        future.add_done_callback(lambda _: self._send())


class _Waiting:
    """An answer that somebody else still has to give."""

    __slots__ = ("_keep", "_with_body", "future")

    def __init__(self, future: asyncio.Future[Response], *, keep: bool, with_body: bool) -> None:
        self.future = future
        self._keep = keep
        self._with_body = with_body

    def answer(self) -> bytes:
        """Return the answer as it goes out; whoever gives the future sees to it that none fails."""
        return self.future.result().to_bytes(keep=self._keep, with_body=self._with_body)
