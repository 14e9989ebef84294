"""`python -m benchmarks.door_entries`: how long until doors know of an order about many devices.

A fresh order about DEVICES devices (1,000,000; QUICK=1: 50,000), a second look at which nothing has
changed, and 10,000 devices of which something has. Durable PostgreSQL on the disk, as `up` starts
it. Measured is the whole way (people, devices, what is known of them, the ledger, the entries).
Beside it, in the same database: one pass of SQL that judges every device (`evaluation_s`), and a
count of all that doors are to be told. The last line is one JSON object, times in seconds.
"""

from __future__ import annotations

import json
import os
import resource
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import psycopg

from benchmarks.bulk_base import evaluated
from benchmarks.ledger_house import LedgerHouse, durable_house

QUICK: Final = os.environ.get("QUICK", "") not in {"", "0"}
DEVICES: Final = int(os.environ.get("DEVICES", "50000" if QUICK else "1000000"))
CHANGED: Final = min(10_000, DEVICES // 5)
NUMBER: Final = "CM-7Q4K"
NOW: Final = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
_WAYS: Final = ("compile_fresh_s", "compile_same_s", "compile_10k_s")

# One device in forty carries the app; everybody was told, and told last, in time.
_FILL: Final = """
    INSERT INTO people_person (id, uid, name, address, language, country, zone, groups)
    SELECT n, 'p' || n, 'Person ' || n, 'p' || n || '@example.org', 'hi', 'IN', 'Asia/Kolkata',
        '{{all-staff}}' FROM generate_series(1, {devices} / 2 + 1) n;
    INSERT INTO devices_device (id, person_id, source, source_device_id, platform, ownership, name)
    SELECT n, n / 2 + 1, 'csv', 'd' || n, 'android', 'corporate', 'Phone'
        FROM generate_series(1, {devices}) n;
    INSERT INTO devices_devicealias (device_id, kind, value)
    SELECT n, 'eas_device_id', 'android' || lpad(to_hex(n), 16, '0')
        FROM generate_series(1, {devices}) n;
    INSERT INTO devices_importrun (id, source, as_of, started_at, complete, state, report)
        VALUES (1, 'csv', '{now}', '{now}', true, 'loaded', '{{}}');
    INSERT INTO devices_observation (device_id, app_id, presence, coverage, may_close,
        inventory_at, collected_at, run_id)
    SELECT n, 'tiktok', CASE WHEN n % 40 = 0 THEN 'present' ELSE 'absent' END, 'full',
        n % 40 = 0, '{now}'::timestamptz - interval '2 hours', '{now}', 1
        FROM generate_series(1, {devices}) n;
    INSERT INTO orders_order (number, mode, enforcement, phase, author_id, created_at, released_at,
        revision_number, epoch)
    VALUES ('{number}', 'live', 'gate', 'enforcing', 1, '{now}', '{now}', 1, 1);
    INSERT INTO orders_tolddevice (order_id, person_id, device_id, step, own_deadline_at)
    SELECT '{number}', n / 2 + 1, n, 0, '{now}'::timestamptz - interval '1 hour'
        FROM generate_series(1, {devices}) n;
    INSERT INTO notices_mailing (order_number, mode, phase, epoch, stopped_epoch, withdrawn,
        not_after, digest, revision_number)
    VALUES ('{number}', 'live', 'enforcing', 1, 0, false, 'infinity', repeat('d', 64), 1);
    INSERT INTO notices_template (id, order_number, revision_number, kind, variant, language,
        subject, text, html, sha256) VALUES (1, '{number}', 1, 'notice', '', 'hi', '', '', '', '');
    ALTER TABLE notices_notice DISABLE TRIGGER USER;  -- mails are born unsent; these are told
    INSERT INTO notices_notice (order_number, revision_number, kind, step, person_id, address,
        language, wave, template_id, values, message_id, dated_at, due_at, state, exposure, epoch,
        attempts, accepted_at)
    SELECT '{number}', 1, kind, 0, n, 'p' || n || '@example.org', 'hi', 0, 1, '{{}}',
        '<' || n || kind || '@example.org>', '{now}', '{now}', 'sent', 2, 1, 1,
        '{now}'::timestamptz - CASE WHEN kind = 'notice' THEN interval '100 hours'
                                    ELSE interval '2 hours' END
        FROM generate_series(1, {devices} / 2 + 1) n, (VALUES ('notice'), ('lock')) k (kind);
"""
_CHANGE: Final = """
    UPDATE devices_observation SET presence = 'absent', may_close = false
    WHERE device_id IN (SELECT n * {step} FROM generate_series(1, {changed}) n);
    UPDATE devices_observation SET collected_at = collected_at + interval '1 second',
        inventory_at = inventory_at + interval '1 second'
    WHERE device_id IN (SELECT n * {step} FROM generate_series(1, {changed}) n);
"""


def timed(what: Callable[[], Any]) -> tuple[float, Any]:
    """Return how many seconds it took, and what came of it."""
    started = time.perf_counter()
    found = what()
    return round(time.perf_counter() - started, 2), found


def fill(connection: psycopg.Connection[Any]) -> None:
    """Invent people, devices and an order that was told to all of them."""
    words = {"devices": DEVICES, "number": NUMBER, "now": NOW.isoformat()}
    connection.execute(_FILL.format(**words))
    connection.execute("ANALYZE")


def measure(house: LedgerHouse) -> dict[str, Any]:
    """Compile a fresh order, the same once more, and after 10,000 changes."""
    from benchmarks.door_order import (  # noqa: PLC0415  (loads Django)
        compiled,
        counted,
        give_columns_their_defaults,
        publisher_of,
    )

    give_columns_their_defaults(house.connection)
    seconds, _ = timed(lambda: fill(house.connection))
    print(f"invented {DEVICES} devices in {seconds} s")
    publisher = publisher_of(house.folder)
    figures: dict[str, Any] = {"devices": DEVICES, "changed": CHANGED}
    for name in _WAYS:
        if name == "compile_10k_s":
            step = DEVICES // CHANGED
            house.connection.execute(_CHANGE.format(step=step, changed=CHANGED))
        seconds, found = timed(lambda: compiled(NUMBER, publisher=publisher, now=NOW))
        figures[name] = seconds
        print(f"{name}: {seconds} s, written {found.written}, removed {found.removed}")
    figures["evaluation_s"], _ = timed(lambda: evaluated(house.connection, NOW))
    figures["count_claims_s"], _ = timed(lambda: counted(NUMBER, now=NOW))
    for name, over in (("compile_10k_s", "count_claims_s"), ("compile_same_s", "evaluation_s")):
        ratio = round(figures[name] / max(figures[over], 0.01), 2)
        figures[f"{name.removesuffix('_s')}_by_{over.removesuffix('_s')}"] = ratio
    figures["memory_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    figures["devices_per_s"] = round(DEVICES / figures["compile_fresh_s"])
    return figures


def main() -> None:
    """Measure, and print the figures."""
    with durable_house() as house:
        os.environ["DATABASE_URL"] = house.url
        os.environ["COUNTERMAND_DATA"] = str(house.folder.path)
        os.environ["DJANGO_SETTINGS_MODULE"] = "countermand.project.settings"
        import django  # noqa: PLC0415 - only now is it known where the database is

        django.setup()
        print(json.dumps(measure(house)))


if __name__ == "__main__":
    main()
