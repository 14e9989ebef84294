"""HTTP for a gate: bounded, in order, one answer to each question, nothing kept between them.

A question of any size and shape gets an answer or a closed connection, never more memory. Answers
to questions that came in one piece leave in one piece, in their order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, cast

import httptools

LONGEST_TARGET: Final = 8 * 1024
LONGEST_BODY: Final = 16 * 1024
LONGEST_HEADERS: Final = 32 * 1024
# What may lie in a parser before a question is whole; a piece of the network adds at most itself.
_LONGEST_UNFINISHED: Final = LONGEST_TARGET + LONGEST_BODY + LONGEST_HEADERS
IDLE_MS: Final = 120_000

Headers = dict[bytes, list[bytes]]


@dataclass(slots=True)
class Request:
    """One question. `headers` holds only those that the front asked for, names in lower case."""

    method: str = ""
    target: str = ""
    headers: Headers = field(default_factory=dict)
    body: bytes = b""
    oversized: bool = False


@dataclass(frozen=True, slots=True)
class Response:
    """One answer; `headers` are whole lines without their ends."""

    status: HTTPStatus
    body: bytes = b""
    content_type: str = "application/json"
    headers: tuple[str, ...] = ()

    def to_bytes(self, *, keep: bool, with_body: bool = True) -> bytes:
        """Return the answer as it goes out; `keep` says that the connection stays."""
        lines = [f"HTTP/1.1 {self.status.value} {self.status.phrase}", *self.headers]
        if self.status is not HTTPStatus.NO_CONTENT:
            lines += [f"Content-Type: {self.content_type}", f"Content-Length: {len(self.body)}"]
        if not keep:
            lines.append("Connection: close")
        head = "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n"
        return head + self.body if with_body else head


@dataclass(slots=True)
class Listener:
    """One port: who answers, which headers are wanted, and which connections are open."""

    respond: Callable[[Request], Response]
    wanted: AbstractSet[bytes]
    most_connections: int = 4096
    open: set[Connection] = field(default_factory=set)

    def connection(self) -> Connection:
        """Return the protocol of one new connection."""
        return Connection(self)

    def close_idle(self, now_s: float) -> None:
        """Close connections on which nothing came for IDLE_MS."""
        for each in list(self.open):
            if now_s - each.heard_at_s > IDLE_MS / 1000:
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
        self._transport: asyncio.Transport | None = None
        self._parser: Any = httptools.HttpRequestParser(self)
        self._answers: list[bytes] = []
        self._unfinished = 0
        self._target = b""
        self._request = Request()
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._header_bytes = 0
        self._done = False
        self.heard_at_s = asyncio.get_running_loop().time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, unless there are too many."""
        # uvloop's streams have the shape of asyncio's, and are not of its kind.
        stream = cast("asyncio.Transport", transport)
        self._transport = stream
        if len(self._listener.open) >= self._listener.most_connections:
            stream.abort()
            return
        self._listener.open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        del exc
        self._listener.open.discard(self)
        self._transport = None

    def pause_writing(self) -> None:
        """Hear no more from somebody who does not listen."""
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """Hear again."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        """Parse what came, and send the answers to every question that is whole."""
        if self._done:
            return
        self.heard_at_s = asyncio.get_running_loop().time()
        self._unfinished += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._done = True
        except httptools.HttpParserError:
            if not self._done:
                self._answers.append(Response(HTTPStatus.BAD_REQUEST).to_bytes(keep=False))
            self._done = True
        self._send(len(data))

    def _send(self, came: int) -> None:
        if self._transport is None:
            return
        if self._answers:
            self._transport.write(b"".join(self._answers))
            self._answers.clear()
        if self._done or self._unfinished > _LONGEST_UNFINISHED + came:
            self._done = True
            self._transport.close()

    def close(self) -> None:
        """Close from our side."""
        self._done = True
        if self._transport is not None:
            self._transport.close()

    def on_message_begin(self) -> None:
        """Begin a question."""
        self._target = b""
        self._request = Request()
        self._body = []
        self._body_bytes = self._header_bytes = 0

    def on_url(self, url: bytes) -> None:
        """Take (a part of) the target."""
        self._target += url[: LONGEST_TARGET + 1 - len(self._target)]

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a wanted header."""
        self._header_bytes += len(name) + len(value)
        lower = name.lower()
        if lower in self._listener.wanted and self._header_bytes <= LONGEST_HEADERS:
            self._request.headers.setdefault(lower, []).append(value)

    def on_body(self, body: bytes) -> None:
        """Take a part of the body, as long as it is short."""
        self._body_bytes += len(body)
        if self._body_bytes <= LONGEST_BODY:
            self._body.append(body)

    def on_message_complete(self) -> None:
        """Answer the question."""
        self._unfinished = 0
        request = self._request
        request.method = self._parser.get_method().decode("ascii", "replace")
        request.target = self._target.decode("utf-8", "replace")
        request.body = b"".join(self._body)
        request.oversized = (
            self._body_bytes > LONGEST_BODY
            or len(self._target) > LONGEST_TARGET
            or self._header_bytes > LONGEST_HEADERS
        )
        response = self._listener.respond(request)
        keep = bool(self._parser.should_keep_alive()) and not self._done
        self._answers.append(response.to_bytes(keep=keep, with_body=request.method != "HEAD"))
        if not keep:
            self._done = True
