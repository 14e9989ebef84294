import psycopg

from tests.fresh_database import FreshDatabase


def test_the_ledger_functions_are_there(database: FreshDatabase) -> None:
    with psycopg.connect(database.url) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_proc WHERE proname LIKE 'ledger\\_%'"
        ).fetchone()

    assert row == (29,)
