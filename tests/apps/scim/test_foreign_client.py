"""A foreign client goes through every attribute that we publish."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from scim2_client.engines.wsgi import WSGISCIMClient
from scim2_tester import Status, check_server, filling

from countermand.people import directory_tokens

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)


@pytest.fixture
def one_connection() -> Iterator[None]:
    """Keep the connection of the test open between requests, as Django's own client does."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def knows_dates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have it say a date where one belongs: by itself it says any word, and expects it back."""
    examples = filling.get_random_example_value

    def example(path: Any) -> Any:
        is_date = str(path).endswith(("absentUntil", "absent_until"))
        return NOW if is_date else examples(path)

    monkeypatch.setattr(filling, "get_random_example_value", example)


@pytest.fixture
def client(one_connection: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WSGISCIMClient:
    monkeypatch.setenv("COUNTERMAND_DATA", str(tmp_path))
    token = directory_tokens.issue("tester", actor_id=None, now=NOW)
    return WSGISCIMClient(
        WSGIHandler(),
        base_url="http://localhost/scim/v2",
        headers={"Authorization": f"Bearer {token}"},
    )


@pytest.mark.usefixtures("knows_dates")
@pytest.mark.timeout(300)  # it goes through every attribute, in every way
@pytest.mark.parametrize("kind", ["User", "Group"])
def test_the_foreign_client_finds_nothing_wrong(client: WSGISCIMClient, kind: str) -> None:
    results = check_server(client, resource_types=[kind])

    wrong = [
        f"{each.title} {each.resource_type}: {each.reason}"
        for each in results
        if each.status not in {Status.SUCCESS, Status.SKIPPED, Status.ACCEPTABLE}
        and not _is_added_to_a_list(each.data)
    ]
    assert wrong == [], "\n".join(wrong)
    assert len([each for each in results if each.status is Status.SUCCESS]) > 20


def _is_added_to_a_list(data: Any) -> bool:
    """Whether a list ends in what was added to it, as RFC 7644 (3.5.2.1) has it.

    The client adds our extension with a list in it, then to that list, and expects the last alone.
    """
    if not isinstance(data, dict) or not isinstance(data.get("expected"), list):
        return False
    expected, actual = data["expected"], data.get("modify_actual")
    return isinstance(actual, list) and bool(expected) and actual[-len(expected) :] == expected
