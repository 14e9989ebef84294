"""Worlds of orders: fresh ones, and copies of one that was brought to where many tests begin."""

import copy
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import connections
from pytest_django import DjangoDbBlocker

from countermand.config import Settings
from countermand.project import installation
from countermand.project.settings import database as django_database
from countermand.sender.postgres_ledger import PostgresLedger
from tests.fresh_database import FreshDatabase
from tests.order_world import After, Story, World

Copied = Callable[[FreshDatabase | None], AbstractContextManager[FreshDatabase]]


def use(databases: dict[str, Any]) -> None:
    """Let Django's default connection go elsewhere."""
    django_settings.DATABASES = databases
    connections.settings = connections.configure_settings(databases)
    for each in connections.all(initialized_only=True):
        each.close()
        del connections[each.alias]


@contextmanager
def _connected(url: str, blocker: DjangoDbBlocker) -> Iterator[None]:
    before = django_settings.DATABASES
    with blocker.unblock():
        use({"default": django_database(url)})
        yield
        use(before)


@pytest.fixture
def world(
    database: FreshDatabase, tmp_path: Path, django_db_blocker: DjangoDbBlocker
) -> Iterator[World]:
    """A fresh installation with its own database, over which several connections can be had."""
    settings = Settings(data=tmp_path, database_url=database.url)
    installation.make(settings.folder)
    with _connected(database.url, django_db_blocker):
        made = World(settings)
        yield made
        made.ledger.close()


@dataclass
class Told:
    """Stories that were told once: world, its database, and the number of the order."""

    copied: Copied
    rooms: Path
    blocker: DjangoDbBlocker
    kept: ExitStack
    known: dict[Story, tuple[World, FreshDatabase, str]] = field(default_factory=dict)

    def once(self, story: Story) -> tuple[World, FreshDatabase, str]:
        """Tell a story in a fresh world, unless it was told before."""
        if story not in self.known:
            own = self.kept.enter_context(self.copied(None))
            settings = Settings(data=Path(tempfile.mkdtemp(dir=self.rooms)), database_url=own.url)
            installation.make(settings.folder)
            with _connected(own.url, self.blocker):
                made = World(settings)
                number = story(made)
                made.ledger.close()
            self.known[story] = (made, own, number)
        return self.known[story]


@pytest.fixture(scope="session")
def told_before(
    copied_database: Copied, quick_rooms: Path, django_db_blocker: DjangoDbBlocker
) -> Iterator[Told]:
    """All stories of this run."""
    with ExitStack() as kept:
        yield Told(copied_database, quick_rooms, django_db_blocker, kept)


@pytest.fixture
def after(told_before: Told, tmp_path: Path, django_db_blocker: DjangoDbBlocker) -> Iterator[After]:
    """Return a world after a story, and the number of its order: a copy, for this test alone."""
    with ExitStack() as own:

        def after(story: Story) -> tuple[World, str]:
            then, kept, number = told_before.once(story)
            copied = own.enter_context(told_before.copied(kept))
            shutil.copytree(then.settings.data, tmp_path / "data")
            world = copy.copy(then)
            world.people = copy.deepcopy(then.people)
            world.claims = then.claims.copy()
            world.settings = Settings(data=tmp_path / "data", database_url=copied.url)
            own.enter_context(_connected(copied.url, django_db_blocker))
            world.ledger = PostgresLedger(copied.url)
            own.callback(world.ledger.close)
            return world, number

        yield after
