"""Gates that can be reached are told at once; the others read the fence or see a state expire."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from countermand.stop.fence import Fence

_LONGEST_S: Final = 0.3
_OK: Final = range(200, 300)
_LONGEST_STATUS_LINE: Final = 1024


@dataclass(frozen=True, slots=True)
class GateAnswer:
    """Whether one gate took the stop over; `why` says what kept it from it."""

    url: str
    acknowledged: bool
    took_ms: float
    why: str = ""


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
        self._threads = [
            threading.Thread(target=self._tell, args=(url, attempts), daemon=True)
            for url in self._urls
        ]
        for thread in self._threads:
            thread.start()

    def answers(self, longest_s: float = _LONGEST_S) -> tuple[GateAnswer, ...]:
        """Wait until all answered or `longest_s` is over, counted from the beginning."""
        for thread in self._threads:
            thread.join(max(0.0, self._begun + longest_s - time.monotonic()))
        late_ms = longest_s * 1000
        return tuple(
            self._answers.get(url) or GateAnswer(url, False, late_ms, "no answer in time")  # noqa: FBT003
            for url in self._urls
        )

    def _tell(self, url: str, attempts: Sequence[Attempt]) -> None:
        why = ""
        for attempt in attempts:
            try:
                why = _post(url.rstrip("/") + attempt.path, attempt)
            except Exception as error:  # noqa: BLE001 - whatever it is, the stop goes on and says so
                why = f"{type(error).__name__}: {error}"
            if not why:
                break
        took_ms = (time.monotonic() - self._begun) * 1000
        self._answers[url] = GateAnswer(url, acknowledged=not why, took_ms=took_ms, why=why)


def _post(url: str, attempt: Attempt) -> str:
    """Post one attempt; returns what was wrong, or nothing. Raises OSError or ValueError."""
    # Loaded here: the fence must be durable before anything costs time.
    from urllib.parse import urlsplit  # noqa: PLC0415

    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port
    ask = _asked_with_tls if parts.scheme == "https" else _asked
    status = ask(host, port, parts.path, attempt)
    return "" if status in _OK else f"HTTP {status}"


def _asked(host: str, port: int | None, path: str, attempt: Attempt) -> int:
    """Return the status of the answer; a whole HTTP library takes longer to load than the rest."""
    import socket  # noqa: PLC0415

    lines = [
        f"POST {path} HTTP/1.1",
        f"Host: {host}",
        "Connection: close",
        *(f"{name}: {value}" for name, value in _headers(attempt).items()),
        f"Content-Length: {len(attempt.body)}",
    ]
    head = "".join(f"{line}\r\n" for line in lines).encode("latin-1")
    with socket.create_connection((host, port or 80), timeout=_LONGEST_S) as connection:
        connection.sendall(head + b"\r\n" + attempt.body)
        said = b""
        while b"\r\n" not in said and len(said) < _LONGEST_STATUS_LINE:
            piece = connection.recv(_LONGEST_STATUS_LINE)
            if not piece:
                break
            said += piece
    version, _, rest = said.partition(b" ")
    if not version.startswith(b"HTTP/1."):
        raise ValueError("the answer is no HTTP")
    return int(rest[:3])


def _asked_with_tls(host: str, port: int | None, path: str, attempt: Attempt) -> int:
    from http.client import HTTPSConnection  # noqa: PLC0415

    connection = HTTPSConnection(host, port, timeout=_LONGEST_S)
    try:
        connection.request("POST", path, body=attempt.body, headers=_headers(attempt))
        return connection.getresponse().status
    finally:
        connection.close()


def _headers(attempt: Attempt) -> dict[str, str]:
    headers = {"Content-Type": "application/json"}
    if attempt.authorization:
        headers["Authorization"] = attempt.authorization
    return headers
