"""The stop port of a machine that only sends: `python -m countermand.sender.stop_port`.

    POST /stop       bearer, a stop as JSON   the fence, then every sender here is killed
    POST /stop-code  number and code          needs no token: the code itself is the proof
    GET  /health /ready                       for supervisors and the doctor; names nobody

A stop is answered once it lies on the disk and every sender is proven dead; whoever starts one anew
does so after that, and it reads the stop first. What an order's code is known by comes from the
database while that can be reached, and is kept for when it cannot.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hmac
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import psycopg

from countermand import clock, config, environment
from countermand.data_folder import DataFolder, write_json
from countermand.domain.errors import CountermandError
from countermand.gate.protocol import Listener, Request, Response
from countermand.gate.tries import Tries
from countermand.sender.journal import note
from countermand.stop import fence as fences
from countermand.stop import register as registers
from countermand.stop import senders
from countermand.stop.fence import TAKEN_BACK_EPOCH, Fence
from countermand.stop.register import KnownOrder, Register
from countermand.stop.senders import Death

WANTED_HEADERS: Final = frozenset({b"authorization"})
_MOST_CONNECTIONS: Final = 64
_BACKLOG: Final = 64
_IDLE_SWEEP_S: Final = 30.0
_ASK_EVERY_S: Final = 30.0
_CONNECT_S: Final = 5
_NOT_HERE: Final = Response(HTTPStatus.NOT_FOUND)
_NOT_UNDERSTOOD: Final = Response(HTTPStatus.BAD_REQUEST, b'{"code":"stop.not_understood"}')
_NO_TOKEN: Final = Response(HTTPStatus.FORBIDDEN, b'{"code":"gate.token_missing"}')
_TOO_OFTEN: Final = Response(HTTPStatus.TOO_MANY_REQUESTS, b'{"code":"gate.too_many_tries"}')
_WRONG_CODE: Final = Response(HTTPStatus.FORBIDDEN, b'{"code":"gate.code_wrong"}')


@dataclass(slots=True)
class StopPort:
    """Everything behind the port."""

    folder: DataFolder
    token: bytes
    now: Callable[[], datetime]
    tries: Tries = field(default_factory=Tries)
    # One stop after the other: each kills, and the second finds only dead ones.
    stopping: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "stops"))

    def respond(self, request: Request) -> Response | asyncio.Future[Response]:
        """Answer one request."""
        match request.method, request.target.partition(b"?")[0]:
            case b"GET", b"/health":
                return _json({"alive": True})
            case b"GET", b"/ready":
                return _json(self._situation())
            case b"POST", b"/stop":
                return self._stop(request)
            case b"POST", b"/stop-code":
                return self._stop_by_code(request)
            case _:
                return _NOT_HERE

    def _situation(self) -> dict[str, Any]:
        try:
            fences.read_all(self.folder.fences)
        except CountermandError:
            is_readable = False
        else:
            is_readable = True
        return {
            "instance": self.folder.instance_id,
            "place": senders.place(self.folder.senders),
            "senders": list(senders.living(self.folder.senders)),
            "stops_readable": is_readable,
        }

    def _stop(self, request: Request) -> Response | asyncio.Future[Response]:
        shown = request.all(b"authorization")
        expected = b"Bearer " + self.token
        if not self.token or not any(hmac.compare_digest(each, expected) for each in shown):
            return _NO_TOKEN
        told = fences.read_told(request.body)
        if told is None:
            return _NOT_UNDERSTOOD
        return self._begin(told)

    def _stop_by_code(self, request: Request) -> Response | asyncio.Future[Response]:
        try:
            said = json.loads(request.body)
            number, code = said["number"], said["code"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return _NOT_UNDERSTOOD
        if not isinstance(number, str) or not isinstance(code, str):
            return _NOT_UNDERSTOOD
        # The right code is never kept waiting: else whoever guesses all the time would disarm it.
        if not self._is_code_of(number, code):
            return _WRONG_CODE if self.tries.take(time.monotonic()) else _TOO_OFTEN
        fence = Fence(
            number=number,
            stopped_epoch=TAKEN_BACK_EPOCH,
            withdrawn=True,
            at=self.now(),
            by=None,
            because="emergency code",
        )
        return self._begin(fence)

    def _is_code_of(self, number: str, code: str) -> bool:
        try:
            known = registers.read(self.folder)
        except CountermandError:
            return False
        return known.order_of_code(code) == number

    def _begin(self, fence: Fence) -> asyncio.Future[Response]:
        return asyncio.get_running_loop().run_in_executor(self.stopping, self._carry_out, fence)

    def _carry_out(self, fence: Fence) -> Response:
        """Write the stop down, end every sender, and say how that went."""
        durable = True
        try:
            fences.write(self.folder.fences, fence)
        except (OSError, CountermandError) as error:
            durable = False
            note("stop.not_durable", order=fence.number, why=type(error).__name__)
        proofs = senders.kill_all(self.folder.senders)
        living = [each.name for each in proofs if each.death is Death.NOT_PROVEN]
        note("stop.taken", order=fence.number, durable=durable, living=len(living))
        return _json(
            {
                "place": senders.place(self.folder.senders),
                "durable": durable,
                "ended": len(proofs) - len(living),
                "living": living,
            }
        )


def _json(value: dict[str, Any]) -> Response:
    return Response(HTTPStatus.OK, json.dumps(value, ensure_ascii=False).encode())


def take_codes(folder: DataFolder, url: str) -> None:
    """Ask the database by what it knows each order's emergency code, and keep that.

    Raises psycopg.Error or OSError; what was kept before stays.
    """
    with psycopg.connect(url, connect_timeout=_CONNECT_S, autocommit=True) as session:
        rows = session.execute("SELECT order_number, epoch, stop_hash FROM ledger_stop_hashes()")
        orders = {number: KnownOrder(epoch, "", shown) for number, epoch, shown in rows}
    with contextlib.suppress(CountermandError):
        if registers.read(folder).orders == orders:
            return
    registers.write(folder, Register(orders=orders))


async def serve(settings: config.Settings, *, port: int | None, ready_file: Path | None) -> None:
    """Answer until a signal ends it."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    folder = settings.folder
    told = StopPort(folder, settings.gate_token.encode(), clock.for_data(folder).now)
    listener = Listener(told.respond, WANTED_HEADERS, _MOST_CONNECTIONS)
    host, _, number_text = settings.sender_control.rpartition(":")
    at = int(number_text) if port is None else port
    server = await loop.create_server(listener.connection, host.strip("[]"), at, backlog=_BACKLOG)
    bound = server.sockets[0].getsockname()[1]
    note("stop_port.ready", port=bound)
    if ready_file is not None:
        write_json(ready_file, {"pid": os.getpid(), "port": bound})
    asking = asyncio.create_task(_keep_asking(folder, settings.sender_database_url))
    try:
        while not ended.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), _IDLE_SWEEP_S)
            listener.close_idle()
    finally:
        asking.cancel()
        server.close()
        listener.close_all()


async def _keep_asking(folder: DataFolder, url: str) -> None:
    while True:
        try:
            await asyncio.to_thread(take_codes, folder, url)
        except (psycopg.Error, OSError) as error:
            note("codes.not_taken", why=type(error).__name__)
        await asyncio.sleep(_ASK_EVERY_S)


def main(argv: Sequence[str] | None = None) -> int:
    """Run until told to end; 1 when it cannot start."""
    parser = argparse.ArgumentParser(prog="python -m countermand.sender.stop_port")
    parser.add_argument("--data", type=Path, help="the data folder")
    parser.add_argument("--port", type=int, help="where stops arrive; 0 takes a free one")
    parser.add_argument("--ready-file", type=Path, help="written once the port is open")
    given = parser.parse_args(argv)
    try:
        settings = environment.load(data=given.data)
        asyncio.run(serve(settings, port=given.port, ready_file=given.ready_file))
    except (CountermandError, OSError) as error:
        note("stop_port.off", why=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
