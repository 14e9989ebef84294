"""What gates say on their control ports: asked all at once, bounded in time and size."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

LONGEST_S: Final = 2.0
# 503 is what a gate says of itself that could refuse nobody; what it counted is true all the same.
_ANSWERS: Final = (200, 503)


def ask_all(
    gates: Sequence[str], path: str, *, token: str, largest: int
) -> dict[str, dict[str, Any]]:
    """Ask all gates at once, for two seconds at most; those that do not answer are left out."""
    said: dict[str, dict[str, Any]] = {}

    def ask(gate: str) -> None:
        answer = get(f"{gate.rstrip('/')}{path}", token, largest=largest)
        if answer:
            said[gate] = answer

    threads = [threading.Thread(target=ask, args=(gate,), daemon=True) for gate in gates]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LONGEST_S)
    return {gate: said[gate] for gate in gates if gate in said}


def get(url: str, token: str, *, largest: int) -> dict[str, Any]:
    """Return the object that a gate answers; empty when it does not answer with one.

    Of an answer, `largest` bytes are read.
    """
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=LONGEST_S)
    try:
        connection.request("GET", parts.path, headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        raw = json.loads(answer.read(largest)) if answer.status in _ANSWERS else {}
    except (OSError, http.client.HTTPException, ValueError, RecursionError):
        return {}
    finally:
        connection.close()
    return raw if isinstance(raw, dict) else {}
