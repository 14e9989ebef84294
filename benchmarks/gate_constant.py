"""The floor of any gate in Python here: a protocol that answers without having looked.

    python -m benchmarks.gate_constant PORT

It takes the same bytes from the same event loop and writes the same 204, and does nothing else.
What our gate costs above it is ours: reading the question, finding the door, judging, counting.
"""

from __future__ import annotations

import asyncio
import sys
from http import HTTPStatus
from typing import Final, cast

import uvloop

from countermand.gate.protocol import Response

_GO_ON: Final = Response(HTTPStatus.NO_CONTENT).wire


class Constant(asyncio.Protocol):
    """Says 204 to every piece that comes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        self._write = cast("asyncio.Transport", transport).write

    def data_received(self, data: bytes) -> None:
        """Answer."""
        del data
        self._write(_GO_ON)


async def main() -> None:
    """Serve until killed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Constant, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
