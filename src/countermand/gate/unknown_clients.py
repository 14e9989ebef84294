"""Which devices doors saw and know nothing of: the newest thousand, for a day, in memory alone.

They are there so that a person can say on which device they are. Kept is a name of the device, how
it names itself, the login and when it was seen last: nothing of the mail, and no password. They
are in no log; the control port shows them to whoever holds the gate's token.

A login in front of a proxy may be anybody's invention, so what is taken in has a bound in number
and by the second; reading names costs something, and a flood of strangers must not slow a door.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from countermand.domain.device_key import door_key
from countermand.gate.answerer import Door

MOST: Final = 1_000
MOST_NEW_A_SECOND: Final = 50
KEPT: Final = timedelta(days=1)
# Kinds of `domain.inventory.AliasKind`, which no gate loads.
EAS_DEVICE_ID: Final = "eas_device_id"
DEVICE_PASSWORD: Final = "device_password"  # noqa: S105 - the name of a kind
_LONGEST_LOGIN: Final = 320
_LONGEST_DEVICE: Final = 300
_TELL_AGAIN: Final = timedelta(minutes=1)


@dataclass(slots=True)
class Client:
    """One device that asked; `told_at` is when its process last told the first one of it."""

    kind: str
    value: str
    login: str
    at: datetime
    told_at: datetime | None = None


class UnknownClients:
    """What one process saw; the first process also takes in what the others saw."""

    def __init__(self) -> None:
        """Begin with none."""
        self._seen: dict[bytes, Client] = {}  # the longest ago first
        self._room = MOST_NEW_A_SECOND

    def see(
        self, key: bytes, kind: str, door: Callable[[], Door | None], now: Callable[[], datetime]
    ) -> None:
        """Keep who asked; `door` and `now` are called only where that is worth their time."""
        client = self._seen.pop(key, None)
        if client is not None:
            client.at = now()
            self._seen[key] = client
            return
        if self._room <= 0:
            return
        self._room -= 1
        named = door()
        if named is not None and _is_presentable(named):
            self._keep(key, Client(kind, named.device, named.login, now()))

    def forget(self, now: datetime) -> None:
        """Let go of what was seen too long ago, and make room for new ones; once a second."""
        self._room = MOST_NEW_A_SECOND
        while self._seen:
            oldest = next(iter(self._seen))
            if now - self._seen[oldest].at <= KEPT:
                return
            del self._seen[oldest]

    def shown(self, is_known: Callable[[bytes], bool]) -> list[dict[str, str]]:
        """Return those that are still not known, the newest first, as the control port says."""
        return [
            {
                "kind": each.kind,
                "value": each.value,
                "login": each.login,
                "at": each.at.isoformat(),
            }
            for key, each in reversed(self._seen.items())
            if not is_known(key)
        ]

    def take_changes(self) -> list[tuple[str, str, str, int]]:
        """Return some of what is new, for another process to take in; the rest waits its turn."""
        changes: list[tuple[str, str, str, int]] = []
        for each in reversed(self._seen.values()):
            if len(changes) == MOST_NEW_A_SECOND:
                break
            if each.told_at is None or each.at - each.told_at >= _TELL_AGAIN:
                each.told_at = each.at
                changes.append((each.kind, each.value, each.login, int(each.at.timestamp())))
        return changes

    def add_changes(self, changes: Iterable[Any]) -> None:
        """Take in what another process saw."""
        for kind, value, login, at_s in changes:
            seen = Client(kind, value, login, datetime.fromtimestamp(at_s, UTC))
            key = door_key(login, value)
            before = self._seen.pop(key, None)
            if before is not None and before.at > seen.at:
                seen = before
            self._keep(key, seen)

    def _keep(self, key: bytes, client: Client) -> None:
        self._seen[key] = client
        if len(self._seen) > MOST:
            del self._seen[next(iter(self._seen))]


def _is_presentable(door: Door) -> bool:
    return (
        0 < len(door.login) <= _LONGEST_LOGIN
        and 0 < len(door.device) <= _LONGEST_DEVICE
        and door.login.isprintable()
    )
