"""A relay of a few lines for what no real one does: it greets, and answers each envelope alike."""

import asyncio
from typing import ClassVar


class FramedRelay(asyncio.Protocol):
    """Answers EHLO and one pipelined envelope; whatever else comes is `took`."""

    envelope_answer: ClassVar[bytes] = b"250 ok\r\n250 ok\r\n354 go on\r\n"

    def __init__(self) -> None:
        self.heard = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.out = transport
        self.out.write(b"220 relay\r\n")

    def data_received(self, data: bytes) -> None:
        self.heard += data
        if data.startswith(b"EHLO"):
            self.out.write(b"250-relay\r\n250 PIPELINING\r\n")
        elif data.startswith(b"MAIL"):
            self.out.write(self.envelope_answer)
            self.took_envelope()
        else:
            self.took()

    def took_envelope(self) -> None:
        """Called after an envelope was answered."""

    def took(self) -> None:
        """Called when something else came, mostly a body."""
