"""One run of one source, set by set: it is laid out beside what is known, and differences written.

The next ten thousand devices are read while those before them are written.

Called inside a transaction that the caller may still roll back. A device that the run does not
list is marked as gone, never deleted; what is known of an app changes only by stronger evidence.
Which evidence is stronger is `domain.presence.merge`; here stands the same rule in SQL, and a
differential test holds the two equal.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.db import connection

from countermand import older_objects
from countermand.devices import loading_statements as statements
from countermand.devices import said_rows
from countermand.devices.models import Device, ImportRun
from countermand.devices.said_rows import Batch, SaidRows
from countermand.domain.app_id import WantedApp
from countermand.domain.inventory import DeviceReport
from countermand.domain.presence import Presence, rhythm_of

SMALL_PART: Final = 1_000  # devices
_TURN_S: Final = 0.0001
_KNOWING: Final = frozenset({Presence.PRESENT, Presence.ABSENT})


@dataclass(slots=True)
class Tally:
    """What a run did, in numbers; per app: what is known now, and how much of it turned over."""

    known_before: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    gone: int = 0
    without_owner: int = 0
    presence: dict[str, Counter[str]] = field(default_factory=dict)
    judged_before: Counter[str] = field(default_factory=Counter)
    turned: Counter[str] = field(default_factory=Counter)
    newly_turned: Counter[str] = field(default_factory=Counter)  # not counted within a day already
    arrived: int = 0  # new, or here again

    @property
    def devices(self) -> int:
        """How many devices the run lists."""
        return self.new + self.changed + self.unchanged


@dataclass(frozen=True, slots=True)
class SpokenOf:
    """A device of which a small part of a source spoke; `is_judged`: it said what is there."""

    device_id: str
    is_gone: bool
    is_judged: bool


class Loader:
    """Takes the reports of one run: `load` first, then `close` or `end_part`."""

    def __init__(
        self,
        run: ImportRun,
        *,
        apps: Sequence[WantedApp],
        owners: Mapping[str, int],
        counted_from: datetime,
    ) -> None:
        """Load into `run`; `owners` maps folded addresses to people.

        Findings that turned since `counted_from` are counted by the guard already.
        """
        self._run = run
        self._apps = apps
        self._said = SaidRows(apps, owners, source=run.source, collected_at=run.as_of)
        self._is_first = False  # nothing of the source was known before the run
        self._is_fresh = False  # nor has the run spoken of a device twice so far
        self._facts: Final[dict[str, Any]] = {
            "source": run.source,
            "as_of": run.as_of,
            "run": run.pk,
            "now": run.started_at,
            "counted_from": counted_from,
            "cycle_s": rhythm_of(run.source).refresh_cycle.total_seconds(),
        }
        self.tally = Tally(presence={app.app_id: Counter() for app in apps})

    def load(self, reports: Iterable[DeviceReport]) -> Iterator[int]:
        """Write all reports; yield how many devices are done after each batch."""
        _executed(statements.ROOM)
        self._said.open()
        mine = Device.objects.filter(source=self._run.source)
        self._is_first = self._is_fresh = not mine.exists()
        if self._is_fresh:
            _executed(statements.FRESH, self._facts)
        with older_objects.at_rest():
            for batch in self._batches(iter(reports)):
                self._write(batch)
                yield batch.devices

    def _batches(self, reports: Iterator[DeviceReport]) -> Iterator[Batch]:
        """Read the next batch while one is written: in a thread, but only where there is a next."""
        batch = self._said.take(reports)
        if batch.reports < said_rows.BATCH:
            yield batch
            return
        with _quick_turns(), ThreadPoolExecutor(max_workers=1) as ahead:
            while batch.reports:
                coming = ahead.submit(self._said.take, reports)
                yield batch
                batch = coming.result()

    def _write(self, batch: Batch) -> None:
        """Write what differs. A device that is spoken of twice is written twice, in turn."""
        self._said.copy(batch)
        if self._is_fresh and (batch.seen_before or batch.turns > 1):
            _executed(statements.NO_LONGER_FRESH)
            self._is_fresh = False
        for turn in range(batch.turns):
            self._write_devices(turn)

    def close(self, *, left_as_they_are: Iterable[str]) -> None:
        """Mark as gone what the run does not list, except devices whose row was left out."""
        here_before = self._count_here() - self.tally.arrived + self.tally.gone
        if here_before > self.tally.known_before:
            left = {"left": list(left_as_they_are)}
            _executed(statements.WHOLE)
            missing = _executed(statements.MARK_GONE, self._facts | left)
            _executed(statements.NO_LONGER_WHOLE)
            self.tally.gone += missing
            self.tally.known_before += missing
        self._said.close()

    def end_part(self) -> tuple[SpokenOf, ...]:
        """Return the devices that a small part spoke of, nothing of a large one."""
        spoken: tuple[SpokenOf, ...] = ()
        if self.tally.devices <= SMALL_PART:
            with connection.cursor() as cursor:
                cursor.execute(statements.SPOKEN_OF)
                spoken = tuple(SpokenOf(*row) for row in cursor.fetchall())
        self._said.close()
        return spoken

    def _count_here(self) -> int:
        return Device.objects.filter(source=self._run.source, gone_at__isnull=True).count()

    def _write_devices(self, turn: int) -> None:
        """Write devices that are new or differ, their names, and what is known of apps."""
        facts = self._facts | {"turn": turn, "may_be_known": not self._is_fresh}
        if not self._is_fresh:
            _executed(statements.NEXT, facts)
        new, changed, unchanged, unowned, was_here, gone, arrived = _one(
            statements.TALLY_OF_DEVICES
        )
        self.tally.gone += gone
        self.tally.arrived += arrived
        self.tally.new += new
        self.tally.changed += changed
        self.tally.unchanged += unchanged
        self.tally.without_owner += unowned
        self.tally.known_before += was_here
        if new:
            _executed(statements.ADD_DEVICES, facts)
            _executed(statements.ADD_NAMES_OF_NEW, facts)
        if not self._is_fresh:
            _executed(statements.CHANGE_DEVICES)
            _executed(statements.DROP_NAMES)
            _executed(statements.ADD_NAMES, facts)
        if self._apps:
            self._write_observations(facts)
        if not self._is_first:  # else nobody can be missing from it
            _executed(statements.LIST)

    def _write_observations(self, facts: Mapping[str, Any]) -> None:
        """Write what is new about apps, or stronger than what is known; count all of it."""
        with connection.cursor() as cursor:
            cursor.execute(statements.OBSERVATIONS, facts)
            rows = cursor.fetchall()
        for app_id, before, now, count, newly in rows:
            self.tally.presence[app_id][now] += count
            if before in _KNOWING:
                self.tally.judged_before[app_id] += count
                self.tally.turned[app_id] += count if now != before else 0
                self.tally.newly_turned[app_id] += newly


@contextmanager
def _quick_turns() -> Iterator[None]:
    """Let a thread that the database has answered go on at once: the other one only reads.

    By default it waits 5 ms at each answer, and an answer comes with each block of a batch.
    """
    usual = sys.getswitchinterval()
    sys.setswitchinterval(_TURN_S)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


def _executed(statement: str, facts: Mapping[str, Any] | None = None) -> int:
    """Run a statement; return how many rows it touched."""
    with connection.cursor() as cursor:
        cursor.execute(statement, facts)
        return int(cursor.rowcount)


def _one(statement: str) -> tuple[int, ...]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        row = cursor.fetchone()
    if row is None:
        raise AssertionError("a count gives a row")
    return tuple(row)


def as_of_last_load(source: str) -> datetime | None:
    """Return the time of the newest export that was loaded from a source."""
    loaded = ImportRun.objects.filter(source=source, state="loaded", complete=True)
    return loaded.order_by("-as_of").values_list("as_of", flat=True).first()
