"""The import verbs as a person or a script uses them, on a real database."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.fresh_database import FreshDatabase
from tests.verb_server import VerbServer

FIXTURES = Path(__file__).parent.parent.parent / "fixtures" / "inventory"
BAD = Path(__file__).parent.parent.parent.parent / "examples" / "bad" / "imports"
AS_OF = ("--as-of", "2026-11-23T06:00:00Z")
DEVICES = (str(FIXTURES / "csv" / "devices.csv"), str(FIXTURES / "csv" / "apps.csv"))
DEVICES_OF_CSV = ("import", "devices", "--source", "csv")
# What `order plan` does at first, and no more of it: from here on imports keep one app.
NAME_TIKTOK = """
import django
django.setup()
from datetime import UTC, datetime
from countermand.orders.models import NamedApp, Order
order = Order.objects.create(number="CM-7Q4K", mode="live", enforcement="none", phase="draft",
                             author_id=1, created_at=datetime(2026, 11, 23, tzinfo=UTC))
NamedApp.objects.create(order=order, app_id="tiktok")
"""


@dataclass(frozen=True)
class Answer:
    """What one command line answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., list[Answer]]


@pytest.fixture
def run(database: FreshDatabase, tmp_path: Path, verb_server: VerbServer) -> Run:
    data = tmp_path / "data folder"
    environ = {
        **{key: value for key, value in os.environ.items() if not key.startswith("COUNTERMAND_")},
        "DATABASE_URL": database.url,
        "COUNTERMAND_DATA": str(data),
        "DJANGO_SETTINGS_MODULE": "countermand.project.settings",
        "HOME": str(tmp_path),
        "LC_ALL": "C.UTF-8",
    }
    (data / "stop").mkdir(parents=True)

    def run(*lines: tuple[str, ...], before: str = "") -> list[Answer]:
        answers = verb_server.ask(lines, before=before, environment=environ)
        return [Answer(*each) for each in answers]

    return run


def everything_stored(database: FreshDatabase) -> str:
    """All rows of all tables as text."""
    with psycopg.connect(database.url) as connection:
        tables = connection.execute(
            "SELECT quote_ident(table_name) FROM information_schema.tables"
            " WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
        ).fetchall()
        rows = [
            str(row)
            for (table,) in tables
            for row in connection.execute(f"SELECT * FROM {table}".encode()).fetchall()
        ]
    return "\n".join(rows).lower()


def test_two_exports_become_people_devices_and_the_ordered_app_alone(
    run: Run, database: FreshDatabase, tmp_path: Path
) -> None:
    apps = tmp_path / "apps.csv"
    shutil.copy(DEVICES[1], apps)
    with apps.open("a", encoding="utf-8") as file:
        file.write("csv-001,org.example.payroll,Payroll Canary,1.0,\n")

    people, devices = run(
        ("import", "people", str(FIXTURES / "people.csv"), "--json"),
        (*DEVICES_OF_CSV, DEVICES[0], str(apps), *AS_OF, "--accept-rejects", "--json"),
        before=NAME_TIKTOK,
    )

    assert (people.code, people.json["people"]["new"]) == (0, 8)
    assert people.json["languages"] == {"en": 4, "hi": 4}
    assert devices.code == 0, devices.err
    expected = json.loads((FIXTURES / "expected.json").read_text(encoding="utf-8"))
    expected = expected["csv/devices.csv + apps.csv"]
    answer = devices.json
    assert answer["rows_ok"] == expected["rows_ok"]
    left_out = [{key: row[key] for key in ("device_id", "why")} for row in answer["rejected"]]
    assert left_out == expected["rejected"]
    assert answer["apps"] == {"tiktok": {"present": 3, "unobservable": 1}}
    stored = everything_stored(database)
    assert "com.zhiliaoapp.musically" in stored
    assert "payroll" not in stored


def test_pages_that_may_be_a_part_say_so_where_devices_go(run: Run) -> None:
    verb = ("import", "devices", "--source", "workspace")
    pages = [str(FIXTURES / "workspace" / f"mobiledevices.list.page{n}.json") for n in (1, 2)]

    _, for_scripts, for_people = run(
        (*verb, *pages, *AS_OF),
        (*verb, pages[1], *AS_OF, "--dry-run", "--json"),
        (*verb, pages[1], *AS_OF, "--dry-run"),
    )

    assert for_scripts.json["devices"]["gone"] > 0
    assert (for_scripts.json["is_whole"], for_scripts.json["may_be_a_part"]) == (True, True)
    assert "Import all of them together" in for_people.out


def test_a_part_of_a_list_says_that_nothing_is_gone_for_it(run: Run) -> None:
    first = FIXTURES / "workspace" / "mobiledevices.list.page1.json"

    [answer] = run(("import", "devices", "--source", "workspace", str(first), *AS_OF))

    assert answer.code == 0, answer.err
    assert "nothing that is missing here counts as gone" in answer.out


def test_a_faulty_file_is_refused_with_all_its_faults_and_a_code_to_rely_on(
    run: Run, database: FreshDatabase
) -> None:
    path = BAD / "people-several-faults-at-once.csv"

    for_scripts, for_people = run(
        ("import", "people", str(path), "--json"), ("import", "people", str(path))
    )

    assert for_scripts.code == for_people.code == 1
    error = for_scripts.json["error"]
    assert error["code"] == "input.faults"
    assert len(error["faults"]) == 5
    assert {fault["line"] for fault in error["faults"]} == {2, 4}
    assert f"{path}:4 person_id [row.duplicate_person]" in for_people.err
    assert for_people.out == ""
    assert "asha" not in everything_stored(database)


def test_a_first_list_whose_status_is_inactive_throughout_is_held_and_says_what_to_do(
    run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "people.csv"
    rows = [f"p{n},Person {n},p{n}@example.org,Inactive\n" for n in range(9)]
    path.write_text("person_id,name,email,status\n" + "".join(rows), encoding="utf-8")

    held, tried, confirmed = run(
        ("import", "people", str(path)),
        ("import", "people", str(path), "--dry-run", "--json"),
        ("import", "people", str(path), "--confirm-mass-change", "--json"),
    )

    assert held.code == 1
    assert "having left already: 9" in held.out
    assert "Look at the columns" in held.out
    assert "--confirm-mass-change" in held.out
    assert tried.json["people"]["came_as_left"] == 9
    assert (confirmed.code, confirmed.json["people"]["new"]) == (0, 9)


def test_logins_of_several_people_are_named_and_everybody_is_loaded(
    run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "people.csv"
    rows = ["Asha,asha@example.org,averma; av", "Ravi,ravi@example.org,av"]
    path.write_text("\n".join(["name,email,logins", *rows]), encoding="utf-8")

    said, told = run(
        ("import", "people", str(path), "--dry-run"), ("import", "people", str(path), "--json")
    )

    assert (said.code, told.code) == (0, 0)
    assert "or of one and at the address of another: 1." in said.out
    assert "  av: asha@example.org, ravi@example.org\n" in said.out
    assert told.json["people"]["new"] == 2
    assert told.json["shared_logins"] == {
        "count": 1,
        "first": [{"login": "av", "addresses": ["asha@example.org", "ravi@example.org"]}],
    }


def test_nearly_everybody_is_said_of_who_has_left_and_not_of_rows_that_were_left_out(
    run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "people.csv"
    rows = [f"p{n},Person {n},p{n}@example.org,Inactive\n" for n in range(9)]
    rows.append("p9,Person 9,no address,Active\n")
    path.write_text("person_id,name,email,status\n" + "".join(rows), encoding="utf-8")

    [held] = run(("import", "people", str(path), "--accept-rejects"))

    said = [held.out.index(each) for each in ("left already: 9", "nearly everybody", "Left out: 1")]
    assert said == sorted(said)


def test_a_row_of_nobody_in_every_list_is_said_to_keep_everybody_here(
    run: Run, tmp_path: Path
) -> None:
    path = tmp_path / "people.csv"
    rows = [f"p{n},Person {n},p{n}@example.org\n" for n in range(9)]
    head = "person_id,name,email\n"
    path.write_text(head + "".join(rows), encoding="utf-8")
    run(("import", "people", str(path)))
    path.write_text(f"{head},Nobody,no address\n" + "".join(rows[:7]), encoding="utf-8")
    nightly = ("import", "people", str(path), "--accept-rejects")

    said, for_scripts, twice = run(nightly, (*nightly, "--json"), ("doctor", "--json"))
    _, thrice = run(nightly, ("doctor", "--json"))
    path.write_text(head + "".join(rows[:7]), encoding="utf-8")
    whole, after = run((*nightly, "--json", "--confirm-mass-change"), ("doctor", "--json"))

    assert "Nobody leaves for missing in this list" in said.out
    assert "People who are missing and stay: 2." in said.out
    answer = for_scripts.json
    assert (answer["rows_of_nobody"], answer["people"]["missing_that_stay"]) == (1, 2)
    states = [
        next(each["state"] for each in asked.json["checks"] if each["name"] == "people")
        for asked in (twice, thrice, after)
    ]
    assert states == ["good", "bad", "good"]
    assert (whole.json["rows_of_nobody"], whole.json["people"]["left"]) == (0, 2)


def test_a_role_and_a_token_let_the_stop_know_who_may_stop(run: Run, tmp_path: Path) -> None:
    _, granted, token, listed = run(
        ("import", "people", str(FIXTURES / "people.csv")),
        ("staff", "grant", "lena.brandt@example.org", "operator", "--json"),
        ("staff", "token", "lena.brandt@example.org", "--json"),
        ("staff", "list", "--json"),
    )

    assert (granted.code, token.code) == (0, 0), granted.err + token.err
    register = (tmp_path / "data folder" / "stop" / "register.json").read_text(encoding="utf-8")
    assert "Lena Brandt" in register
    assert token.json["token"] not in register
    assert [(row["role"], row["name"]) for row in listed.json] == [("operator", "Lena Brandt")]


def test_every_error_has_its_exit_code(run: Run) -> None:
    expected = {
        ("staff", "grant", "nobody@example.org", "author"): (3, "people.person_not_known"),
        ("staff", "grant", "lena.brandt@example.org", "boss"): (3, "people.role_not_known"),
        (*DEVICES_OF_CSV, DEVICES[0], "--as-of", "yesterday"): (2, "cli.not_understood"),
    }

    _, *answers = run(
        ("import", "people", str(FIXTURES / "people.csv")),
        *((*arguments, "--json") for arguments in expected),
    )

    assert [(a.code, a.json["error"]["code"]) for a in answers] == list(expected.values())
    assert all(answer.json["error"]["remedy"] for answer in answers)
