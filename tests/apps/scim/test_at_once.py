"""Directories send several changes at once: none is lost."""

import json
import threading
import time
from datetime import UTC, datetime

import pytest
from django.db import connection

from countermand.people import directory_groups, provisioning
from tests.apps.scim import test_directories
from tests.apps.scim.test_directories import GROUP, Directory

pytestmark = pytest.mark.django_db(transaction=True)
NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)
directory = test_directories.directory


def test_two_members_who_are_added_at_once_are_both_in_the_group(directory: Directory) -> None:
    asha, ben = (directory.take_on(f"{name}@example.org") for name in ("asha", "ben"))
    made = directory.ask("POST", "Groups", {"schemas": [GROUP], "displayName": "Sales"})
    key = json.loads(made.content)["id"]
    answers = []

    def add_ben() -> None:
        change = {"op": "Add", "path": "members", "value": [{"value": ben}]}
        answers.append(directory.patch(f"Groups/{key}", change).status_code)
        connection.close()

    second = threading.Thread(target=add_ben)
    with provisioning.alone():
        directory_groups.put_group(
            "Sales", external_id="", members={int(asha)}, key=int(key[1:]), now=NOW
        )
        second.start()
        _until_somebody_waits()
    second.join()

    assert answers == [200]
    assert set(directory_groups.group(int(key[1:])).members) == {int(asha), int(ben)}


def _until_somebody_waits() -> None:
    """Wait until another session stands before the lock that this one holds."""
    for _ in range(500):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            )
            if cursor.fetchone()[0]:
                return
        time.sleep(0.02)
    raise AssertionError("nobody waits")
