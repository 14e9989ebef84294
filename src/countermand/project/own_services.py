"""What services of ours answer, asked directly, as a take-back does.

A proxy for the internet, which a firm's `http_proxy` names, has no way to them.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

_DIRECTLY: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def text_at(url: str, *, longest_s: float) -> str:
    """Return what a service answers with 200 or its like. Raises OSError or HTTPException."""
    with _DIRECTLY.open(url, timeout=longest_s) as answer:
        return str(answer.read().decode("utf-8", "replace"))


def readiness_at(url: str, *, longest_s: float) -> str:
    """Return the same, also what a service says that is not ready (503)."""
    try:
        return text_at(url, longest_s=longest_s)
    except urllib.error.HTTPError as error:
        if error.code != HTTPStatus.SERVICE_UNAVAILABLE:
            raise
        with error:
            return str(error.read().decode("utf-8", "replace"))


def answer_to(url: str, body: bytes, headers: Mapping[str, str], longest_s: float) -> int:
    """Return the status of the answer to what is posted. Raises OSError or HTTPException."""
    request = urllib.request.Request(url, body, dict(headers))  # noqa: S310 - of our own settings
    try:
        with _DIRECTLY.open(request, timeout=longest_s) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code
