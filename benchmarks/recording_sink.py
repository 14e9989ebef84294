"""A mail server that writes down when each dot came, and may ask the ledger at that very instant.

    python -m benchmarks.recording_sink --port N --journal FILE [--ledger URL]

Each line of the journal: nanoseconds of the monotonic clock, number of the connection, Message-ID,
and `permitted`, `too-early` or `-` when no ledger was given. The line is there before the 250.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import time
from pathlib import Path
from typing import Any, Final

import psycopg

_END: Final = b"\r\n.\r\n"
_MESSAGE_ID: Final = re.compile(rb"^Message-ID: (\S+)", re.MULTILINE)
_REPLIES: Final = {
    b"MAIL": b"250 2.1.0 Ok\r\n",
    b"RCPT": b"250 2.1.5 Ok\r\n",
    b"RSET": b"250 2.0.0 Ok\r\n",
    b"QUIT": b"221 2.0.0 Bye\r\n",
    b"EHLO": b"250-sink.example\r\n250-PIPELINING\r\n250 8BITMIME\r\n",
}


class Journal:
    """Where dots are written down."""

    def __init__(self, path: Path, ledger: str) -> None:
        """Append to `path`, and ask `ledger` if there is one."""
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._ledger: psycopg.Connection[Any] | None = None
        if ledger:
            self._ledger = psycopg.connect(ledger, autocommit=True)
        self.connections = 0

    def dot(self, connection: int, mail: bytes) -> None:
        """Write down one dot, with what the ledger says of it now."""
        came_at = time.monotonic_ns()
        found = _MESSAGE_ID.search(mail)
        message_id = found[1].decode() if found else "-"
        said = "-" if self._ledger is None else self._ask(message_id)
        os.write(self._file, f"{came_at} {connection} {message_id} {said}\n".encode())

    def _ask(self, message_id: str) -> str:
        assert self._ledger is not None  # noqa: S101 - asked only with one
        row = self._ledger.execute(
            "SELECT n.exposure > 0 OR EXISTS (SELECT FROM notices_openbatch b"
            " WHERE b.order_number = n.order_number AND n.id = ANY (b.permitted))"
            " FROM notices_notice n WHERE n.message_id = %s",
            [message_id],
        ).fetchone()
        return "permitted" if row and row[0] else "too-early"


class Session(asyncio.Protocol):
    """One connection."""

    def __init__(self, journal: Journal) -> None:
        """Write to `journal`."""
        self._journal = journal
        journal.connections += 1
        self._number = journal.connections
        self._buffer = bytearray()
        self._in_mail = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a fact of asyncio
        self._out = transport
        self._out.write(b"220 sink.example ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        """Take what came as far as it reaches."""
        self._buffer += data
        answers: list[bytes] = []
        while True:
            mark = _END if self._in_mail else b"\r\n"
            end = self._buffer.find(mark)
            if end < 0:
                break
            taken = bytes(self._buffer[:end])
            del self._buffer[: end + len(mark)]
            if self._in_mail:
                self._in_mail = False
                self._journal.dot(self._number, taken)
                answers.append(b"250 2.0.0 Ok\r\n")
            elif taken[:4].upper() == b"DATA":
                self._in_mail = True
                answers.append(b"354 Go on\r\n")
            else:
                answers.append(_REPLIES.get(taken[:4].upper(), b"500 5.5.2 What?\r\n"))
        if answers:
            self._out.write(b"".join(answers))


async def _serve(port: int, journal: Journal) -> None:
    server = await asyncio.get_running_loop().create_server(
        lambda: Session(journal), "127.0.0.1", port, backlog=1024
    )
    await server.serve_forever()


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--journal", type=Path, required=True)
    parser.add_argument("--ledger", default="")
    given = parser.parse_args()
    asyncio.run(_serve(given.port, Journal(given.journal, given.ledger)))


if __name__ == "__main__":
    main()
