r"""Loading people and devices through our own front, beside psql's own `\copy`, round by round.

The floor is `\copy` of exactly the rows that our load leaves behind, out of files that a dump
wrote, into tables with the same columns, indexes, checks and foreign keys: psql reads no dates,
compares nothing with what was there and decides nothing. A second, lower floor is printed too: the
three files as they came, into three plain tables with an index on what is looked up.
"""

from __future__ import annotations

import csv
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path
from typing import Final

from benchmarks.ledger_house import LedgerHouse

AS_OF: Final = datetime(2026, 11, 23, 6, tzinfo=UTC)
NOW: Final = AS_OF + timedelta(hours=1)
DEVICES_PER_PERSON: Final = 5

_TABLES: Final = (
    "people_person",
    "devices_device",
    "devices_devicealias",
    "devices_observation",
)
_EMPTY: Final = f"TRUNCATE {', '.join(_TABLES)}, devices_importrun RESTART IDENTITY CASCADE"
_KEYS: Final = """
    SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
    WHERE conrelid = %s::regclass AND contype = 'f'
"""
_PLAIN_TABLES: Final = """
    DROP TABLE IF EXISTS plain_people, plain_devices, plain_apps;
    CREATE TABLE plain_people (person_id text PRIMARY KEY, name text, local_name text,
        email text UNIQUE, upn text, language text, country text, zone text, groups text,
        unit text, manager text, absent_until text);
    CREATE TABLE plain_devices (device_id text PRIMARY KEY, owner text, platform text, os text,
        ownership text, last_seen timestamptz, eas text, serial text, name text,
        inventory_at timestamptz, coverage text);
    CREATE INDEX ON plain_devices (owner); CREATE INDEX ON plain_devices (eas);
    CREATE INDEX ON plain_devices (serial);
    CREATE TABLE plain_apps (device_id text, app_id text, name text, version text,
        seen_at timestamptz);
    CREATE INDEX ON plain_apps (device_id, app_id);
"""


def measured(house: LedgerHouse, folder: Path, *, rounds: int) -> dict[str, float]:
    """Return how much longer our load takes than each floor; what was loaded last stays."""
    loads, floors, plains = [], [], []
    for number in range(rounds):
        if number:
            house.connection.execute(_EMPTY)
            house.connection.execute("CHECKPOINT")
        loads.append(_loaded(folder))
        _dump(house, folder)
        floors.append(_same_rows_copied(house, folder))
        plains.append(_plainly_copied(house, folder))
        print(
            f"load: ours {loads[-1]:.2f} s, psql \\copy of the same rows {floors[-1]:.2f} s, "
            f"of the files into plain tables {plains[-1]:.2f} s"
        )
    return {
        "load_ratio_copy": _ratio(loads, floors),
        "load_ratio_plain_copy": _ratio(loads, plains),
        "load_s": round(statistics.median(loads), 2),
    }


def _ratio(over: list[float], under: list[float]) -> float:
    return round(statistics.median(a / b for a, b in zip(over, under, strict=True)), 2)


def timed(what: Callable[[], object]) -> float:
    """Return how many seconds something takes."""
    started = time.perf_counter()
    what()
    return time.perf_counter() - started


def write_files(folder: Path, people: int) -> int:
    """Write people.csv, devices.csv and apps.csv; return how many devices there are."""
    from countermand.catalogue.queries import catalogue  # noqa: PLC0415
    from countermand.synth import files  # noqa: PLC0415
    from countermand.synth.organisation import Recipe, invent  # noqa: PLC0415

    app = catalogue().wanted(["tiktok"])[0]
    recipe = Recipe(seed="bulk", as_of=AS_OF, app=app, app_name="TikTok", spread=0.12)
    some = folder / "some"
    files.write(invent(recipe, people), some)
    (some / "people.csv").rename(folder / "people.csv")
    return _multiply(some, folder, people * DEVICES_PER_PERSON)


def _multiply(some: Path, folder: Path, count: int) -> int:
    """Write `count` devices: those of `some` again and again, each with ids of its own."""
    apps: dict[str, list[list[str]]] = {}
    with (some / "apps.csv").open(encoding="utf-8", newline="") as file:
        for row in (rows := csv.reader(file)):
            if rows.line_num > 1:
                apps.setdefault(row[0], []).append(row)
    with (some / "devices.csv").open(encoding="utf-8", newline="") as file:
        header, *devices = csv.reader(file)
    with (
        (folder / "devices.csv").open("w", encoding="utf-8", newline="") as devices_file,
        (folder / "apps.csv").open("w", encoding="utf-8", newline="") as apps_file,
    ):
        to_devices = csv.writer(devices_file, lineterminator="\n")
        to_apps = csv.writer(apps_file, lineterminator="\n")
        to_devices.writerow(header)
        to_apps.writerow(["device_id", "app_id", "app_name", "version", "seen_at"])
        for device, more in _copies(devices, count, len(header)):
            to_devices.writerow(device)
            to_apps.writerows([device[0], *row[1:]] for row in apps.get(more, ()))
    return count


def _copies(devices: list[list[str]], count: int, width: int) -> Iterator[tuple[list[str], str]]:
    """Yield a device under an id of its own, and the id under which its apps are listed."""
    for number, device in enumerate(cycle(devices)):
        if number == count:
            return
        again = number // len(devices)
        row = list(device[:width])
        row[0] = f"{device[0]}-{again}"
        for place in (6, 7):  # what doors know it by, and its serial number
            row[place] = row[place] and f"{row[place][:-2]}{again:02d}"
        yield row, device[0]


def _loaded(folder: Path) -> float:
    """Return how long the files take through our own front, as the command line loads them."""
    from countermand.byte_source import ByteSource  # noqa: PLC0415
    from countermand.catalogue.queries import catalogue  # noqa: PLC0415
    from countermand.connectors.csv_files.people import Defaults, PeopleFiles  # noqa: PLC0415
    from countermand.connectors.csv_files.source import CsvFiles  # noqa: PLC0415
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


def _dump(house: LedgerHouse, folder: Path) -> None:
    for table in _TABLES:
        query = f"COPY (SELECT * FROM {table} ORDER BY id) TO STDOUT"  # noqa: S608 - our names
        with (
            (folder / f"{table}.copy").open("wb") as file,
            house.connection.cursor().copy(query) as copy,
        ):
            for block in copy:
                file.write(block)


def _same_rows_copied(house: LedgerHouse, folder: Path) -> float:
    """Return how long psql takes to copy the same rows into tables that are made alike."""
    names = {table: f"floor_{table}" for table in _TABLES}
    drop = f"DROP TABLE IF EXISTS {', '.join(names.values())}"
    house.connection.execute(drop)
    for table, floor in names.items():
        house.connection.execute(f"CREATE TABLE {floor} (LIKE {table} INCLUDING ALL)")
        for name, definition in house.connection.execute(_KEYS, [table]).fetchall():
            ours = str(definition)
            for each, other in names.items():
                ours = ours.replace(f"REFERENCES {each}(", f"REFERENCES {other}(")
            house.connection.execute(f'ALTER TABLE {floor} ADD CONSTRAINT "{name}" {ours}')
    house.connection.execute("CHECKPOINT")
    copies = [f"\\copy {floor} FROM '{folder / table}.copy'" for table, floor in names.items()]
    seconds = timed(lambda: _psql(house, copies))
    house.connection.execute(drop)
    return seconds


def _plainly_copied(house: LedgerHouse, folder: Path) -> float:
    """Return how long psql takes to copy the files into tables of a few columns of text."""
    house.connection.execute(_PLAIN_TABLES)
    house.connection.execute("CHECKPOINT")
    copies = [
        f"\\copy plain_{name} FROM '{folder / name}.csv' WITH (FORMAT csv, HEADER)"
        for name in ("people", "devices", "apps")
    ]
    seconds = timed(lambda: _psql(house, copies))
    house.connection.execute("DROP TABLE plain_people, plain_devices, plain_apps")
    return seconds


def _psql(house: LedgerHouse, commands: list[str]) -> None:
    from countermand.project.postgres_home import wheel  # noqa: PLC0415

    command = [str(wheel() / "bin" / "psql"), "--quiet", "-v", "ON_ERROR_STOP=1", house.url]
    for each in commands:
        command += ["-c", each]
    subprocess.run(command, check=True)
