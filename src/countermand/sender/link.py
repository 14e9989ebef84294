"""One connection to the relay, with nothing of ours between a decision and the wire.

What is handed to `write` has left this process when it returns: no byte waits in user space, where
it could leave after a stop. `write_now` offers bytes to the operating system at this very instant,
so a decision taken right before it holds.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import Callable
from typing import Final, NamedTuple, Self

from countermand.sender.tls import Tls, TlsRefused

_LONGEST_REPLY: Final = 65536
_AT_ONCE: Final = 4096  # replies are short, and room for long ones costs time for each
_CODE_DIGITS: Final = 3
_MANY: Final = 1000
_CODES: Final = {b"%03d" % code: code for code in range(1000)}
GOING_DOWN: Final = 421


class LinkLost(Exception):
    """The connection is gone, or what came over it cannot be understood."""


class ServerReply(NamedTuple):
    """A reply of the relay, all its lines as they came; most are never read as text."""

    code: int
    raw: tuple[bytes, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """What the relay said, without codes."""
        return tuple(_words(line) for line in self.raw)

    @property
    def text(self) -> str:
        """The last line as it came, code included."""
        return f"{self.code} {_words(self.raw[-1])}"


class Link:
    """A connected, non-blocking socket that speaks in replies."""

    def __init__(self, connected: socket.socket) -> None:
        """Take over a connected socket."""
        self._socket = connected
        self._loop = asyncio.get_running_loop()
        self._buffer = b""
        self._hears: Callable[[], None] | None = None
        self._ended = False
        self._tls: Tls | None = None
        self._raw = bytearray()  # what came during a handshake
        self._shakes_hands = False
        self._unsent = b""  # what is left of a record, and how much of our own it stands for
        self._stands_for = 0
        self._arrival: asyncio.Future[None] | None = None
        self._is_late = False
        self._loop.add_reader(connected.fileno(), self._read)

    @classmethod
    async def connect(cls, host: str, port: int, *, within_s: float) -> Self:
        """Connect to the relay, at the first of its addresses that answers. Raises LinkLost."""
        loop = asyncio.get_running_loop()
        lost = LinkLost("the relay has no address")
        try:
            async with asyncio.timeout(within_s):
                found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, TimeoutError) as error:
            raise LinkLost(type(error).__name__) from error
        for family, kind, protocol, _, address in found:
            made = socket.socket(family, kind, protocol)
            made.setblocking(False)  # noqa: FBT003 - the standard library's form
            try:
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                async with asyncio.timeout(within_s):
                    await loop.sock_connect(made, address)
            except (OSError, TimeoutError) as error:
                made.close()
                lost = LinkLost(type(error).__name__)
            except BaseException:
                made.close()
                raise
            else:
                return cls(made)
        raise lost

    async def write(self, content: bytes) -> None:
        """Hand everything to the operating system; back-pressure is waited out. Raises LinkLost."""
        view = memoryview(content)
        while view:
            sent = self.write_now(view)
            view = view[sent:]
            if view:
                await self.writable()

    def write_now(self, content: bytes | memoryview) -> int:
        """Offer bytes at this instant; return how many were taken. Raises LinkLost: none were.

        Under TLS a record counts only once the whole of it was taken; until then the same content
        has to be offered again, or the connection cut.
        """
        if self._tls is None:
            return self._offer(content)
        if not self._unsent:
            try:
                self._stands_for, self._unsent = self._tls.encrypted(content)
            except TlsRefused as error:
                raise LinkLost(str(error)) from error
        self._unsent = self._unsent[self._offer(self._unsent) :]
        return 0 if self._unsent else self._stands_for

    def _offer(self, content: bytes | memoryview) -> int:
        try:
            return self._socket.send(content)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            raise LinkLost(type(error).__name__) from error

    @property
    def is_secret(self) -> bool:
        """Whether everything on this connection is encrypted, and the relay proven."""
        return self._tls is not None

    async def start_tls(
        self, context: ssl.SSLContext, server_name: str, *, within_s: float
    ) -> None:
        """Encrypt from here on, with a relay that proves to be `server_name`. Raises LinkLost."""
        tls = Tls(context, server_name)
        self._shakes_hands = True
        try:
            async with asyncio.timeout(within_s):
                agreed, answer = tls.handshake(b"")
                while True:
                    while answer:
                        answer = answer[self._offer(answer) :]
                        if answer:
                            await self.writable()
                    if agreed:
                        break
                    came = await self._raw_bytes()
                    agreed, answer = tls.handshake(came)
        except TlsRefused as error:
            raise LinkLost(f"TLS with the relay failed: {error}") from error
        except TimeoutError:
            raise LinkLost("the relay did not answer in time") from None
        finally:
            self._shakes_hands = False
        self._tls = tls
        self._understand(b"")  # what came together with the end of the handshake

    async def _raw_bytes(self) -> bytes:
        while not self._raw:
            if self._ended:
                raise LinkLost("the relay closed the connection")
            self._arrival = self._loop.create_future()
            await self._arrival
        came = bytes(self._raw)
        self._raw.clear()
        return came

    async def writable(self) -> None:
        """Wait until the operating system takes bytes again, or the connection ends."""
        ready: asyncio.Future[None] = self._loop.create_future()

        def is_ready() -> None:
            if not ready.done():
                ready.set_result(None)

        self._loop.add_writer(self._socket.fileno(), is_ready)
        try:
            await ready
        finally:
            self._loop.remove_writer(self._socket.fileno())

    def listen(self, hears: Callable[[], None] | None) -> None:
        """Call `hears` whenever something came, in the very turn in which it came; or no more."""
        self._hears = hears

    def when_writable(self, writes: Callable[[], None]) -> None:
        """Call `writes` once, when the operating system takes bytes again."""

        def is_ready() -> None:
            self._loop.remove_writer(self._socket.fileno())
            writes()

        self._loop.add_writer(self._socket.fileno(), is_ready)

    def whole_replies(self) -> list[ServerReply]:
        """Take the whole replies that came, none if none did.

        Raises LinkLost when nothing can come any more, but not before what came was taken.
        """
        found: list[ServerReply] = []
        try:
            self._take_replies(found, _MANY)
        except LinkLost:
            if not found:
                raise
        if self._ended and not found:
            raise LinkLost("the relay closed the connection")
        return found

    async def reply(self, *, within_s: float) -> ServerReply:
        """Wait for the next whole reply. Raises LinkLost, also when the time is over."""
        return (await self.replies(1, within_s=within_s))[0]

    async def replies(self, count: int, *, within_s: float) -> list[ServerReply]:
        """Wait for the next `count` whole replies. Raises LinkLost, also when the time is over.

        A server that says goodbye (421) says no more: then those before it and it are returned.
        """
        found: list[ServerReply] = []
        late: asyncio.TimerHandle | None = None
        try:
            while not self._take_replies(found, count):
                if self._ended:
                    raise LinkLost("the relay closed the connection")
                self._arrival = self._loop.create_future()
                late = late or self._loop.call_later(within_s, self._give_up)
                await self._arrival
                if self._is_late:
                    raise LinkLost("the relay did not answer in time")
        finally:
            self._arrival = None
            if late is not None:
                late.cancel()
        return found

    def _give_up(self) -> None:
        self._is_late = True
        self._wake()

    def _wake(self) -> None:
        if self._hears is not None:
            self._hears()
        elif self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    def spoke_unasked(self) -> bool:
        """Look, at this instant, whether anything came that nobody asked for, such as a 421."""
        self._receive()
        return bool(self._buffer) or self._ended

    def abort(self) -> None:
        """Cut the connection off: what the kernel still holds is thrown away, not sent."""
        if self._socket.fileno() < 0:
            return
        with contextlib.suppress(OSError):
            linger_for_nothing = struct.pack("ii", 1, 0)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_for_nothing)
        self._loop.remove_reader(self._socket.fileno())
        self._loop.remove_writer(self._socket.fileno())
        self._socket.close()

    def _read(self) -> None:
        if self._receive():
            self._wake()

    def _receive(self) -> bool:
        """Take what came; say whether anything did, the end included."""
        try:
            came = self._socket.recv(_AT_ONCE)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            came = b""
        if came:
            self._understand(came)
        elif not self._ended:
            self._ended = True
            self._loop.remove_reader(self._socket.fileno())
        return True

    def _understand(self, came: bytes) -> None:
        if self._shakes_hands:
            self._raw += came
        elif self._tls is None:
            self._buffer += came
        else:
            try:
                said, ended = self._tls.decrypted(came)
            except TlsRefused:
                said, ended = b"", True
            self._buffer += said
            if ended and not self._ended:
                self._ended = True
                self._loop.remove_reader(self._socket.fileno())

    def _take_replies(self, found: list[ServerReply], most: int) -> bool:
        """Move whole replies to `found`; say whether `most` are there, or a goodbye.

        Raises LinkLost at what is no reply; the whole ones before it are in `found` all the same.
        """
        if not self._buffer:
            return False
        lines = self._buffer.split(b"\n")
        rest = lines.pop()
        first = 0  # the first line of the reply that is being read
        why = "a reply without an end" if len(self._buffer) > _LONGEST_REPLY else ""
        for number, line in enumerate(lines, 1):
            code = _CODES.get(line[:_CODE_DIGITS])
            if code is None:
                why = "a reply that is none"
                break
            if line[_CODE_DIGITS : _CODE_DIGITS + 1] != b"-":
                found.append(ServerReply(code, tuple(lines[first:number])))
                first, why = number, ""
                if len(found) == most or code == GOING_DOWN:
                    most = len(found)
                    break
        self._buffer = b"\n".join((*lines[first:], rest)) if first < len(lines) else rest
        if why:
            raise LinkLost(why)
        return len(found) == most


def _words(line: bytes) -> str:
    return line[_CODE_DIGITS + 1 :].rstrip(b"\r").decode("utf-8", "replace")
