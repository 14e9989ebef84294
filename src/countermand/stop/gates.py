"""Gates, and machines that only send, are told at once; those that cannot be reached find out.

A gate sees its list of orders expire. A sender gets no permit once the database knows.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from countermand.stop.fence import Fence

if TYPE_CHECKING:
    import socket

_LONGEST_S: Final = 0.3
_LONGEST_HERE_S: Final = 0.005
_OK: Final = range(200, 300)
_LONGEST_ANSWER: Final = 4096
_TAKEN_OVER: Final = 200
_FORBIDDEN: Final = 403


class Obstacle(StrEnum):
    """What kept a gate from taking a stop over."""

    NO_ANSWER = "no_answer"  # none, none in time, or none that is HTTP
    TOKEN_REFUSED = "token_refused"  # noqa: S105 - it answers, and its token is another one
    REFUSED = "refused"  # it answers, and does not say yes


@dataclass(frozen=True, slots=True)
class GateAnswer:
    """Whether one gate took the stop over; `obstacle` and `why` say what kept it from it.

    Where it was told in two ways, the obstacle is that of the first, and `why` is of the last.
    Where its disk took nothing it is not `durable`: it forgets the stop when it ends. One that said
    nothing is not either. A machine that only sends names its `place`, how many senders it `ended`,
    and those that it could not prove dead.
    """

    url: str
    acknowledged: bool
    took_ms: float
    why: str = ""
    durable: bool = True
    obstacle: Obstacle | None = None
    place: str = ""
    ended: int = 0
    living: tuple[str, ...] = ()

    @property
    def is_proof(self) -> bool:
        """Whether every sender of that place is dead, or was started with the stop on its disk."""
        return self.acknowledged and self.durable and bool(self.place) and not self.living


def proven_places(answers: Iterable[GateAnswer]) -> frozenset[str]:
    """Return the places that proved that their senders are dead, or have read the stop."""
    return frozenset(each.place for each in answers if each.is_proof)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One way to tell a gate."""

    path: str
    body: bytes
    authorization: str = ""


def with_token(fence: Fence, token: str) -> Attempt:
    """Tell by the secret between this machine and its gates."""
    return Attempt("/stop", fence.to_json(), f"Bearer {token}")


def with_code(number: str, code: str) -> Attempt:
    """Tell by the emergency code of an order: itself the proof, so no token goes along."""
    return Attempt("/stop-code", json.dumps({"number": number, "code": code}).encode())


class Telling:
    """Gates being told, each in its own thread, all bounded by one deadline."""

    def __init__(self, urls: Sequence[str], attempts: Sequence[Attempt]) -> None:
        """Begin to tell every gate, one way after the other until it takes it over."""
        self._begun = time.monotonic()
        self._answers: dict[str, GateAnswer] = {}
        self._urls = tuple(dict.fromkeys(urls))
        told = [_told_at_once(url, attempts[0]) if attempts else None for url in self._urls]
        self._threads = [
            threading.Thread(target=self._tell, args=(url, attempts, begun), daemon=True)
            for url, begun in zip(self._urls, told, strict=True)
        ]
        for thread in self._threads:
            thread.start()

    def answers(self, longest_s: float = _LONGEST_S) -> tuple[GateAnswer, ...]:
        """Wait until all answered or `longest_s` is over, counted from the beginning."""
        for thread in self._threads:
            thread.join(max(0.0, self._begun + longest_s - time.monotonic()))
        late_ms = longest_s * 1000
        return tuple(self._answers.get(url) or _silent(url, late_ms) for url in self._urls)

    def _tell(self, url: str, attempts: Sequence[Attempt], begun: socket.socket | None) -> None:
        why, said, obstacles = "", dict[str, Any](), list[Obstacle]()
        for attempt in attempts:
            told, begun = begun, None  # of the first attempt
            try:
                status, said = _answer(told) if told else _post(url, attempt)
            except Exception as error:  # noqa: BLE001 - whatever it is, the stop goes on and says so
                why = f"{type(error).__name__}: {error}"
                obstacles.append(Obstacle.NO_ANSWER)
                continue
            if status in _OK:
                why, obstacles = "", []
                break
            why = f"HTTP {status}"
            is_stranger = bool(attempt.authorization) and status == _FORBIDDEN
            obstacles.append(Obstacle.TOKEN_REFUSED if is_stranger else Obstacle.REFUSED)
        took_ms = (time.monotonic() - self._begun) * 1000
        self._answers[url] = GateAnswer(
            url,
            acknowledged=not why,
            took_ms=took_ms,
            why=why,
            # One that says nothing of its disk is older, and means yes.
            durable=said.get("durable") is not False and not why,
            obstacle=obstacles[0] if obstacles else None,
            **({} if why else _senders_in(said)),
        )


def _silent(url: str, late_ms: float) -> GateAnswer:
    why = "no answer in time"
    return GateAnswer(
        url,
        acknowledged=False,
        took_ms=late_ms,
        why=why,
        durable=False,
        obstacle=Obstacle.NO_ANSWER,
    )


def _told_at_once(url: str, attempt: Attempt) -> socket.socket | None:
    """Tell a gate on this machine before any thread runs; its answer is still to be read.

    A thread that has just begun may wait for its turn longer than all the rest takes. Returns None
    where a thread has to tell: the gate is elsewhere, or something is wrong, which it will find.
    """
    import socket  # noqa: PLC0415 - the fence must be durable before anything costs time

    try:
        scheme, host, port, path = _place(url, attempt)
        if scheme != "http" or not host.startswith("127."):
            return None
        connection = socket.socket()
    except (OSError, ValueError):
        return None
    try:
        connection.settimeout(_LONGEST_HERE_S)
        connection.connect((host, port or 80))
        connection.settimeout(_LONGEST_S)
        connection.sendall(_request(host, path, attempt))
    except (OSError, ValueError):
        connection.close()
        return None
    return connection


def _senders_in(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a machine that only sends says of its senders; nothing where it is no such."""
    place, ended, living = said.get("place"), said.get("ended"), said.get("living")
    if not (isinstance(place, str) and type(ended) is int and isinstance(living, list)):
        return {}
    return {"place": place, "ended": ended, "living": tuple(map(str, living))}


def _post(url: str, attempt: Attempt) -> tuple[int, dict[str, Any]]:
    """Post one attempt, and return what `_answer` does. Raises OSError or ValueError."""
    import socket  # noqa: PLC0415 - see above

    scheme, host, port, path = _place(url, attempt)
    if scheme == "https":
        return _asked_with_tls(host, port, path, attempt)
    with socket.create_connection((host, port or 80), timeout=_LONGEST_S) as connection:
        connection.sendall(_request(host, path, attempt))
        return _answer(connection)


def _place(url: str, attempt: Attempt) -> tuple[str, str, int | None, str]:
    from urllib.parse import urlsplit  # noqa: PLC0415 - see above

    parts = urlsplit(url.rstrip("/") + attempt.path)
    return parts.scheme, parts.hostname or "", parts.port, parts.path


def _request(host: str, path: str, attempt: Attempt) -> bytes:
    lines = [
        f"POST {path} HTTP/1.1",
        f"Host: {host}",
        "Connection: close",
        *(f"{name}: {value}" for name, value in _headers(attempt).items()),
        f"Content-Length: {len(attempt.body)}",
    ]
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n" + attempt.body


def _answer(connection: socket.socket) -> tuple[int, dict[str, Any]]:
    """Return the status of the answer, and what it says.

    A whole HTTP library takes longer to load than all the rest.
    """
    with connection:
        said = b""
        while not _is_whole(said) and len(said) < _LONGEST_ANSWER:
            try:
                piece = connection.recv(_LONGEST_ANSWER)
            except TimeoutError:
                if b"\r\n" not in said:
                    raise
                break
            if not piece:
                break
            said += piece
    version, _, rest = said.partition(b" ")
    if not version.startswith(b"HTTP/1."):
        raise ValueError("the answer is no HTTP")
    return int(rest[:3]), _object(said.partition(b"\r\n\r\n")[2])


def _is_whole(said: bytes) -> bool:
    """Tell whether no more has to be read: a gate's yes is one flat object, a no only a status."""
    head, _, body = said.partition(b"\r\n\r\n")
    if b"\r\n" not in said:
        return False
    return not head.partition(b" ")[2].startswith(str(_TAKEN_OVER).encode()) or b"}" in body


def _object(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _asked_with_tls(
    host: str, port: int | None, path: str, attempt: Attempt
) -> tuple[int, dict[str, Any]]:
    from http.client import HTTPSConnection  # noqa: PLC0415

    connection = HTTPSConnection(host, port, timeout=_LONGEST_S)
    try:
        headers = {name: value.encode() for name, value in _headers(attempt).items()}
        connection.request("POST", path, body=attempt.body, headers=headers)
        answer = connection.getresponse()
        return answer.status, _object(answer.read(_LONGEST_ANSWER))
    finally:
        connection.close()


def _headers(attempt: Attempt) -> dict[str, str]:
    headers = {"Content-Type": "application/json"}
    if attempt.authorization:
        headers["Authorization"] = attempt.authorization
    return headers
