"""Telling doors of an order about everybody: judged anew, and taken over by a gate, beside floors.

The world is that of `bulk_base`, and an order in force that named every device in scope not proven
to be without the app; doors know every device that is there. In each round, one after the other:

- one pass of SQL that judges every device and only counts: the floor of the first two figures;
- `reevaluation_ratio`: a source looked anew at one device in a hundred of those that were named,
  and the entries of the order are brought to what is known now: all are judged, differences are
  sealed and written;
- `gate_table_ratio`: a gate takes the entries of all devices over that have the app (which are
  those whose doors are shut), into the table that all its workers answer from, durable on its disk;
  `gate_table_all_ratio` is the same for every entry of the order, also of devices that no source
  can look into, whose doors stay open: three times as many;
- `changed_10k_ratio`: until that table has 10,000 changed entries (fewer where there are fewer),
  beside PostgreSQL's own update of the same rows, by which they were changed.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from benchmarks.bulk_load import timed
from benchmarks.ledger_house import LedgerHouse

NUMBER: Final = "CM-7Q4K"
_CHANGED: Final = 10_000
_KNOWING_DEVICES: Final = "gate-that-knew-devices"
_ALL_BUT_SHUT: Final = "gate-that-knew-the-others"
# Everybody was told four days ago, and told last two hours ago; the deadline was an hour ago.
_ORDER: Final = """
    INSERT INTO orders_order (number, mode, enforcement, phase, author_id, created_at, released_at,
        revision_number, epoch)
    VALUES (%(order)s, 'live', 'gate', 'enforcing', 1, %(now)s, %(now)s, 1, 1)
"""
_MAILING: Final = """
    INSERT INTO notices_mailing (order_number, mode, phase, epoch, stopped_epoch, withdrawn,
        not_after, digest, revision_number)
    VALUES (%(order)s, 'live', 'enforcing', 1, 0, false, 'infinity', repeat('d', 64), 1)
"""
_TEMPLATE: Final = """
    INSERT INTO notices_template (id, order_number, revision_number, kind, variant, language,
        subject, text, html, sha256) VALUES (1, %(order)s, 1, 'notice', '', 'hi', '', '', '', '')
"""
_TOLD: Final = """
    INSERT INTO orders_tolddevice (order_id, person_id, device_id, step, own_deadline_at)
    SELECT %(order)s, device.person_id, device.id, 0, %(now)s - interval '1 hour'
    FROM devices_device AS device
    LEFT JOIN devices_observation AS seen
        ON seen.device_id = device.id AND seen.app_id = 'tiktok'
    WHERE device.gone_at IS NULL AND device.person_id IS NOT NULL AND device.reads_mail
      AND coalesce(seen.presence, 'unknown') = ANY(%(presences)s)
"""
_NOTICES: Final = """
    INSERT INTO notices_notice (order_number, revision_number, kind, step, person_id, address,
        language, wave, template_id, values, message_id, dated_at, due_at, state, exposure, epoch,
        attempts, accepted_at)
    SELECT %(order)s, 1, kind, 0, told.person_id, 'p' || told.person_id || '@example.org', 'hi', 0,
        1, '{}', '<' || told.person_id || kind || '@example.org>', %(now)s, %(now)s, 'sent', 2, 1,
        1, %(now)s - CASE WHEN kind = 'notice' THEN interval '100 hours' ELSE interval '2 hours' END
    FROM (SELECT person_id FROM orders_tolddevice WHERE order_id = %(order)s
          EXCEPT SELECT person_id FROM notices_notice WHERE order_number = %(order)s) AS told,
        (VALUES ('notice'), ('lock')) AS k (kind)
"""
# Another list of the same device, a second later, which says the same; one device in a hundred.
_LOOK_ANEW: Final = """
    UPDATE devices_observation SET inventory_at = inventory_at + interval '1 second',
        collected_at = collected_at + interval '1 second'
    WHERE device_id IN (
        SELECT device_id FROM orders_tolddevice WHERE order_id = %s AND device_id %% 100 = %s)
"""
_SOME: Final = """
    SELECT array_agg(id) FROM (
        SELECT id FROM enforcement_doorentry WHERE order_number = %s AND NOT deleted
        ORDER BY md5(id::text) LIMIT %s
    ) AS chosen
"""
_UPDATE: Final = """
    UPDATE enforcement_doorentry SET evidence_at = evidence_at + interval '1 second',
        version = %s WHERE id = ANY(%s)
"""
_ENTRIES: Final = "SELECT count(*) FROM enforcement_doorentry WHERE order_number = %s"
_NEXT_VERSION: Final = "UPDATE enforcement_feedhead SET version = version + 1 RETURNING version"


def measured(house: LedgerHouse, *, now: datetime, rounds: int) -> dict[str, Any]:
    """Return the ratios, each the median of its rounds."""
    from benchmarks.bulk_base import evaluated  # noqa: PLC0415 - asks this module in turn

    world = _World(house, now)
    evaluations, anew, taken, taken_all, updates, caught_up = [], [], [], [], [], []
    for number in range(rounds):
        evaluations.append(timed(lambda: evaluated(house.connection, now)))
        anew.append(world.judge_anew(number))
        taken_all.append(world.take_over(_KNOWING_DEVICES))
        taken.append(world.take_over(_ALL_BUT_SHUT))
        update, caught = world.change_some()
        updates.append(update)
        caught_up.append(caught)
    figures = {
        "reevaluation_ratio": _ratio(anew, evaluations),
        "gate_table_ratio": _ratio(taken, evaluations),
        "gate_table_all_ratio": _ratio(taken_all, evaluations),
        "changed_10k_ratio": _ratio(caught_up, updates),
    }
    seconds = {
        "evaluation": evaluations,
        "judged_anew": anew,
        "gate_takes_over": taken,
        "gate_takes_over_all": taken_all,
        "update": updates,
        "gate_catches_up": caught_up,
    }
    print(f"doors: {json.dumps({k: round(statistics.median(v), 3) for k, v in seconds.items()})}")
    return figures


def _ratio(over: list[float], under: list[float]) -> float:
    return round(statistics.median(a / b for a, b in zip(over, under, strict=True)), 2)


class _World:
    """The order, its entries, and a gate that knew every device before it knew the order."""

    def __init__(self, house: LedgerHouse, now: datetime) -> None:
        """Tell everybody, and make the entries once."""
        from benchmarks import door_order  # noqa: PLC0415 - loads Django
        from countermand.enforcement import known_doors  # noqa: PLC0415

        self._house, self._now = house, now
        self._doors = door_order
        door_order.give_columns_their_defaults(house.connection)
        self._publisher = door_order.publisher_of(house.folder)
        # One door a device, as in every figure before: their UPNs would make two of each.
        house.connection.execute("UPDATE people_person SET logins = '{}'")
        print(f"doors: {known_doors.publish()}")
        for statement in (_ORDER, _MAILING, _TEMPLATE):
            house.connection.execute(statement, {"order": NUMBER, "now": now})
        self._keep(_KNOWING_DEVICES)
        self._tell("unknown", "unobservable")
        self._keep(_ALL_BUT_SHUT)
        self._tell("present")

    def _tell(self, *presences: str) -> None:
        """Name the devices of which this is known to their people, and tell doors."""
        facts = {"order": NUMBER, "now": self._now, "presences": list(presences)}
        connection = self._house.connection
        connection.execute(_TOLD, facts)
        # A mail is born unsent; these were sent long ago.
        connection.execute("ALTER TABLE notices_notice DISABLE TRIGGER USER")
        connection.execute(_NOTICES, facts)
        connection.execute("ALTER TABLE notices_notice ENABLE TRIGGER USER")
        connection.execute("ANALYZE")
        seconds = timed(self._compile)
        [[entries]] = connection.execute(_ENTRIES, [NUMBER]).fetchall()
        print(f"doors: {seconds:.2f} s until there were {entries} entries of the order")

    def _keep(self, name: str) -> None:
        """Keep the table of a gate as it is now."""
        folder = self._house.folder.path / "gate"
        with self._gate(folder) as gate:
            gate.caught_up()
        shutil.copytree(folder, folder.with_name(name))

    def _compile(self) -> Any:
        return self._doors.compiled(NUMBER, publisher=self._publisher, now=self._now)

    def judge_anew(self, number: int) -> float:
        """Return how long a compilation takes after some devices were looked at anew."""
        changed = self._house.connection.execute(_LOOK_ANEW, [NUMBER, number]).rowcount
        found: list[Any] = []
        seconds = timed(lambda: found.append(self._compile()))
        if not 0 < found[0].written <= changed:
            raise AssertionError(f"{changed} devices were looked at, {found[0]}")
        return seconds

    def take_over(self, before: str) -> float:
        """Return how long a gate that knew as much before needs to know everything."""
        folder = self._house.folder.path / "gate"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(folder.with_name(before), folder)
        os.sync()  # the copy is no work of the gate's
        with self._gate(folder) as gate:
            return gate.caught_up()

    def change_some(self) -> tuple[float, float]:
        """Return how long PostgreSQL needs to update some entries, and a gate to have them."""
        connection = self._house.connection
        [[some]] = connection.execute(_SOME, [NUMBER, _CHANGED]).fetchall()

        def update() -> None:
            with connection.transaction():
                [[version]] = connection.execute(_NEXT_VERSION).fetchall()
                connection.execute(_UPDATE, [version, some])

        with self._gate(self._house.folder.path / "gate") as gate:
            seconds = timed(update), gate.caught_up()
        self._compile()  # so that the next round finds nothing of this one
        return seconds

    @contextmanager
    def _gate(self, folder: Path) -> Iterator[_Gate]:
        gate = _Gate(self._house, folder)
        try:
            yield gate
        finally:
            gate.table.close()


class _Gate:
    """What of a gate follows the entries, woken by hand."""

    def __init__(self, house: LedgerHouse, folder: Path) -> None:
        """Open the table, and be ready to read."""
        from countermand.gate.counts import Counts  # noqa: PLC0415
        from countermand.gate.feed import Source  # noqa: PLC0415
        from countermand.gate.feed_entries import EntriesFollower  # noqa: PLC0415
        from countermand.gate.machine_time import ThisMachine  # noqa: PLC0415
        from countermand.gate.table import Table  # noqa: PLC0415

        self._connection = house.connection
        self._written_at = 0.0
        self.table = _noting(Table, self._note)(folder)
        source = Source(url=lambda: house.url, poll_s=1.0, counts=Counts())
        self._follower = EntriesFollower(source, table=self.table, time=ThisMachine())

    def caught_up(self) -> float:
        """Return how long until the table has all that is committed, for all who read it.

        What the gate does afterwards, once a minute, is no part of it: it adds all entries up.
        """
        started = time.perf_counter()
        self._follower.look(self._connection)
        [[head]] = self._connection.execute("SELECT version FROM enforcement_feedhead").fetchall()
        if self.table.place().version != head:
            raise AssertionError("the gate is behind")
        return self._written_at - started

    def _note(self) -> None:
        self._written_at = time.perf_counter()


def _noting(table: type[Any], note: Callable[[], None]) -> type[Any]:
    """Return such a table that tells when something was written durably."""

    class Noting(table):  # type: ignore[misc]
        def apply(self, *rows: Any, **to: Any) -> None:
            super().apply(*rows, **to)
            note()

        def replace_all(self, *rows: Any, **to: Any) -> None:
            super().replace_all(*rows, **to)
            note()

    return Noting
