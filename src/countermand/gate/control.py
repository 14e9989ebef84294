"""The control port: stops arrive here and beat everything; here one looks how the gate is.

POST /stop       bearer, a stop as JSON   in memory, then on the disk, then acknowledged
POST /open       bearer, sealed records   doors that somebody opened, ahead of the feed
POST /stop-code  number and code          needs no token: the code itself is the proof
POST /ask        bearer, login, device    the same answer that a mail server would get
GET  /doors                                by which doors questions came since this gate started
GET  /unknown    bearer                   which devices it saw and knows nothing of
GET  /health /ready /metrics              for supervisors; names nobody
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, Self

from countermand.domain.device_key import normal_device, normal_login
from countermand.domain.errors import CountermandError
from countermand.gate import disk_room, log_lines, openings
from countermand.gate.answerer import Answerer, Door
from countermand.gate.counts import Counts
from countermand.gate.door_kinds import DoorKind
from countermand.gate.doors import shows_token
from countermand.gate.openings import Opening, Openings, Outcome
from countermand.gate.protocol import Request, Response
from countermand.gate.tries import Tries
from countermand.gate.unknown_clients import UnknownClients
from countermand.stop import fence as fences
from countermand.stop.fence import TAKEN_BACK_EPOCH, Fence

WANTED_HEADERS: Final = frozenset({b"authorization", b"x-countermand-token"})
# Openings that wait while the follower lays down a large batch.
_MOST_WAITING: Final = 32
_NOT_HERE: Final = Response(HTTPStatus.NOT_FOUND)
_NOT_UNDERSTOOD: Final = Response(
    HTTPStatus.BAD_REQUEST, b'{"code":"gate.question_not_understood"}'
)
_NOT_TAKEN: Final = Response(HTTPStatus.TOO_MANY_REQUESTS, b'{"code":"gate.opening_not_taken"}')
_NO_TOKEN: Final = Response(HTTPStatus.FORBIDDEN, b'{"code":"gate.token_missing"}')
_TOO_OFTEN: Final = Response(HTTPStatus.TOO_MANY_REQUESTS, b'{"code":"gate.too_many_tries"}')
_WRONG_CODE: Final = Response(HTTPStatus.FORBIDDEN, b'{"code":"gate.code_wrong"}')


@dataclass(frozen=True, slots=True)
class Boot:
    """One run of a gate: counts begin at nought with it."""

    boot_id: str
    since: datetime

    @classmethod
    def now(cls, now: datetime) -> Self:
        """Return a new run that begins at `now`."""
        return cls(os.urandom(8).hex(), now)


@dataclass(slots=True)
class Control:
    """Everything behind the control port; `steady_s` is a clock that nobody sets."""

    answerer: Answerer
    fences: Path
    token: bytes
    name: str
    steady_s: Callable[[], float]
    situation: Callable[[], dict[str, Any]]
    boot: Boot
    ring: Callable[[Fence], None]
    unknown: UnknownClients
    openings: Openings
    tries: Tries = field(default_factory=Tries)
    # One thread of their own, so that no stop waits behind them.
    opening: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "openings"))
    waiting: int = 0

    @property
    def counts(self) -> Counts:
        """Return the counters of the gate."""
        return self.answerer.counts

    def respond(self, request: Request) -> Response | asyncio.Future[Response]:
        """Answer one request."""
        path = request.target.partition(b"?")[0]
        routes: dict[
            tuple[bytes, bytes], Callable[[Request], Response | asyncio.Future[Response]]
        ] = {
            (b"GET", b"/health"): self._health,
            (b"GET", b"/ready"): self._ready,
            (b"GET", b"/metrics"): self._metrics,
            (b"GET", b"/doors"): self._doors,
            (b"GET", b"/unknown"): self._unknown,
            (b"POST", b"/stop"): self._stop,
            (b"POST", b"/open"): self._open,
            (b"POST", b"/stop-code"): self._stop_code,
            (b"POST", b"/ask"): self._ask,
        }
        route = routes.get((request.method, path))
        return _NOT_HERE if route is None else route(request)

    def _health(self, request: Request) -> Response:
        del request
        return _json({"alive": True, "gate": self.name})

    def _ready(self, request: Request) -> Response:
        """Say how this gate is; it is not ready while it could refuse nobody."""
        del request
        said = {"gate": self.name, **self.situation()}
        return _json(said, HTTPStatus.OK if said["ready"] else HTTPStatus.SERVICE_UNAVAILABLE)

    def _metrics(self, request: Request) -> Response:
        del request
        numbers = {
            name: float(value)
            for name, value in self.situation().items()
            if isinstance(value, (int, float))
        }
        text = self.counts.exposition(numbers)
        return Response(HTTPStatus.OK, text, "text/plain; version=0.0.4; charset=utf-8")

    def _doors(self, request: Request) -> Response:
        del request
        asked = self.counts.by_label("answers", "door")
        return _json(
            {
                "gate": self.name,
                "boot": self.boot.boot_id,
                "since": self.boot.since.isoformat(),
                "counts": {kind.value: asked.get(kind.value, 0) for kind in DoorKind},
            }
        )

    def _unknown(self, request: Request) -> Response:
        if not shows_token(request, self.token):
            return _NO_TOKEN
        self.unknown.forget(self.answerer.now())
        table = self.answerer.table
        clients = self.unknown.shown(lambda key: table.stored(key) is not None)
        return _json({"gate": self.name, "clients": clients})

    def _stop(self, request: Request) -> Response | asyncio.Future[Response]:
        if not shows_token(request, self.token):
            return _NO_TOKEN
        told = fences.read_told(request.body)
        if told is None:
            return _NOT_UNDERSTOOD
        return self._stopped(told, way="told")

    def _stop_code(self, request: Request) -> Response | asyncio.Future[Response]:
        raw = _object(request.body)
        number, code = raw.get("number"), raw.get("code")
        if not isinstance(number, str) or not isinstance(code, str):
            return _NOT_UNDERSTOOD
        # The right code is never kept waiting: else whoever guesses all the time would disarm it.
        if not self.answerer.states.order_of_code(number, code):
            return _WRONG_CODE if self.tries.take(self.steady_s()) else _TOO_OFTEN
        fence = Fence(
            number=number,
            stopped_epoch=TAKEN_BACK_EPOCH,
            withdrawn=True,
            at=self.answerer.now(),
            by=None,
            because="emergency code",
        )
        return self._stopped(fence, way="code")

    def _stopped(self, fence: Fence, *, way: str) -> asyncio.Future[Response]:
        # In memory first: the door must open even where the disk refuses. And no phone waits
        # for the disk: it is written in a thread, and only the acknowledgement waits for that.
        if self.answerer.states.add_stop(fence):
            self.ring(fence)
        self.counts.add("stops", way=way)
        return asyncio.get_running_loop().run_in_executor(None, self._write, fence)

    def _write(self, fence: Fence) -> Response:
        """Put a stop on the disk, and say how that went."""
        try:
            standing = fences.write(self.fences, fence)
        except (OSError, CountermandError) as error:
            if isinstance(error, OSError) and disk_room.is_refused(error):
                self.counts.add("disk_refusals", what="stop")
            log_lines.error("stop.not_durable", number=fence.number, why=str(error))
            return _json({"gate": self.name, "open": True, "durable": False})
        return _json(
            {
                "gate": self.name,
                "open": True,
                "durable": True,
                "stopped_epoch": standing.stopped_epoch,
                "withdrawn": standing.withdrawn,
            }
        )

    def _open(self, request: Request) -> Response | asyncio.Future[Response]:
        if not shows_token(request, self.token):
            return _NO_TOKEN
        told = None if request.oversized else openings.read(request.body)
        if told is None:
            return _NOT_UNDERSTOOD
        if self.waiting >= _MOST_WAITING:
            return _NOT_TAKEN
        self.waiting += 1
        answer = asyncio.get_running_loop().run_in_executor(self.opening, self._opened, told)
        answer.add_done_callback(self._waits_no_more)
        return answer

    def _waits_no_more(self, answer: asyncio.Future[Response]) -> None:
        del answer
        self.waiting -= 1

    def _opened(self, told: list[Opening]) -> Response:
        outcome = self.openings.take(told)
        self.counts.add("openings", outcome=outcome.value)
        match outcome:
            case Outcome.OPEN:
                return _json({"gate": self.name, "open": True})
            case Outcome.FORGED:
                return _NOT_UNDERSTOOD
            case Outcome.NOT_WRITTEN:
                return _NOT_TAKEN

    def _ask(self, request: Request) -> Response:
        if not shows_token(request, self.token):
            return _NO_TOKEN
        raw = _object(request.body)
        login, device = raw.get("login"), raw.get("device", "")
        if not isinstance(login, str) or not isinstance(device, str):
            return _NOT_UNDERSTOOD
        given = self.answerer.answer([Door(normal_login(login), normal_device(device))])
        return _json(
            {
                "paused": given.paused,
                "order": given.order_number,
                "reason": given.reason.value,
                "device": given.device_known,
                "at": self.answerer.now().isoformat(),
            }
        )


def _json(value: dict[str, Any], status: HTTPStatus = HTTPStatus.OK) -> Response:
    return Response(status, json.dumps(value, ensure_ascii=False).encode())


def _object(body: bytes) -> dict[str, Any]:
    try:
        raw = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return raw if isinstance(raw, dict) else {}
