"""Directories write people here as Entra and Okta do; nobody is ever deleted."""

import io
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from countermand.audit.models import Entry
from countermand.people import directory_tokens, queries
from countermand.people.models import DirectoryToken, Person

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
STAFF = "urn:ietf:params:scim:schemas:extension:countermand:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"


class Directory:
    """A directory that holds a token and speaks SCIM."""

    def __init__(self, token: str) -> None:
        self.client = Client(headers={"Authorization": f"Bearer {token}"})

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        return self.client.generic(
            method,
            f"/scim/v2/{path}",
            json.dumps(body) if body is not None else "",
            content_type="application/scim+json",
        )

    def take_on(self, login: str, **more: Any) -> str:
        answer = self.ask("POST", "Users", {"schemas": [USER], "userName": login, **more})
        assert answer.status_code == 201, answer.content
        return str(json.loads(answer.content)["id"])

    def patch(self, path: str, *operations: dict[str, Any]) -> Any:
        return self.ask("PATCH", path, {"schemas": [PATCH], "Operations": list(operations)})


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Directory:
    monkeypatch.setenv("COUNTERMAND_DATA", str(tmp_path))
    return Directory(directory_tokens.issue("entra", actor_id=None, now=NOW))


def listed(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.content
    return [each["id"] for each in json.loads(answer.content).get("Resources", [])]


def test_a_joiner_becomes_a_person_with_language_country_zone_unit_and_manager(
    directory: Directory,
) -> None:
    boss = directory.take_on("boss@example.org", externalId="o-1", displayName="Boss")
    directory.take_on(
        "Asha@Example.org",
        externalId="o-2",
        displayName="Asha Verma",
        preferredLanguage="hi_IN",
        addresses=[{"type": "work", "country": "IN"}],
        emails=[
            {"value": "old@example.org", "type": "home"},
            {"value": "asha@example.org", "type": "work", "primary": True},
        ],
        phoneNumbers=[{"value": "+91 99999", "type": "mobile"}],
        **{ENTERPRISE: {"department": "Payments", "manager": {"value": boss}}},
    )

    asha = queries.person("asha@example.org")
    assert (asha.uid, asha.name, asha.language) == ("o-2", "Asha Verma", "hi-IN")
    assert (asha.country, asha.zone, asha.unit) == ("IN", "Asia/Kolkata", "Payments")
    assert asha.other_addresses == asha.second_mailboxes == ("old@example.org",)
    assert asha.manager_uid == "o-1"
    assert asha.groups == {"all-staff"}


def test_leave_and_delegates_are_told_by_our_own_extension_and_else_stay(
    directory: Directory,
) -> None:
    helper = directory.take_on("helper@example.org", externalId="o-7")
    told = {"absentUntil": "2026-12-24", "delegates": [{"value": helper}, {"value": "9999"}]}
    key = directory.take_on("asha@example.org", **{STAFF: told})

    def known() -> tuple[object, object]:
        person = Person.objects.get(pk=key)
        return person.absent_until, person.delegate_uids

    assert known() == (date(2026, 12, 24), ["o-7"])
    said = directory.ask("GET", f"Users/{key}").json()[STAFF]["absentUntil"]
    assert said.startswith("2026-12-24T")

    silent = {"schemas": [USER], "userName": "asha@example.org"}
    assert directory.ask("PUT", f"Users/{key}", silent).status_code == 200
    assert known() == (date(2026, 12, 24), ["o-7"])

    later = {"op": "Add", "path": f"{STAFF}:absentUntil", "value": "2027-01-08T00:00:00Z"}
    assert directory.patch(f"Users/{key}", later).status_code == 200
    assert known()[0] == date(2027, 1, 8)

    back = {"op": "Remove", "path": f"{STAFF}:absentUntil"}
    assert directory.patch(f"Users/{key}", back).status_code in {200, 204}
    assert known()[0] is None


def test_a_leave_that_is_no_date_is_refused_and_what_was_known_stays(directory: Directory) -> None:
    key = directory.take_on("asha@example.org", **{STAFF: {"absentUntil": "2026-12-24"}})

    odd = {"op": "Replace", "path": f"{STAFF}:absentUntil", "value": "after Diwali"}
    answer = directory.patch(f"Users/{key}", odd)

    assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidValue")
    assert Person.objects.get(pk=key).absent_until == date(2026, 12, 24)


def test_what_no_order_needs_is_not_kept(directory: Directory) -> None:
    key = directory.take_on(
        "asha@example.org", title="Director", phoneNumbers=[{"value": "+91 99999"}]
    )

    assert b"99999" not in directory.ask("GET", f"Users/{key}").content
    assert "Director" not in json.dumps(list(Person.objects.values("entry__said")))


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "Replace", "path": "active", "value": "False"},  # Entra, as it was for long
        {"op": "replace", "path": "active", "value": False},
        {"op": "replace", "value": {"active": False}},  # Okta
    ],
)
def test_a_leaver_has_left_and_may_come_back_under_the_same_record(
    directory: Directory, operation: dict[str, Any]
) -> None:
    key = directory.take_on("asha@example.org", active=True)

    assert directory.patch(f"Users/{key}", operation).status_code == 200
    assert Person.objects.get(pk=key).left_on is not None

    directory.patch(f"Users/{key}", {"op": "replace", "path": "active", "value": True})
    assert Person.objects.get(pk=key).left_on is None


def test_a_mover_is_changed_by_paths_as_entra_writes_them(directory: Directory) -> None:
    key = directory.take_on("asha@example.org")

    answer = directory.patch(
        f"Users/{key}",
        {"op": "Add", "path": 'emails[type eq "work"].value', "value": "new@example.org"},
        {"op": "Add", "path": f"{ENTERPRISE}:department", "value": "Legal"},
        {"op": "Replace", "path": "preferredLanguage", "value": "zh_hant_TW"},
        {"op": "Add", "path": "title", "value": "not kept"},
    )

    assert answer.status_code == 200, answer.content
    person = Person.objects.get(pk=key)
    assert (person.address, person.unit, person.language) == (
        "new@example.org",
        "Legal",
        "zh-Hant-TW",
    )
    assert person.other_addresses == ["asha@example.org"]


def test_a_user_name_that_is_no_mailbox_is_a_login(directory: Directory) -> None:
    emails = [{"value": "asha@example.org", "type": "work"}]
    same = directory.take_on("Ravi@example.org")
    other = directory.take_on("AVerma@corp.example.org", emails=emails)
    plain = directory.take_on("KIyer", emails=[{"value": "kavya@example.org", "type": "work"}])

    assert [Person.objects.get(pk=key).logins for key in (same, other, plain)] == [
        [],
        ["averma@corp.example.org"],
        ["kiyer"],
    ]
    change = {"op": "Replace", "path": "userName", "value": "kavya"}
    assert directory.patch(f"Users/{plain}", change).status_code == 200
    assert Person.objects.get(pk=plain).logins == ["kavya"]


@pytest.mark.parametrize("path", ["manager", f"{ENTERPRISE}:manager"])
@pytest.mark.parametrize(
    "form",
    [
        lambda boss: boss,
        lambda boss: {"value": boss},
        lambda boss: [{"value": boss}],
        lambda boss: [{"$ref": f"../Users/{boss}", "value": boss}],
        lambda boss: {"$ref": f"../Users/{boss}", "value": boss, "displayName": "Boss"},
    ],
    ids=["text", "object", "list", "list with a link", "object with a link"],
)
def test_a_manager_is_known_in_every_form_in_which_directories_write_it(
    directory: Directory, path: str, form: Callable[[str], Any]
) -> None:
    boss = directory.take_on("boss@example.org", externalId="o-1")
    key = directory.take_on("asha@example.org")

    answer = directory.patch(f"Users/{key}", {"op": "Add", "path": path, "value": form(boss)})
    assert answer.status_code == 200, answer.content
    assert Person.objects.get(pk=key).manager_uid == "o-1"

    answer = directory.patch(f"Users/{key}", {"op": "Replace", "path": path, "value": ""})
    assert answer.status_code == 200, answer.content
    assert Person.objects.get(pk=key).manager_uid == ""


def test_several_attributes_are_changed_at_once_as_entra_writes_them(directory: Directory) -> None:
    boss = directory.take_on("boss@example.org", externalId="o-1")
    key = directory.take_on("asha@example.org")

    several = {
        "displayName": "Asha Verma",
        "name.givenName": "Asha",
        f"{ENTERPRISE}:department": "Legal",
        f"{ENTERPRISE}:manager": boss,
        'emails[type eq "work"].value': "new@example.org",
    }
    answer = directory.patch(f"Users/{key}", {"op": "replace", "value": several})

    assert answer.status_code == 200, answer.content
    person = Person.objects.get(pk=key)
    assert (person.name, person.unit, person.manager_uid, person.address) == (
        "Asha Verma",
        "Legal",
        "o-1",
        "new@example.org",
    )


def test_who_is_taken_away_has_left_and_is_not_deleted(directory: Directory) -> None:
    key = directory.take_on("asha@example.org")

    assert directory.ask("DELETE", f"Users/{key}").status_code == 204

    assert directory.ask("GET", f"Users/{key}").status_code == 404
    assert Person.objects.get(pk=key).left_on is not None
    again = directory.take_on("asha@example.org")
    assert Person.objects.get(pk=again).left_on is None


def test_somebody_known_by_a_file_is_the_same_person(directory: Directory) -> None:
    known = Person.objects.create(uid="o-2", name="Asha Verma", address="asha@example.org")

    key = directory.take_on("averma", externalId="o-2", displayName="Asha V")

    assert int(key) == known.pk
    assert Person.objects.count() == 1


def test_a_successor_on_an_address_inherits_nothing(directory: Directory) -> None:
    before = Person.objects.create(
        uid="o-1", name="Asha Verma", address="desk@example.org", left_on=date(2026, 1, 1)
    )

    key = directory.take_on("desk@example.org", displayName="Ben")

    before.refresh_from_db()
    assert int(key) != before.pk
    assert before.address.endswith("@invalid")


def test_a_login_is_given_once(directory: Directory) -> None:
    directory.take_on("asha@example.org")

    answer = directory.ask("POST", "Users", {"schemas": [USER], "userName": "ASHA@example.org"})

    assert answer.status_code == 409
    assert json.loads(answer.content)["scimType"] == "uniqueness"


@pytest.mark.parametrize(
    "sought",
    [
        'userName eq "ASHA@example.org"',
        'externalId eq "o-2"',
        'emails[type eq "work"].value eq "a@example.org"',
        'emails.value eq "a@example.org" and active eq true',
        'displayName sw "Ash" or userName co "nobody"',
        'not (externalId pr) or externalId eq "o-2"',
    ],
)
def test_people_are_found_by_the_filters_of_entra_and_okta(
    directory: Directory, sought: str
) -> None:
    directory.take_on("ben@example.org", externalId="o-1", displayName="Ben")
    key = directory.take_on(
        "asha@example.org",
        externalId="o-2",
        displayName="Asha",
        active=True,
        emails=[{"value": "a@example.org", "type": "work"}],
    )

    assert listed(directory.client.get("/scim/v2/Users", {"filter": sought})) == [key]


@pytest.mark.parametrize(
    "sought",
    [
        'emails.value eq "asha@MÜNCHEN.example"',
        'emails.value eq "Asha@xn--mnchen-3ya.example"',
        'emails[type eq "work"].value eq "asha@münchen.example"',
    ],
)
def test_an_address_is_found_however_it_is_spelled(directory: Directory, sought: str) -> None:
    directory.take_on("ben", emails=[{"value": "ben@münchen.example", "type": "work"}])
    key = directory.take_on("asha", emails=[{"value": "Asha@München.example", "type": "work"}])

    assert listed(directory.client.get("/scim/v2/Users", {"filter": sought})) == [key]


@pytest.mark.parametrize(
    "name", ["manager", "Manager.value", f"{ENTERPRISE}:manager", f"{ENTERPRISE}:manager.value"]
)
def test_entra_finds_out_whether_somebody_has_this_manager(directory: Directory, name: str) -> None:
    boss = directory.take_on("boss@example.org", displayName='manager eq "1"')
    key = directory.take_on("asha@example.org", **{ENTERPRISE: {"manager": {"value": boss}}})
    directory.take_on("ben@example.org", **{ENTERPRISE: {"manager": {"value": key}}})

    for sought in (f'{name} eq "{boss}"', f'id eq "{key}" and {name} eq "{boss}"'):
        assert listed(directory.client.get("/scim/v2/Users", {"filter": sought})) == [key]
    assert listed(directory.client.get("/scim/v2/Users", {"filter": f'{name} eq "{key}0"'})) == []
    quoted = r'displayName eq "manager eq \"1\""'
    assert listed(directory.client.get("/scim/v2/Users", {"filter": quoted})) == [boss]


@pytest.mark.django_db(transaction=True)  # what a test wrote before holds no lock
def test_who_sends_a_change_slowly_keeps_nobody_else_from_writing_people(
    directory: Directory,
) -> None:
    key = directory.take_on("asha@example.org")
    body = json.dumps(
        {"schemas": [PATCH], "Operations": [{"op": "replace", "path": "active", "value": False}]}
    ).encode()
    held_while_it_came: list[int] = []

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT count(*) FROM pg_locks"
                    " WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
                )
                held_while_it_came.append(cursor.fetchone()[0])
            return super().read(size)

    surroundings: dict[str, Any] = {"wsgi.input": Slow(body)}
    answer = directory.client.generic(
        "PATCH",
        f"/scim/v2/Users/{key}",
        body,
        content_type="application/scim+json",
        **surroundings,
    )

    assert answer.status_code == 200
    assert held_while_it_came
    assert set(held_while_it_came) == {0}
    assert queries.person("asha@example.org").left_on is not None


def test_a_list_comes_in_pages(directory: Directory) -> None:
    keys = [directory.take_on(f"p{n}@example.org") for n in range(5)]

    page = directory.client.get("/scim/v2/Users", {"startIndex": 3, "count": 2})

    assert listed(page) == keys[2:4]
    assert json.loads(page.content)["totalResults"] == 5


def test_groups_get_and_lose_members_as_entra_writes_it(directory: Directory) -> None:
    asha, ben = (directory.take_on(f"{name}@example.org") for name in ("asha", "ben"))
    made = directory.ask("POST", "Groups", {"schemas": [GROUP], "displayName": "Sales"})
    key = json.loads(made.content)["id"]

    directory.patch(
        f"Groups/{key}",
        {"op": "Add", "path": "members", "value": [{"value": asha}, {"value": ben}]},
    )
    assert queries.person("asha@example.org").groups == {"all-staff", "Sales"}

    directory.patch(
        f"Groups/{key}", {"op": "Remove", "path": "members", "value": [{"value": asha}]}
    )
    directory.patch(f"Groups/{key}", {"op": "remove", "path": f'members[value eq "{ben}"]'})
    assert queries.person("asha@example.org").groups == {"all-staff"}
    assert queries.person("ben@example.org").groups == {"all-staff"}


def test_no_group_can_have_the_id_of_a_person(directory: Directory) -> None:
    person = directory.take_on("asha@example.org")
    made = directory.ask("POST", "Groups", {"schemas": [GROUP], "displayName": "Sales"})
    group = json.loads(made.content)["id"]

    assert not group.isdecimal()  # as each id of a person is
    assert person.isdecimal()
    assert directory.ask("GET", f"Groups/{group[1:]}").status_code == 404
    assert directory.ask("GET", f"Users/{group}").status_code == 404


def test_a_group_that_is_renamed_or_taken_away_is_so_for_its_members(
    directory: Directory,
) -> None:
    asha = directory.take_on("asha@example.org")
    made = directory.ask(
        "POST",
        "Groups",
        {"schemas": [GROUP], "displayName": "Sales", "members": [{"value": asha}]},
    )
    key = json.loads(made.content)["id"]

    directory.patch(f"Groups/{key}", {"op": "replace", "path": "displayName", "value": "Trade"})
    assert queries.person("asha@example.org").groups == {"all-staff", "Trade"}

    directory.ask("DELETE", f"Groups/{key}")
    assert queries.person("asha@example.org").groups == {"all-staff"}


@pytest.mark.parametrize("given", ["", "Bearer cmd_WRONGWRONGWRONG", "Basic YTpi"])
def test_without_a_live_token_nothing_is_answered(directory: Directory, given: str) -> None:
    answer = Client(headers={"Authorization": given}).get("/scim/v2/Users")

    assert answer.status_code == 401
    assert "Bearer" in answer.headers["WWW-Authenticate"]


def test_a_revoked_token_lets_nobody_in(directory: Directory) -> None:
    directory_tokens.revoke("entra", actor_id=None, now=NOW)

    assert directory.ask("GET", "Users").status_code == 401
    assert not DirectoryToken.objects.filter(sha256__startswith="cmd_").exists()


@pytest.mark.parametrize("body", ["{", "[]", "[" * 100_000, '{"schemas":[]}'])
def test_a_body_that_is_none_is_refused_with_the_reason(directory: Directory, body: str) -> None:
    answer = directory.client.post("/scim/v2/Users", body, content_type="application/scim+json")

    assert answer.status_code == 400
    assert json.loads(answer.content)["detail"]


def test_each_change_is_in_the_log_and_makes_plans_stale(directory: Directory) -> None:
    before = queries.stamp()
    key = directory.take_on("asha@example.org")
    taken_on = queries.stamp()
    directory.patch(f"Users/{key}", {"op": "replace", "path": "displayName", "value": "Asha"})

    assert len({before, taken_on, queries.stamp()}) == 3
    assert "asha" not in json.dumps(list(Entry.objects.values_list("facts", flat=True))).lower()
