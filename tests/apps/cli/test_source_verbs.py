"""The verbs about sources, mail programs and directories, as a person or a script uses them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from countermand.testing.http_double import HttpDouble, TestAuthority
from countermand.testing.mdm_doubles import JamfDouble
from tests.apps.cli import test_import_verbs as verbs
from tests.apps.cli.test_import_verbs import FIXTURES, NAME_TIKTOK, Answer, Run, everything_stored
from tests.fresh_database import FreshDatabase

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(240)]
run = verbs.run

SECRET = "invented-and-never-shown"
WHO = """
import django
django.setup()
from datetime import UTC, datetime
from countermand.people.models import AccessToken, Person, RoleGrant
from countermand.people.queries import token_hash
from countermand.devices.models import Device
from countermand.devices import links
from countermand.domain.inventory import AliasKind
now = datetime(2026, 11, 23, tzinfo=UTC)
if not Person.objects.exists():
    desk = Person.objects.create(uid="desk", name="Desk", address="desk@example.org")
    ravi = Person.objects.create(uid="ravi", name="Ravi", address="ravi@example.org")
    AccessToken.objects.create(person=ravi, sha256=token_hash("cmt_ravi"), created_at=now)
    RoleGrant.objects.create(person=desk, role="help_desk", granted_at=now)
    AccessToken.objects.create(person=desk, sha256=token_hash("cmt_desk"), created_at=now)
    Device.objects.create(source="csv", source_device_id="d1", platform="ios", person_id=desk.pk)
    links.note([links.SeenClient("desk", AliasKind.EAS_DEVICE_ID, "NEW1", "Nine 4.9", now)])
import os
os.environ["COUNTERMAND_TOKEN"] = "cmt_desk"
"""


@pytest.fixture
def jamf(tmp_path: Path) -> Iterator[tuple[JamfDouble, HttpDouble, tuple[str, ...]]]:
    authority = TestAuthority(tmp_path)
    page = json.loads((FIXTURES / "jamf" / "mobile-devices-detail.page0.json").read_text("utf-8"))
    double = JamfDouble(page["results"], secret=SECRET)
    (tmp_path / "jamf-secret").write_text(SECRET, encoding="utf-8")
    with HttpDouble(double.routes(), authority=authority) as server:
        add = (
            *("sources", "add", "jamf", "--url", server.base, "--client-id", double.client_id),
            *("--secret", f"file:{tmp_path / 'jamf-secret'}", "--private-network"),
            *("--ca-file", str(authority.ca_file), "--every", "6h", "--json"),
        )
        yield double, server, add


Jamf = tuple[JamfDouble, HttpDouble, tuple[str, ...]]


def test_a_source_is_added_tried_asked_and_shown(
    run: Run, jamf: Jamf, database: FreshDatabase
) -> None:
    added, tried, before, synced, after, drawn = run(
        jamf[2],
        ("sources", "test", "jamf", "--json"),
        ("sources", "status", "--json"),
        ("sources", "sync", "jamf", "--json"),
        ("sources", "status", "--json"),
        ("sources", "status"),
        before=NAME_TIKTOK,
    )

    assert [each.code for each in (added, tried, before, synced, after)] == [0] * 5
    assert added.json["every_s"] == 6 * 3600
    assert f"│ {len(jamf[0].mobile)} " in drawn.out  # how many were read so far
    assert tried.json == {"source": "jamf", "lets_us_in": True}
    assert before.json[0]["succeeded_at"] is None
    assert synced.json["devices"]["new"] == len(jamf[0].mobile)
    shown = after.json[0]
    assert shown["succeeded_at"]
    assert (shown["progress"], shown["last_error"]) == (len(jamf[0].mobile), "")
    everything = everything_stored(database) + "".join(a.out + a.err for a in (added, after))
    assert SECRET not in everything


def test_a_dry_run_says_what_would_change_and_changes_nothing(
    run: Run, jamf: Jamf, database: FreshDatabase
) -> None:
    _, tried, status = run(
        jamf[2],
        ("sources", "sync", "jamf", "--dry-run", "--json"),
        ("sources", "status", "--json"),
        before=NAME_TIKTOK,
    )

    assert (tried.code, tried.json["devices"]["new"]) == (0, len(jamf[0].mobile))
    assert tried.json["apps"]["tiktok"]["present"] == 1
    assert status.json[0]["succeeded_at"] is None
    assert "mobile:11" not in everything_stored(database)


def test_a_run_that_would_lose_most_is_held_until_a_person_says_so(run: Run, jamf: Jamf) -> None:
    run(jamf[2], ("sources", "sync", "jamf"), before=NAME_TIKTOK)
    jamf[0].mobile = jamf[0].mobile[:0]

    held, status, shown, doctor, confirmed, later = run(
        ("sources", "sync", "jamf", "--json"),
        ("sources", "status", "--json"),
        ("sources", "status"),
        ("doctor", "--json"),
        ("sources", "sync", "jamf", "--confirm-mass-change", "--json"),
        ("doctor", "--json"),
    )

    def told(answer: Answer) -> str:
        states = {each["name"]: each["state"] for each in answer.json["checks"]}
        return str(states["inventories"])

    assert held.code == 1
    assert held.json["state"] == "held"
    assert status.json[0]["last_error"] == "devices.held"
    assert "sources sync jamf --confirm-mass-change" in " ".join(shown.out.split())
    assert (confirmed.code, confirmed.json["devices"]["gone"]) == (0, 3)
    assert (told(doctor), told(later)) == ("bad", "good")


def test_what_a_source_refuses_is_said_in_words_and_kept(run: Run, jamf: Jamf) -> None:
    run(jamf[2])
    jamf[0].secret = "changed"

    tried, synced, shown, unknown, taken = run(
        ("sources", "test", "jamf"),
        ("sources", "sync", "jamf"),
        ("sources", "status"),
        ("sources", "sync", "fleet"),
        jamf[2],
    )

    for refused in (tried, synced):
        assert refused.code != 0
        assert "does not let us in" in refused.err
        assert SECRET not in refused.out + refused.err
    assert "source.refused" in shown.out
    assert (unknown.code != 0, "no source named fleet" in unknown.err) == (True, True)
    assert taken.code != 0


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (("jamf", "--url", "https://j.example.org", "--client-id", "x"), "--secret"),
        (
            ("jamf", "--url", "http://j.example.org", "--client-id", "x", "--secret", "env:A"),
            "j.ex",
        ),
        (("jamf", "--url", "https://j.example.org", "--client-id", "x", "--secret", "hunter2"), ""),
        (("tape", "--secret", "env:A"), "tape"),
        (("jamf:../x", "--secret", "env:A"), "jamf"),
    ],
    ids=["something missing", "no TLS", "a secret itself", "no such kind", "an odd label"],
)
def test_a_source_that_cannot_work_is_not_added(run: Run, line: tuple[str, ...], said: str) -> None:
    refused, status = run(("sources", "add", *line), ("sources", "status", "--json"))

    assert refused.code != 0
    assert said in refused.err
    assert "hunter2" not in refused.out + refused.err
    assert status.json == []


def test_a_removed_source_is_forgotten_and_what_it_said_stays(
    run: Run, jamf: Jamf, database: FreshDatabase
) -> None:
    *_, removed, status = run(
        jamf[2],
        ("sources", "sync", "jamf"),
        ("sources", "remove", "jamf", "--json"),
        ("sources", "status", "--json"),
        before=NAME_TIKTOK,
    )

    assert (removed.json, status.json) == ({"source": "jamf", "removed": True}, [])
    assert "mobile:11" in everything_stored(database)


def test_mail_programs_are_listed_confirmed_and_shared_devices_get_a_custodian(
    run: Run, database: FreshDatabase
) -> None:
    listed, confirmed, again, kept, nobody, nothing = run(
        ("clients", "list", "--json"),
        ("clients", "confirm", "1", "--device", "d1"),
        ("clients", "list", "--json"),
        ("clients", "custodian", "--device", "d1", "--who", "Ravi@Example.org"),
        ("clients", "custodian", "--device", "d1", "--who", "nobody@example.org"),
        ("clients", "custodian", "--device", "d9", "--who", "ravi@example.org"),
        before=WHO,
    )

    assert [each["value"] for each in listed.json] == ["NEW1"]
    assert (confirmed.code, again.json) == (0, [])
    assert kept.code == 0
    assert nobody.code != 0
    assert "No device “d9” is known here." in nothing.err
    stored = everything_stored(database)
    assert "device.client_confirmed" in stored
    assert "device.custodian_set" in stored


def test_who_has_no_role_gives_nobody_a_device_and_sees_nobodys_mail_program(
    run: Run, database: FreshDatabase
) -> None:
    answers = run(
        ("clients", "list", "--json"),
        ("clients", "confirm", "1", "--device", "d1"),
        ("clients", "custodian", "--device", "d1", "--who", "ravi@example.org"),
        before=f'{WHO}os.environ["COUNTERMAND_TOKEN"] = "cmt_ravi"\n',
    )

    assert all(each.code != 0 for each in answers)
    assert "NEW1" not in "".join(each.out + each.err for each in answers)
    assert "device.custodian_set" not in everything_stored(database)


def test_what_each_source_says_of_a_device_is_shown_to_whoever_has_a_role(run: Run) -> None:
    shown, drawn, asked, nobody = run(
        ("device", "show", "d1", "--json"),
        ("device", "show", "d1"),
        ("device", "check", "d1", "--json"),
        ("device", "show", "nobody"),
        before=WHO,
    )

    assert [row["source"] for row in shown.json["sources"]] == ["csv"]
    assert drawn.code == 0
    assert asked.json == {"asked": []}
    assert nobody.code == 3


def test_a_directory_gets_a_token_that_is_shown_once_and_can_be_made_void(
    run: Run, database: FreshDatabase
) -> None:
    issued, void = run(
        ("staff", "directory-token", "entra", "--json"),
        ("staff", "directory-token", "entra", "--revoke", "--json"),
    )

    token: Any = issued.json["token"]
    assert (issued.code, void.code) == (0, 0)
    assert len(token) > 20
    assert token.lower() not in everything_stored(database)
    assert void.json["revoked"] == 1
