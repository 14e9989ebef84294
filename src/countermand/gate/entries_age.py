"""How long what is known of doors has been behind the database, whoever writes the table.

A person may have said meanwhile that the app is gone, and a door that does not learn of it stays
shut. So what is behind for as long as a list of orders is good for shuts nothing any more.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class EntriesAge:
    """Which version the table has yet to reach, and since when; instants are since boot."""

    _wanted: int = 0
    _since_ms: int | None = None
    went_along: bool = False  # at least once

    def note(self, *, head: int, has: int, now_ms: int) -> None:
        """Take note of the newest version there is, and of the one that the table has."""
        if has >= head:
            self._since_ms, self.went_along = None, True
        elif self._since_ms is None or has >= self._wanted:
            self._wanted, self._since_ms = head, now_ms

    def behind_ms(self, now_ms: int) -> int:
        """Return how long it has been behind, 0 where it goes along."""
        return 0 if self._since_ms is None else max(0, now_ms - self._since_ms)
