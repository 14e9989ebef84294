"""`import people --ldap` as a person uses it: a real directory, a dry run, and a load."""

from pathlib import Path

import pytest

from tests.apps.cli import test_import_verbs as verbs
from tests.apps.cli.test_import_verbs import Run, everything_stored
from tests.fresh_database import FreshDatabase
from tests.servers import test_people_ldap as ldap
from tests.servers.test_people_ldap import ADMIN, BASE, PASSWORD, Slapd

pytestmark = [*ldap.pytestmark, pytest.mark.timeout(240)]
run = verbs.run
slapd = ldap.slapd


def test_a_directory_is_tried_first_and_then_taken_over(
    run: Run, slapd: Slapd, database: FreshDatabase, tmp_path: Path
) -> None:
    slapd.person("asha")
    slapd.person("ravi")
    secret = tmp_path / "password"
    secret.write_text(f"{PASSWORD}\n", encoding="utf-8")
    wrong = tmp_path / "wrong"
    wrong.write_text("nobody-knows", encoding="utf-8")
    line = ("import", "people", "--ldap", slapd.url, "--base", BASE, "--bind-dn", ADMIN)

    refused, tried = run(
        (*line, "--password-file", str(wrong), "--json"),
        (*line, "--password-file", str(secret), "--dry-run", "--json"),
    )
    before = everything_stored(database)
    (loaded,) = run((*line, "--password-file", str(secret), "--json"))
    after = everything_stored(database)

    assert refused.code != 0
    assert "nobody-knows" not in refused.out + refused.err
    assert (tried.code, loaded.code) == (0, 0)
    assert tried.json["people"]["new"] == loaded.json["people"]["new"] == 2
    assert "asha@example.org" not in before
    assert "asha@example.org" in after
    assert PASSWORD not in after


def test_files_and_a_directory_are_not_read_at_once(run: Run, tmp_path: Path) -> None:
    people = tmp_path / "people.csv"
    people.write_text("person_id,name,email\n", encoding="utf-8")

    both, neither, no_base = run(
        ("import", "people", str(people), "--ldap", "ldaps://l.example.org", "--base", BASE),
        ("import", "people"),
        ("import", "people", "--ldap", "ldaps://l.example.org"),
    )

    assert [each.code for each in (both, neither, no_base)] == [2, 2, 2]
