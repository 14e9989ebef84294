"""The embedded PostgreSQL is private, and comes back after every kind of death."""

import psycopg
import pytest
from django.db import connection

from tests.fresh_database import FreshDatabase


@pytest.mark.django_db
def test_django_reaches_the_migrated_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM django_migrations")
        assert cursor.fetchone()[0] > 0


def test_a_fresh_database_is_open_to_its_owner(database: FreshDatabase) -> None:
    with psycopg.connect(database.url) as guest:
        assert guest.execute("SELECT current_user").fetchone() == ("countermand",)
