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
    # Loaded here: the fence must be durable before anything costs time.
    from http.client import HTTPConnection, HTTPSConnection  # noqa: PLC0415
    from urllib.parse import urlsplit  # noqa: PLC0415

    parts = urlsplit(url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=_LONGEST_S)
    headers = {"Content-Type": "application/json"}
    if attempt.authorization:
        headers["Authorization"] = attempt.authorization
    try:
        connection.request("POST", parts.path, body=attempt.body, headers=headers)
        answer = connection.getresponse()
        return "" if answer.status in _OK else f"HTTP {answer.status}"
    finally:
        connection.close()
