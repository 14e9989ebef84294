"""Whatever a directory sends, it gets an answer of SCIM, and what was known of people stays."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from countermand.people.models import DirectoryEntry, DirectoryGroup, Person
from countermand.scim.bodies import MOST_OPERATIONS
from countermand.scim.mapping import MOST_EMAILS
from tests.apps.scim.test_directories import ENTERPRISE, GROUP, PATCH, USER, Directory, directory

__all__ = ["directory"]  # a fixture
pytestmark = pytest.mark.django_db

NO_TEXT = ("\x00", "a\x00b", "\ud800")
SPOILT: dict[str, dict[str, Any]] = {
    **{f"userName {word!r}": {"userName": word} for word in NO_TEXT},
    **{f"displayName {word!r}": {"displayName": word} for word in NO_TEXT},
    **{f"externalId {word!r}": {"externalId": word} for word in NO_TEXT},
    **{f"title {word!r}": {"title": word} for word in NO_TEXT},
    "department": {ENTERPRISE: {"department": "\x00"}},
    "a list for a name": {"userName": ["asha"]},
    "no name": {"userName": " "},
    "addresses without end": {
        "emails": [{"value": f"a{number}@example.org"} for number in range(MOST_EMAILS + 1)]
    },
    "nested too deep": {"x": json.loads("[" * 200 + "]" * 200)},
}


def known() -> tuple[Any, ...]:
    return (
        list(Person.objects.order_by("pk").values()),
        list(DirectoryEntry.objects.order_by("pk").values()),
        list(DirectoryGroup.objects.order_by("pk").values()),
    )


def refused(answer: Any) -> None:
    assert 400 <= answer.status_code < 500, answer.content
    assert json.loads(answer.content)["status"] == str(answer.status_code)


@pytest.mark.parametrize("why", SPOILT)
def test_a_person_that_cannot_be_kept_is_refused(directory: Directory, why: str) -> None:
    key = directory.take_on("asha@example.org")
    before = known()

    person = {"schemas": [USER, ENTERPRISE], "userName": "ravi@example.org"} | SPOILT[why]
    refused(directory.ask("POST", "Users", person))
    refused(directory.ask("PUT", f"Users/{key}", person))

    assert known() == before


@pytest.mark.parametrize("number", ["9" * 5_000, "9" * 30, "१२", "-1", "x"])
def test_a_manager_whom_nobody_knows_is_no_manager(directory: Directory, number: str) -> None:
    key = directory.take_on(
        "asha@example.org",
        **{"schemas": [USER, ENTERPRISE], ENTERPRISE: {"manager": {"value": number}}},
    )

    assert Person.objects.get(pk=int(key)).manager_uid == ""


@pytest.mark.parametrize(
    "operations",
    [
        5,
        "x",
        [None],
        [{"op": "replace", "path": "displayName", "value": "\x00"}],
        [{"op": "replace", "path": "emails[type eq", "value": "x"}],
        [{"op": "replace", "path": ["active"], "value": "False"}],
        [{"op": "remove", "path": "userName"}],
        [{"op": "replace", "path": "displayName", "value": "a"}] * (MOST_OPERATIONS + 1),
    ],
    ids=range(8),
)
def test_changes_that_are_none_are_refused(directory: Directory, operations: Any) -> None:
    key = directory.take_on("asha@example.org")
    before = known()

    refused(directory.ask("PATCH", f"Users/{key}", {"schemas": [PATCH], "Operations": operations}))

    assert known() == before


@pytest.mark.parametrize("word", NO_TEXT)
def test_a_group_that_cannot_be_kept_is_refused(directory: Directory, word: str) -> None:
    for spoilt in ({"displayName": word}, {"displayName": "Sales", "externalId": word}):
        refused(directory.ask("POST", "Groups", {"schemas": [GROUP], **spoilt}))

    assert not DirectoryGroup.objects.exists()


def test_a_key_for_which_there_is_no_room_is_refused_and_never_cut(directory: Directory) -> None:
    """Two people, or two groups, may be the same as far as there is room."""
    group = {"schemas": [GROUP], "displayName": "Sales"}
    asha = {"schemas": [USER], "userName": "asha@example.org"}
    for what, sent in (("Groups", group), ("Users", asha)):
        refused(directory.ask("POST", what, {**sent, "externalId": "x" * 201}))
    refused(directory.ask("POST", "Users", {**asha, "userName": "x" * 201}))
    assert not DirectoryGroup.objects.exists()
    assert not Person.objects.filter(uid__startswith="x").exists()

    for what, sent in (("Groups", group), ("Users", asha)):
        assert directory.ask("POST", what, {**sent, "externalId": "x" * 200}).status_code == 201


@pytest.mark.parametrize("name", ["userName", "externalId", "displayName", "emails.value", "id"])
def test_a_filter_with_what_is_no_text_is_refused(directory: Directory, name: str) -> None:
    for search in ("Users/.search", "Groups/.search", ".search"):
        refused(directory.ask("POST", search, {"filter": f'{name} eq "a\x00"'}))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.sampled_from([*NO_TEXT, "active", "members", "userName eq"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)  # fmt: skip
NAMES = "userName externalId displayName emails active addresses timezone preferredLanguage members"
names = st.sampled_from([*NAMES.split(), "name", "schemas", "Operations", "filter", ENTERPRISE])
PATHS = ["Users", "Groups", "Users/.search", ".search", "Users/1", "Groups/g1"]
# Each asks Django and the database, so by day there are fewer; `make fuzz` sends all of them.
BY_NIGHT = settings().max_examples > 200
EXAMPLES = settings().max_examples if BY_NIGHT else 60


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    max_examples=EXAMPLES,
)
@given(
    method=st.sampled_from(["POST", "PUT", "PATCH"]),
    path=st.sampled_from(PATHS),
    told=st.dictionaries(names, values, max_size=5) | st.just({"Operations": None}),
    operation=st.dictionaries(st.sampled_from(["op", "path", "value"]), values),
)
def test_whatever_is_sent_gets_an_answer(
    directory: Directory, method: str, path: str, told: dict[str, Any], operation: dict[str, Any]
) -> None:
    if not Person.objects.filter(entry__isnull=False).exists():
        key = directory.take_on("asha@example.org")
        directory.ask("POST", "Groups", {"schemas": [GROUP], "displayName": "Sales"})
    else:
        key = str(Person.objects.filter(entry__isnull=False).order_by("pk")[0].pk)
    if "Operations" in told:
        told = {"schemas": [PATCH], "Operations": [operation]}
    kind = GROUP if path.startswith("Groups") else USER
    body = {"schemas": [kind], "userName": "ravi@example.org"} | told

    answer = directory.ask(method, path.replace("1", key), body)

    assert answer.status_code < 500


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(raw=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_bytes_that_are_no_body_are_refused(directory: Directory, raw: bytes) -> None:
    answer = directory.client.generic(
        "POST", "/scim/v2/Users", raw, content_type="application/scim+json"
    )

    refused(answer)
