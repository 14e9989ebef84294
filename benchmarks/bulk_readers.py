"""One reader of an Intune export, as a process of its own: what it finds, and what it needed.

    python -m benchmarks.bulk_readers ours|csv|duckdb FILE [FOLDER OF DUCKDB]

Prints one JSON object: rows found, seconds of wall and of CPU, and the peak of memory.
"""

from __future__ import annotations

import csv
import importlib
import json
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Final

NAMES: Final = ("TikTok", "TikTok Lite")
_AS_OF: Final = datetime(2026, 11, 23, tzinfo=UTC)


def ours(path: str) -> int:
    """Read as `countermand import devices --source intune` does, up to the rows that match."""
    from countermand.byte_source import ByteSource  # noqa: PLC0415
    from countermand.connectors.intune_export.source import APPS  # noqa: PLC0415
    from countermand.delimited import Wanted, read_rows  # noqa: PLC0415
    from countermand.domain.app_id import Matcher, WantedApp  # noqa: PLC0415
    from countermand.fault_list import FaultList  # noqa: PLC0415

    matcher = Matcher((WantedApp("tiktok", names=NAMES),))
    wanted = Wanted("name", lambda name: matcher.mentions("", name))
    faults = FaultList()
    _clock()
    found = sum(1 for _ in read_rows(ByteSource.of(Path(path)), APPS, faults, only=wanted))
    if faults:
        raise AssertionError(faults.faults)
    return found


def by_csv(path: str) -> int:
    """Read with `csv.reader`, and look only at the name."""
    names = {name.casefold() for name in NAMES}
    _clock()
    with Path(path).open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        place = next(reader).index("ApplicationName")
        return sum(1 for row in reader if row[place].casefold() in names)


def by_duckdb(path: str) -> int:
    """Read with DuckDB, which uses every core that there is."""
    sys.path.insert(0, sys.argv[3])
    duckdb = importlib.import_module("duckdb")  # fetched for this run
    _clock()
    rows = duckdb.sql(
        f"SELECT DeviceId, ApplicationName, ApplicationVersion FROM read_csv('{path}', "  # noqa: S608
        f"header=true, all_varchar=true) WHERE lower(ApplicationName) IN ('tiktok', 'tiktok lite')"
    ).fetchall()
    return len(rows)


READERS: Final[Mapping[str, Callable[[str], int]]] = MappingProxyType(
    {"ours": ours, "csv": by_csv, "duckdb": by_duckdb}
)


_started: list[tuple[float, float]] = []


def _clock() -> None:
    """Begin to count: a program has to be loaded whatever it reads."""
    _started.append((time.perf_counter(), time.process_time()))


def main() -> None:
    """Read once."""
    found = READERS[sys.argv[1]](sys.argv[2])
    wall, cpu = _started[-1]
    status = Path("/proc/self/status").read_text(encoding="ascii")
    [peak] = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    figures = {
        "found": found,
        "wall_s": time.perf_counter() - wall,
        "cpu_s": time.process_time() - cpu,
        "peak_mib": int(peak) / 1024,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
