"""`make bench-bulk`: reading, loading and planning for a million devices, each beside its peer.

Every pair is measured in turn, round by round, and only the medians of ratios are believed. The
last line is one JSON object; a figure that could not be measured is null. QUICK=1 takes smaller
sizes, says so in `sizes`, and needs less than 50 seconds.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks import bulk_base

QUICK: Final = os.environ.get("QUICK", "") not in {"", "0"}
CSV_ROWS: Final = 500_000 if QUICK else 5_000_000
PEOPLE: Final = 6_000 if QUICK else 200_000  # each with five devices
ROUNDS: Final = 3 if QUICK else 5
LOAD_ROUNDS: Final = 2 if QUICK else 3
DUCKDB: Final = "duckdb==2.0.0"
_BLOCK: Final = 50_000
_HEADER: Final = (
    "ApplicationKey,ApplicationName,ApplicationPublisher,ApplicationShortVersion,"
    "ApplicationVersion,DeviceId,DeviceName,EmailAddress,OSDescription,OSVersion,Platform\n"
)


def write_export(path: Path, rows: int) -> None:
    """Write an export as Intune does: one quoted column, one in Devanagari, 1 row in 100 hits."""
    chance = random.Random(7)  # noqa: S311 - invents, secures nothing
    block = "".join(_row(chance, number) for number in range(_BLOCK)).encode()
    with path.open("wb") as file:
        file.write(_HEADER.encode())
        for _ in range(rows // _BLOCK):
            file.write(block)


def _row(chance: random.Random, number: int) -> str:
    name = f"App number {chance.randrange(4_000)}"
    if chance.random() < 0.01017:  # noqa: PLR2004 - as many as in the first measurements
        name = chance.choice(("TikTok", "TikTok Lite"))
    device = f"{chance.getrandbits(32):08x}-1111-2222-3333-{chance.getrandbits(48):012x}"
    return (
        f'{chance.getrandbits(128):032x},{name},"Example, Inc.",1.{chance.randrange(99)},'
        f"1.{chance.randrange(99)}.0,{device},आशा का फ़ोन,user{number}@example.org,iOS,"
        f"18.{chance.randrange(5)},iOS\n"
    )


def read(kind: str, path: Path, duckdb: Path) -> dict[str, float]:
    """Read the export once, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.bulk_readers", kind, str(path), str(duckdb)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout))


def fetch_duckdb(folder: Path) -> Path | None:
    """Get the peer, for this run alone; None when it cannot be had."""
    uv = shutil.which("uv") or ".tools/uv"
    kept = Path("build") / "bench" / DUCKDB.replace("==", "-")
    if not kept.is_dir():
        command = [uv, "pip", "install", "--quiet", "--target", str(folder / "duckdb"), DUCKDB]
        try:
            subprocess.run([*command, "--python", sys.executable], check=True)
        except (OSError, subprocess.CalledProcessError):
            return None
        kept.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(folder / "duckdb", kept)
    return kept


def readers(folder: Path) -> dict[str, Any]:
    """Measure reading, in rounds: the plain reader, ours, and DuckDB."""
    path = folder / "AppInvRawData.csv"
    write_export(path, CSV_ROWS)
    duckdb = fetch_duckdb(folder)
    kinds = ("csv", "ours", *(("duckdb",) if duckdb else ()))
    seen: dict[str, list[dict[str, float]]] = {kind: [] for kind in kinds}
    for _ in range(ROUNDS):
        for kind in kinds:
            seen[kind].append(read(kind, path, duckdb or folder))
    found = {each["found"] for rounds in seen.values() for each in rounds}
    if len(found) != 1:
        raise AssertionError(f"the readers differ: {found}")
    for kind, rounds in seen.items():
        medians = {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}
        print(f"read by {kind}: {json.dumps(medians)}")
    return {
        "ratio_csv_reader": _ratio(seen, "csv", "ours", "wall_s"),
        "cpu_ratio_csv_reader": _ratio(seen, "csv", "ours", "cpu_s"),
        "cpu_ratio_duckdb": _ratio(seen, "ours", "duckdb", "cpu_s") if duckdb else None,
        "peak_mib": round(max(each["peak_mib"] for each in seen["ours"]), 1),
    }


def _ratio(seen: Mapping[str, list[dict[str, float]]], over: str, under: str, what: str) -> float:
    pairs = zip(seen[over], seen[under], strict=True)
    return round(statistics.median(one[what] / other[what] for one, other in pairs), 2)


def main() -> None:
    """Measure all, and print the figures as one line."""
    folder = Path(tempfile.mkdtemp(prefix="cm-bulk-"))
    try:
        figures = readers(folder)
        more = bulk_base.measured(folder, people=PEOPLE, rounds=ROUNDS, load_rounds=LOAD_ROUNDS)
    finally:
        shutil.rmtree(folder)
    sizes = {"csv_rows": CSV_ROWS, "people": PEOPLE, "devices": more.pop("devices")}
    print(json.dumps({**figures, **more, "sizes": sizes, "quick": QUICK}))


if __name__ == "__main__":
    main()
