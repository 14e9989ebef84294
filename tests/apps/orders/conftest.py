from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connections
from pytest_django import DjangoDbBlocker

from countermand.config import Settings
from countermand.project import installation
from countermand.project.settings import database as django_database
from tests.fresh_database import FreshDatabase
from tests.order_world import World


def use(databases: dict[str, Any]) -> None:
    """Let Django's default connection go elsewhere."""
    django_settings.DATABASES = databases
    connections.settings = connections.configure_settings(databases)
    for each in connections.all(initialized_only=True):
        each.close()
        del connections[each.alias]


@pytest.fixture
def world(
    database: FreshDatabase, tmp_path: Path, django_db_blocker: DjangoDbBlocker
) -> Iterator[World]:
    """A fresh installation with its own database, over which several connections can be had."""
    settings = Settings(data=tmp_path, database_url=database.url)
    installation.make(settings.folder)
    before = django_settings.DATABASES
    with django_db_blocker.unblock():
        use({"default": django_database(database.url)})
        made = World(settings)
        yield made
        made.ledger.close()
        use(before)
