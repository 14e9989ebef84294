"""Gates are asked what they saw and know nothing of: a person may say on which device it is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from countermand.devices.links import SeenClient
from countermand.domain.inventory import AliasKind
from countermand.enforcement.gate_answers import ask_all

_LARGEST_ANSWER: Final = 2 * 1024 * 1024
_MOST: Final = 1_000  # of one gate
_LONGEST_LOGIN: Final = 320
_LONGEST_VALUE: Final = 300
_AT_DOORS: Final = {
    each.value: each for each in (AliasKind.EAS_DEVICE_ID, AliasKind.DEVICE_PASSWORD)
}


def ask(gates: Sequence[str], *, token: str, now: datetime) -> list[SeenClient]:
    """Ask all gates at once; what they say of times to come was seen at `now`."""
    said = ask_all(gates, "/unknown", token=token, largest=_LARGEST_ANSWER)
    clients = [raw for answer in said.values() for raw in _clients(answer)]
    return [seen for raw in clients if (seen := _seen(raw, now)) is not None]


def _clients(answer: dict[str, Any]) -> list[Any]:
    raw = answer.get("clients")
    return raw[:_MOST] if isinstance(raw, list) else []


def _seen(raw: Any, now: datetime) -> SeenClient | None:
    """Return one client as the gate says it, None where that is none."""
    if not isinstance(raw, dict):
        return None
    kind, value, login, at = (raw.get(name) for name in ("kind", "value", "login", "at"))
    if not (isinstance(value, str) and isinstance(login, str) and isinstance(at, str)):
        return None
    if kind not in _AT_DOORS or len(value) > _LONGEST_VALUE or len(login) > _LONGEST_LOGIN:
        return None
    if not (value.isprintable() and login.isprintable()):
        return None
    return SeenClient(
        login, _AT_DOORS[kind], value, program="", seen_at=min(_instant(at, now), now)
    )


def _instant(text: str, now: datetime) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return now
    return instant if instant.tzinfo is not None else now
