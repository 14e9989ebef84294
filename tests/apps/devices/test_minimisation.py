"""Only apps that orders name are ever kept: no byte of another one, in no form, in no file.

Samples with canary apps are loaded into a database of their own, out of files, over HTTP and
through a hook; then everything that was written is searched: tables, write-ahead log, a dump by
pg_dump, logs, data folder; plain, base64 and UTF-16.
"""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from countermand.project.embedded_postgres import EmbeddedPostgres
from tests.fresh_database import FreshDatabase

SAMPLES = Path(__file__).parents[2] / "fixtures" / "inventory"
CANARIES = (
    "org.example.payroll",
    "वेतन पर्ची",
    "com.google.android.gm",
    "tiktok-timer",
    "TikTok Studio",
    "Tick Tock Timer",
    "com.apple.Safari",
)
LOADS = (
    ("csv", ["csv/devices.csv", "csv/apps.csv"]),
    ("intune", ["intune/Devices.csv", "intune/AppInvRawData.csv"]),
    ("jamf", ["jamf/mobile-devices-detail.page0.json", "jamf/computers-inventory.page0.json"]),
    ("fleet", ["fleet/hosts.populate_software.json"]),
    (
        "nanomdm",
        [
            "nanomdm/commands-enqueued.json",
            "nanomdm/06b-installedapps-foreign-filter-must-not-mean-absent.json",
            "nanomdm/08b-installedapps-full.json",
        ],
    ),
    (
        "android_management",
        [
            "androidmanagement/devices.list.page1.json",
            "androidmanagement/devices.list.page2.json",
            "androidmanagement/pubsub.push.STATUS_REPORT.present.json",
        ],
    ),
    (
        "workspace",
        ["workspace/mobiledevices.list.page1.json", "workspace/mobiledevices.list.page2.json"],
    ),
)
PROGRAM = """
import json, sys
from datetime import UTC, datetime
from pathlib import Path
import logging
logging.basicConfig(level=logging.DEBUG, filename=sys.argv[1])
import django
django.setup()
from countermand.catalogue.queries import catalogue
from countermand.connectors.kinds import open_files
from countermand.connectors.names import SourceKind
from countermand.devices import actions
apps = catalogue().wanted(["tiktok"])
now = datetime(2026, 11, 23, 18, tzinfo=UTC)
options = actions.LoadOptions(accept_rejects=True)
for kind, files in json.loads(sys.argv[2]):
    files = [Path(each) for each in files]
    source = open_files(SourceKind(kind), files, apps=apps, as_of=now)
    report = actions.load_inventory(source, apps=apps, owners={}, as_of=now, now=now, actor_id=None,
                                    options=options)
    print(report.state, kind)
"""


def forms(word: str) -> Iterator[bytes]:
    """A word as it could stand somewhere; base64 at each of three offsets, without its edges."""
    plain = word.encode()
    yield plain
    yield word.encode("utf-16-le")
    yield word.encode("utf-16-be")
    for offset in range(3):
        whole = base64.b64encode(b"x" * offset + plain)
        yield whole[4:-4] if offset else whole[:-4]


@pytest.mark.timeout(240)  # all samples, and a dump: a minute is short on a busy machine
def test_no_byte_of_an_app_that_no_order_names_is_kept(
    database: FreshDatabase, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    log = tmp_path / "debug.log"
    environ = os.environ | {
        "DJANGO_SETTINGS_MODULE": "countermand.project.settings",
        "DATABASE_URL": database.url,
        "COUNTERMAND_DATA": str(tmp_path / "data"),
    }

    def said(*command: str) -> str:
        done = subprocess.run(
            [sys.executable, *command],
            check=False,
            capture_output=True,
            encoding="utf-8",
            env=environ,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    program = "tests.apps.devices.asked_over_http"
    over_http = said("-m", program, str(tmp_path / "data"), str(tmp_path / "http.log"))
    assert "'D1': 'present'" in over_http
    assert "'mobile:11': 'present'" in over_http
    loads = [(kind, [str(SAMPLES / name) for name in names]) for kind, names in LOADS]
    loaded = said("-c", PROGRAM, str(log), json.dumps(loads)).splitlines()
    assert loaded == [f"loaded {kind}" for kind, _ in LOADS]

    with psycopg.connect(database.url, autocommit=True) as connection:
        found = connection.execute("SELECT count(*) FROM devices_observation").fetchone()
        assert found is not None
        assert found[0] > 10  # it was not for want of loading
        dump = "\n".join(rows_of(connection))
    subprocess.run(
        [postgres._home.programs / "pg_dump", "--file", tmp_path / "pg_dump.sql", database.url],
        check=True,
    )

    searched = 0
    has_the_named = False
    words = {form: word for word in CANARIES for form in forms(word)}
    (tmp_path / "dump.txt").write_text(dump, encoding="utf-8")
    for path in everything(postgres, tmp_path):
        content = path.read_bytes()
        searched += len(content)
        has_the_named = has_the_named or b"com.zhiliaoapp.musically" in content
        for form, word in words.items():
            assert form not in content, f"{word} stands in {path.name}"
    assert searched > 10_000_000
    assert has_the_named  # the same search finds what an order names


def test_the_search_finds_what_is_there() -> None:
    haystack = b"..." + base64.b64encode(b"ab" + b"org.example.payroll" + b"cd")

    assert any(form in haystack for form in forms("org.example.payroll"))
    assert any(form in "x Safari".encode("utf-16-le") for form in forms("Safari"))


def rows_of(connection: psycopg.Connection[tuple[str, ...]]) -> Iterator[str]:
    """Every row of every table as text, as a dump would hold it: compressed values, too."""
    tables = connection.execute(
        "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'public'"
    )
    for (table,) in tables.fetchall():
        for (row,) in connection.execute(f"SELECT t::text FROM {table} AS t").fetchall():
            yield row


def everything(postgres: EmbeddedPostgres, folder: Path) -> Iterator[Path]:
    """Every file of the database cluster, its write-ahead log included, and of our folder."""
    for root in (postgres._home.base, folder):
        for path in sorted(root.rglob("*")):
            if path.is_file() and not path.is_symlink():
                yield path
