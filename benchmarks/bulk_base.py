r"""A database with so many people and devices, loaded through our own front, and a plan on it.

The floor of loading is psql's own `\\copy` of the same files into tables with the same indexes; the
floor of planning is one SQL statement that judges every device.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import psycopg

from benchmarks.ledger_house import LedgerHouse, durable_house

AS_OF: Final = datetime(2026, 11, 23, 6, tzinfo=UTC)
NOW: Final = AS_OF + timedelta(hours=1)

_FLOOR_TABLES: Final = """
    DROP TABLE IF EXISTS floor_people, floor_devices, floor_apps;
    CREATE TABLE floor_people (person_id text PRIMARY KEY, name text, local_name text,
        email text UNIQUE, upn text, language text, country text, zone text, groups text,
        unit text, manager text, absent_until text);
    CREATE TABLE floor_devices (device_id text PRIMARY KEY, owner text, platform text, os text,
        ownership text, last_seen timestamptz, eas text, serial text, name text,
        inventory_at timestamptz, coverage text);
    CREATE INDEX ON floor_devices (owner); CREATE INDEX ON floor_devices (eas);
    CREATE INDEX ON floor_devices (serial);
    CREATE TABLE floor_apps (device_id text, app_id text, name text, version text,
        seen_at timestamptz);
    CREATE INDEX ON floor_apps (device_id, app_id);
"""
# One full pass: each device with what is known of it, judged as the door would at the deadline.
_EVALUATION: Final = """
    SELECT count(*) FILTER (WHERE shut), count(*) FROM (
        SELECT device.id, bool_or(coalesce(
            seen.presence = 'present' AND seen.may_close
            AND seen.inventory_at <= %(now)s AND %(now)s < seen.inventory_at + interval '24 hours'
            AND NOT coalesce(said.at >= seen.inventory_at, false), false)) AS shut
        FROM devices_device AS device
        JOIN people_person AS person ON person.id = device.person_id
        LEFT JOIN devices_observation AS seen
            ON seen.device_id = device.id AND seen.app_id = 'tiktok'
        LEFT JOIN (SELECT device_id, max(said_at) AS at FROM devices_attestation
                   WHERE app_id = 'tiktok' GROUP BY device_id) AS said
            ON said.device_id = device.id
        WHERE device.gone_at IS NULL AND 'all-staff' = ANY(person.groups)
        GROUP BY device.id
    ) AS judged
"""


def measured(folder: Path, *, people: int, rounds: int) -> dict[str, Any]:
    """Measure loading and planning; the world is made anew and taken away."""
    with durable_house() as house:
        _use(house)
        devices = _write_files(folder, people)
        floor_s = _copied(house, folder)
        load_s = _loaded(folder)
        print(f"load: ours {load_s:.2f} s, psql \\copy {floor_s:.2f} s")
        house.connection.execute("ANALYZE")
        plans, evaluations = [], []
        shut: Any = None
        figures: list[Any] = []
        for _ in range(rounds):
            evaluations.append(_timed(lambda: _evaluated(house.connection)))
            plans.append(_timed(lambda: figures.append(_figures())))
        shut = _evaluated(house.connection)[0]
        if figures[-1].losing_devices != shut:
            raise AssertionError(f"plan and evaluation differ: {figures[-1]}, {shut}")
        plan_s, evaluation_s = statistics.median(plans), statistics.median(evaluations)
        print(f"plan: {plan_s:.3f} s, one evaluation: {evaluation_s:.3f} s, shut: {shut}")
        return {
            "load_ratio_copy": round(load_s / floor_s, 2),
            "plan_ratio_evaluation": round(plan_s / evaluation_s, 2),
            "reevaluation_ratio": None,
            "gate_table_ratio": None,
            "changed_10k_ratio": None,
            "devices": devices,
        }


def _timed(what: Callable[[], object]) -> float:
    started = time.perf_counter()
    what()
    return time.perf_counter() - started


def _use(house: LedgerHouse) -> None:
    os.environ["DATABASE_URL"] = house.url
    os.environ["COUNTERMAND_DATA"] = str(house.folder.path)
    os.environ["DJANGO_SETTINGS_MODULE"] = "countermand.project.settings"
    import django  # noqa: PLC0415 - only now is it known where the database is

    django.setup()


def _write_files(folder: Path, people: int) -> int:
    from countermand.catalogue.queries import catalogue  # noqa: PLC0415
    from countermand.synth import files  # noqa: PLC0415
    from countermand.synth.organisation import Recipe, invent  # noqa: PLC0415

    app = catalogue().wanted(["tiktok"])[0]
    recipe = Recipe(seed="bulk", as_of=AS_OF, app=app, app_name="TikTok", spread=0.12)
    organisation = invent(recipe, people)
    files.write(organisation, folder)
    return len(organisation.devices)


def _copied(house: LedgerHouse, folder: Path) -> float:
    """Return how long psql takes to copy the files into tables that have their indexes."""
    from countermand.project.postgres_home import wheel  # noqa: PLC0415

    house.connection.execute(_FLOOR_TABLES)
    copies = [
        f"\\copy floor_{name} FROM '{folder / name}.csv' WITH (FORMAT csv, HEADER)"
        for name in ("people", "devices", "apps")
    ]
    command = [str(wheel() / "bin" / "psql"), "--quiet", "-v", "ON_ERROR_STOP=1", house.url]
    for each in copies:
        command += ["-c", each]
    seconds = _timed(lambda: subprocess.run(command, check=True))
    house.connection.execute("DROP TABLE floor_people, floor_devices, floor_apps")
    return seconds


def _loaded(folder: Path) -> float:
    """Return how long the same files take through our own front, as the command line loads them."""
    from countermand.catalogue.queries import catalogue  # noqa: PLC0415
    from countermand.connectors.csv_files.people import Defaults, PeopleFiles  # noqa: PLC0415
    from countermand.connectors.csv_files.source import CsvFiles  # noqa: PLC0415
    from countermand.delimited import ByteSource  # noqa: PLC0415
    from countermand.devices import actions as devices  # noqa: PLC0415
    from countermand.people import actions as people  # noqa: PLC0415
    from countermand.people import queries  # noqa: PLC0415

    apps = catalogue().wanted(["tiktok"])
    started = time.perf_counter()
    source = PeopleFiles([ByteSource.of(folder / "people.csv")], defaults=Defaults())
    people.import_people(source, now=NOW, actor_id=None, options=people.ImportOptions())
    halfway = time.perf_counter()
    tables = [ByteSource.of(folder / name) for name in ("devices.csv", "apps.csv")]
    devices.load_inventory(
        CsvFiles(tables, apps=apps, as_of=AS_OF),
        apps=apps,
        owners=queries.ids_by_address(),
        as_of=AS_OF,
        now=NOW,
        actor_id=None,
        options=devices.LoadOptions(),
    )
    ended = time.perf_counter()
    print(f"loaded: people {halfway - started:.2f} s, devices {ended - halfway:.2f} s")
    return ended - started


def _evaluated(connection: psycopg.Connection[Any]) -> tuple[int, int]:
    row = connection.execute(_EVALUATION, {"now": NOW}).fetchone()
    if row is None:
        raise AssertionError("a count gives a row")
    return row[0], row[1]


def _figures() -> Any:
    """Plan as `countermand order plan` does, up to its figures."""
    from benchmarks import bulk_order  # noqa: PLC0415 - needs Django

    return bulk_order.figures(NOW)
