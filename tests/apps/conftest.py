"""One embedded PostgreSQL for the whole run; databases are copies of one migrated template.

- `db`, `transactional_db` (pytest-django): Django's own connection, rolled back or emptied.
- `committed_doors`: Django's own connection, and what gates are told is really committed.
- `database`: a fresh database of one's own with both addresses, for tests of real processes and
  of several connections; dropped afterwards.
"""

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import django
import psycopg
import pytest
from django.conf import settings
from django.db import connections
from psycopg import sql
from pytest_django import DjangoDbBlocker

from countermand.data_folder import DataFolder
from countermand.project import postgres_home, tables
from countermand.project.embedded_postgres import (
    ADMIN,
    GATE,
    MAIN,
    SENDER,
    EmbeddedPostgres,
    Passwords,
)
from countermand.project.settings import database as django_database
from tests.fresh_database import FreshDatabase

# Before any test module is imported: they name models at their head.
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "countermand.project.settings")
django.setup()

TEMPLATE = "template_of_tests"
ROOM_FOR_A_RUN = 2 * 1024**3  # bytes
_numbers = itertools.count(1)


def _quick_folder() -> Path | None:
    """A folder in memory if it has room, and programs may run there; else the usual one.

    Every copy of the template is some 400 files: ten times quicker in memory than on a disk.
    """
    memory = Path("/dev/shm")  # never trusted: PostgreSQL's own folder in it is private
    if not os.access(memory, os.W_OK | os.X_OK):
        return None
    room = os.statvfs(memory)
    roomy = room.f_bavail * room.f_frsize >= ROOM_FOR_A_RUN
    return memory if roomy and not room.f_flag & os.ST_NOEXEC else None


@pytest.fixture(scope="session")
def quick_rooms() -> Iterator[Path]:
    """The folder of all folders of tests."""
    folder = Path(tempfile.mkdtemp(prefix="cm-rooms-", dir=_quick_folder()))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def tmp_path(quick_rooms: Path) -> Iterator[Path]:
    """A folder for this test alone, in memory if possible (in place of pytest's own).

    What Countermand writes it writes durably; no test here cuts the power, so none has to wait
    for the disk.
    """
    folder = Path(tempfile.mkdtemp(dir=quick_rooms))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """The server of this run; not durable, since nothing in it outlives the run."""
    # Not pytest's own folder: as root that one is closed to the user that PostgreSQL runs as.
    folder = Path(tempfile.mkdtemp(prefix="cm-test-", dir=_quick_folder()))
    folder.chmod(0o711)
    home = postgres_home.choose(DataFolder(folder))
    server = EmbeddedPostgres(home, Passwords("admin", "main", "sender", "gate"), durable=False)
    server.start()
    yield server
    server.stop()
    shutil.rmtree(home.base)
    shutil.rmtree(folder, ignore_errors=True)


def _use(url: str) -> None:
    """Let Django's default connection go to this database."""
    settings.DATABASES = {"default": django_database(url)}
    connections.settings = connections.configure_settings(settings.DATABASES)
    for each in connections.all(initialized_only=True):
        each.close()
        del connections[each.alias]


def _copy(server: EmbeddedPostgres, name: str, of: str = TEMPLATE) -> None:
    with psycopg.connect(server.url(role=ADMIN, database="postgres"), autocommit=True) as admin:
        admin.execute(
            sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {} STRATEGY file_copy").format(
                sql.Identifier(name), sql.Identifier(MAIN), sql.Identifier(of)
            )
        )


@pytest.fixture(scope="session")
def template(postgres: EmbeddedPostgres, django_db_blocker: DjangoDbBlocker) -> EmbeddedPostgres:
    """The server, with a database that has all migrations."""
    with psycopg.connect(postgres.url(role=ADMIN, database="postgres"), autocommit=True) as admin:
        admin.execute(
            sql.SQL("CREATE DATABASE {} OWNER {}").format(
                sql.Identifier(TEMPLATE), sql.Identifier(MAIN)
            )
        )
    with django_db_blocker.unblock():
        _use(postgres.url(database=TEMPLATE))
        tables.bring_up_to_date()
        connections["default"].close()
    return postgres


@pytest.fixture(scope="session")
def django_db_setup(
    template: EmbeddedPostgres, django_db_blocker: DjangoDbBlocker
) -> Iterator[None]:
    """Give Django's connection a copy of the template (in place of pytest-django's own way)."""
    name = f"test_main_{os.getpid()}"
    _copy(template, name)
    with django_db_blocker.unblock():
        _use(template.url(database=name))
        yield
        connections["default"].close()


@contextmanager
def _own_database(server: EmbeddedPostgres, of: str = TEMPLATE) -> Iterator[FreshDatabase]:
    name = f"test_{next(_numbers)}"
    _copy(server, name, of)
    yield FreshDatabase(
        url=server.url(database=name),
        sender_url=server.url(role=SENDER, database=name),
        gate_url=server.url(role=GATE, database=name),
    )
    with psycopg.connect(server.url(role=ADMIN, database="postgres"), autocommit=True) as admin:
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def database(template: EmbeddedPostgres) -> Iterator[FreshDatabase]:
    """A fresh, migrated database for this test alone."""
    with _own_database(template) as fresh:
        yield fresh


@pytest.fixture(scope="session")
def copied_database(
    template: EmbeddedPostgres,
) -> Callable[[FreshDatabase | None], AbstractContextManager[FreshDatabase]]:
    """Make a copy of a database to which nobody is connected, or of the migrated one."""

    def copied(of: FreshDatabase | None) -> AbstractContextManager[FreshDatabase]:
        return _own_database(template, urlsplit(of.url).path[1:] if of else TEMPLATE)

    return copied


@pytest.fixture
def committed_doors(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Really commit, and empty these few tables only: emptying all of them takes seconds."""
    from countermand.enforcement.models import (  # noqa: PLC0415 - Django is set up above
        DoorEntry,
        FeedHead,
        Override,
        PublishedState,
    )

    with django_db_blocker.unblock():
        yield
        for each in (DoorEntry, FeedHead, Override, PublishedState):
            each.objects.all().delete()
        connections["default"].close()
