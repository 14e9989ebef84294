"""A foreign client goes through every attribute that we publish."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from scim2_client.engines.wsgi import WSGISCIMClient
from scim2_tester import Status, check_server

from countermand.people import provisioning

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
def client(one_connection: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WSGISCIMClient:
    monkeypatch.setenv("COUNTERMAND_DATA", str(tmp_path))
    token = provisioning.issue_directory_token("tester", actor_id=None, now=NOW)
    return WSGISCIMClient(
        WSGIHandler(),
        base_url="http://localhost/scim/v2",
        headers={"Authorization": f"Bearer {token}"},
    )


@pytest.mark.timeout(300)  # it goes through every attribute, in every way
@pytest.mark.parametrize("kind", ["User", "Group"])
def test_the_foreign_client_finds_nothing_wrong(client: WSGISCIMClient, kind: str) -> None:
    results = check_server(client, resource_types=[kind])

    wrong = [
        f"{each.title} {each.resource_type}: {each.reason}"
        for each in results
        if each.status not in {Status.SUCCESS, Status.SKIPPED, Status.ACCEPTABLE}
    ]
    assert wrong == []
    assert len([each for each in results if each.status is Status.SUCCESS]) > 20
