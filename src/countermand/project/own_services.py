"""What services of ours answer, asked directly, as a take-back does.

A proxy for the internet, which a firm's `http_proxy` names, has no way to them.
"""

from __future__ import annotations

import urllib.request
from typing import Final

_DIRECTLY: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def text_at(url: str, *, longest_s: float) -> str:
    """Return what a service answers with 200 or its like. Raises OSError or HTTPException."""
    with _DIRECTLY.open(url, timeout=longest_s) as answer:
        return str(answer.read().decode("utf-8", "replace"))
