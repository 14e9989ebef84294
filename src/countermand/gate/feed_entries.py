"""What is known of doors, followed: by one gate of those that share a data folder.

Entries are read level by level: everything above the version that the table has. Versions are in
the order of commits, so nothing can appear below. Whatever was lost all the same shows in a
tally of all entries and is healed by reading them all.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import lmdb
import psycopg

from countermand.gate import disk_room, feed_rows, log_lines
from countermand.gate.damage_note import DamageNote
from countermand.gate.feed import Follower, Source, head_version
from countermand.gate.machine_time import MachineTime
from countermand.gate.table import FeedRow, Table

TALLY_EVERY_MS: Final = 60_000
# Entries of one order lie far apart in the table: a small batch puts nearly all of it on the disk.
_BATCH: Final = 100_000
# From here on, a table of which as much as a half has changed is read anew.
_MANY: Final = 20_000
# Before a disk that took nothing is tried again.
_REST_MS: Final = 10_000
# Of what `feed_rows` understands: what nobody does is in no table, and would differ for ever.
_TALLY: Final = """
    SELECT (SELECT version FROM enforcement_feedhead WHERE id = 1), count(*),
           coalesce(bit_xor(('x' || left(checksum, 16))::bit(64)::bigint), 0),
           EXISTS (SELECT FROM enforcement_doorentry WHERE (version, id) > (%s, %s))
    FROM enforcement_doorentry
    WHERE NOT deleted AND checksum ~* '^[0-9a-f]{32}$' AND octet_length(order_number) <= 12
"""


class EntriesFollower(Follower):
    """Keeps the table of doors as the database has it."""

    def __init__(
        self,
        source: Source,
        *,
        table: Table,
        time: MachineTime,
        met_elsewhere: DamageNote | None = None,
    ) -> None:
        """Follow into `table`; `met_elsewhere` says that another gate met damage in it."""
        super().__init__(source, name="entries")
        self._met_elsewhere = met_elsewhere
        self._table = table
        self._time = time
        self._tallied_at_ms: int | None = None
        self._read_all_at_ms: int | None = None
        self._damage_seen = 0
        self._rests_until_ms = 0
        self.disk_refuses = False

    def look(self, connection: psycopg.Connection[Any]) -> None:
        """Read what is above the table's version, then heal what does not add up.

        While the disk takes nothing, it is tried again now and then.
        """
        if self.disk_refuses and self._time.since_boot_ms() < self._rests_until_ms:
            return
        try:
            if self.disk_refuses:
                self._table.require_room(disk_room.A_LITTLE)
            self._follow_entries(connection)
        except OSError as error:
            if not disk_room.is_refused(error):
                raise
            self._rest(error)
        else:
            self.disk_refuses = False

    def _rest(self, error: OSError) -> None:
        self.disk_refuses = True
        self._rests_until_ms = self._time.since_boot_ms() + _REST_MS
        self._source.counts.add("disk_refusals", what="entries")
        log_lines.error("table.not_written", why=str(error), consequence="it is tried again")

    def _follow_entries(self, connection: psycopg.Connection[Any]) -> None:
        head = head_version(connection)
        if self._is_due(self._read_all_at_ms) and (
            self._damage() > self._damage_seen
            or (self._met_elsewhere is not None and self._met_elsewhere.is_there())
        ):
            self._read_all(connection, why="whoever answers met a damaged page")
            return
        try:
            why = self._why_all(connection, head)
            if not why:
                self._read_above(connection)
        except lmdb.Error as error:
            self._table.require_room()  # a full disk has spoilt nothing
            # Pages that the disk has spoiled: written anew they are sound, and nothing is missing.
            self._source.counts.add("doubts", kind="table_damaged")
            why = f"the table is damaged: {error}"
        if why:
            self._read_all(connection, why=why)
            return
        gap = self._table.place().version < head
        if gap or self._is_due(self._tallied_at_ms):
            self._tallied_at_ms = self._time.since_boot_ms()
            self._heal(connection)

    def _why_all(self, connection: psycopg.Connection[Any], head: int) -> str:
        """Return why all is to be read and not what is new alone, or nothing."""
        place = self._table.place()
        if head < place.version:
            return "the database is older than the table"
        many = max(_MANY, place.count // 2)
        if feed_rows.waiting(connection, place.version, place.row_id, many) == many:
            # Each batch is put on the disk, where its entries lie far apart: all at once is less.
            return "many entries changed"
        return ""

    def _damage(self) -> int:
        """Return how often any process of this gate met a page that cannot be read."""
        return self._source.counts.get("doubts", kind="table_damaged")

    def _is_due(self, last_ms: int | None) -> bool:
        return last_ms is None or self._time.since_boot_ms() - last_ms >= TALLY_EVERY_MS

    def _read_above(self, connection: psycopg.Connection[Any]) -> None:
        place = self._table.place()
        version, row_id = place.version, place.row_id
        while not self._stop.is_set():
            rows, version, row_id = feed_rows.changed(connection, version, row_id, _BATCH)
            if not rows:
                return
            self._table.apply(self._understood(rows), version=version, row_id=row_id)

    def _heal(self, connection: psycopg.Connection[Any]) -> None:
        place = self._table.place()
        row = connection.execute(_TALLY, [place.version, place.row_id]).fetchone()
        if row is None or row[3]:
            return  # rows came meanwhile: they are read first, and the tally waits for its turn
        head, count, folded, _ = row
        if (count, folded) != (place.count, place.folded):
            self._read_all(connection, why="the tally differs")
        elif (head or 0) > place.version:
            # Whatever these versions held is gone again.
            self._table.apply((), version=head, row_id=_LAST_ID)

    def _read_all(self, connection: psycopg.Connection[Any], *, why: str) -> None:
        log_lines.warning("table.read_anew", why=why)
        self._source.counts.add("feed", follower=self._name, outcome="read_anew")
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            head = head_version(connection)
            try:
                entries = self._understood(feed_rows.everything(connection))
                self._table.replace_all(entries, version=head, row_id=_LAST_ID)
            except lmdb.Error as error:
                self._table.require_room()
                # What holds the pages together is spoiled: nothing can be written any more.
                self._source.counts.add("doubts", kind="table_damaged")
                log_lines.error("table.damaged", why=str(error), consequence="a new file is filled")
                entries = self._understood(feed_rows.everything(connection))
                self._table.replace_file(entries, version=head, row_id=_LAST_ID)
        self._damage_seen = self._damage()
        if self._met_elsewhere is not None:
            self._met_elsewhere.take()  # not before: what failed is tried again
        self._read_all_at_ms = self._time.since_boot_ms()

    def _understood(self, changes: Iterable[FeedRow | None]) -> Iterable[FeedRow]:
        for change in changes:
            if change is None:
                self._source.counts.add("doubts", kind="entry_not_understood")
            else:
                yield change


# After reading everything of a version there is nothing left of it.
_LAST_ID: Final = 2**63 - 1
