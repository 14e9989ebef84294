"""The peers of the gate: the same HTTP layer over another engine; run as a server of its own.

    python -m benchmarks.gate_peers opa DEVICES PORT FOLDER    the OPA engine, devices as its data
    python -m benchmarks.gate_peers postgres DEVICES PORT URL  one query for each question

Each reads the question with our own front, so that only the engine differs.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import uvloop

from benchmarks import gate_servers, gate_world
from benchmarks.gate_world import TOKEN, Phone, door_keys, order_of
from countermand.domain.device_key import door_key
from countermand.gate.fronts import forward_auth
from countermand.gate.plain_questions import PlainQuestions
from countermand.gate.protocol import Listener, Request, Response
from countermand.stop.durable import write_durably

_POLICY: Final = """
package gate
import rego.v1
default refused := false
refused if {
    entry := data.doors[input.door]
    entry.presence == "present"
    entry.may_close
    entry.fresh_until > input.now
    entry.closes_at <= input.now
    not data.stopped[entry.order]
}
"""
_GO_ON: Final = Response(HTTPStatus.NO_CONTENT)
_REFUSED: Final = Response(HTTPStatus.FORBIDDEN, b"Mail is paused on this device.", "text/plain")
_POOL: Final = 16
_NOW: Final = 1_800_000_000
Decide = Callable[[bytes], "bool | Awaitable[bool]"]


def opa(devices: int, engine: Any, place: Path) -> Decide:
    """Load all devices into the engine, and return what asks it; their text is kept in `place`."""
    engine.add_policy("gate.rego", _POLICY)
    # What `add_data` does with a dictionary, once that is written out.
    text = _text_of_doors(devices, place)
    engine._call(engine._lib.OpaAddData, b"", text)  # noqa: SLF001

    def decide(door: bytes) -> bool:
        return bool(engine.eval_document("gate.refused", {"door": door.hex(), "now": _NOW}))

    decide(Phone(0).key)  # only the first question takes its data over, for seconds
    return decide


def _text_of_doors(devices: int, place: Path) -> bytes:
    """Return the engine's data as text; written out once, which takes as long as reading it."""
    kept = place / f"doors-{gate_world.FORM}-{devices}.json"
    if kept.exists():
        return kept.read_bytes()
    doors: dict[str, dict[str, object]] = {}
    for number, door in enumerate(door_keys(devices)):
        phone = Phone(number)
        doors[door.hex()] = (
            {
                "presence": "present" if phone.is_shut else "absent",
                "may_close": True,
                "fresh_until": _NOW + 1,
                "closes_at": _NOW - 1,
                "order": order_of(phone),
            }
            if phone.is_under_an_order
            else {}
        )
    text = json.dumps({"doors": doors, "stopped": {}}).encode()
    write_durably(kept, text)
    return text


async def postgres(devices: int, url: str) -> Decide:
    """Load all devices into a table, open a pool of connections, and return what asks it."""
    import psycopg  # noqa: PLC0415 - the other peer does without

    with psycopg.connect(url, autocommit=True) as filling:
        if _rows(filling) != devices:  # else an earlier run filled it
            _fill(filling, devices)
    free: asyncio.Queue[Any] = asyncio.Queue()
    for _ in range(_POOL):
        connection = await psycopg.AsyncConnection.connect(url, autocommit=True)
        connection.prepare_threshold = 0
        free.put_nowait(connection)

    async def decide(door: bytes) -> bool:
        connection = await free.get()
        try:
            cursor = await connection.execute(
                "SELECT shut FROM doors WHERE door = %b", [door], binary=True
            )
            row = await cursor.fetchone()
        finally:
            free.put_nowait(connection)
        return bool(row and row[0])

    return decide


def _rows(connection: Any) -> int:
    found = connection.execute("SELECT to_regclass('doors') IS NOT NULL").fetchone()
    if not found[0]:
        return 0
    return int(connection.execute("SELECT count(*) FROM doors").fetchone()[0])


def _fill(connection: Any, devices: int) -> None:
    connection.execute("DROP TABLE IF EXISTS doors")
    connection.execute("CREATE UNLOGGED TABLE doors (door bytea NOT NULL, shut boolean NOT NULL)")
    with connection.cursor().copy("COPY doors FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(["bytea", "bool"])
        for number, door in enumerate(door_keys(devices)):
            copy.write_row((door, Phone(number).is_shut))
    connection.execute("ALTER TABLE doors ADD PRIMARY KEY (door)")
    connection.execute("VACUUM ANALYZE doors")


def responder(decide: Decide) -> Callable[[Request], Any]:
    """Return what answers a question with this engine."""

    def respond(request: Request) -> Any:
        asked = forward_auth.question(request)
        [door] = asked.doors
        said = decide(door_key(door.login, door.device))
        if isinstance(said, bool):
            return _REFUSED if said else _GO_ON
        return asyncio.ensure_future(_later(said))

    return respond


def _plain(decide: Decide) -> Callable[[bytes], bytes | None]:
    def answer(door: bytes) -> bytes | None:
        return _REFUSED.wire if decide(door) else _GO_ON.wire

    return answer


def _stay_on(core: int) -> None:
    """Keep every thread of this process on one core."""
    for thread in Path("/proc/self/task").iterdir():
        os.sched_setaffinity(int(thread.name), {core})


async def _later(said: Awaitable[bool]) -> Response:
    return _REFUSED if await said else _GO_ON


async def main() -> None:
    """Serve until killed; prints "ready" once it answers."""
    kind, devices, port, last = sys.argv[1:5]
    if kind == "opa":
        sys.path.insert(0, last)
        engine = importlib.import_module("opa_bindings").OpaEngine()
        decide = opa(int(devices), engine, Path(last))
    else:
        decide = await postgres(int(devices), last)
    # An answer that is there at once needs no parser either; one that is waited for is the rest.
    plain = PlainQuestions(TOKEN.encode(), _plain(decide))
    listener = Listener(
        responder(decide),
        forward_auth.WANTED_HEADERS,
        learn=plain.learn if kind == "opa" else None,
    )
    _stay_on(gate_servers.GATE_CORE)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(listener.connection, "127.0.0.1", int(port))
    print(json.dumps({"ready": True}), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
