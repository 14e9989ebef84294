"""A gate has a role of its own in the database: it reads what it follows, and nothing else."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from countermand.data_folder import DataFolder
from countermand.enforcement.actions import compile_entries, publish_states
from countermand.gate import rights
from countermand.project.embedded_postgres import GATE, MAIN, EmbeddedPostgres
from tests.apps.gate.test_gate_process import PHONE, database_url, owner_url, shown
from tests.fresh_database import FreshDatabase
from tests.gate_world import ORDER, door, make_folder, now, order_state, publisher, running_gate

WRITES = (
    "INSERT INTO {table} DEFAULT VALUES",
    "UPDATE {table} SET {column} = DEFAULT",
    "DELETE FROM {table}",
    "TRUNCATE {table}",
    "LOCK TABLE {table} IN SHARE ROW EXCLUSIVE MODE",
)


@pytest.fixture
def as_gate(database: FreshDatabase) -> Iterator[psycopg.Connection]:
    """Whoever has the password of a gate, in a database with all tables."""
    with psycopg.connect(database.gate_url, autocommit=True) as connection:
        yield connection


def columns(database: FreshDatabase) -> list[tuple[str, str]]:
    """Every column of every table and view, as the owner sees them."""
    with psycopg.connect(database.url) as owner:
        return owner.execute(
            "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = 'public' ORDER BY table_name, ordinal_position"
        ).fetchall()


def is_refused(connection: psycopg.Connection, what: sql.SQL | sql.Composed) -> bool:
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(what)
    except psycopg.errors.InsufficientPrivilege:
        return True
    return False


def test_a_gate_reads_what_it_follows_and_no_other_column_of_any_table(
    database: FreshDatabase, as_gate: psycopg.Connection
) -> None:
    read = {
        (table, column)
        for table, column in columns(database)
        if not is_refused(
            as_gate,
            sql.SQL("SELECT {} FROM {} LIMIT 1").format(
                sql.Identifier(column), sql.Identifier(table)
            ),
        )
    }

    assert read == {(table, column) for table, names in rights.READS.items() for column in names}
    assert {table for table, _ in read} == {
        "enforcement_doorentry",
        "enforcement_feedhead",
        "enforcement_publishedstate",
    }
    assert not {"person_id", "device_id"} & {column for _, column in read}


def test_a_gate_writes_to_no_table_and_keeps_nobody_else_from_one(
    database: FreshDatabase, as_gate: psycopg.Connection
) -> None:
    first_columns = dict(reversed(columns(database)))

    let = [
        write.format(table=table, column=column)
        for table, column in first_columns.items()
        for write in WRITES
        if not is_refused(
            as_gate,
            sql.SQL(write).format(table=sql.Identifier(table), column=sql.Identifier(column)),
        )
    ]

    assert len(first_columns) > 50
    assert let == []


@pytest.mark.parametrize(
    "what",
    [
        "SELECT address FROM people_person",
        "SELECT address, values FROM notices_notice",
        "SELECT * FROM enforcement_doorentry",
        "SELECT ledger_stop('CM-7Q4K', 1, true)",
        "SELECT ledger_settle('CM-7Q4K', now())",
        "SELECT ledger_claim('sender-1', 1, now())",
        "SELECT ledger_corrections('CM-7Q4K')",
        "SELECT ledger_evidence(1, 'accepted', now(), '')",
        "CREATE TABLE of_a_gate ()",
        "CREATE FUNCTION of_a_gate() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE ROLE of_a_gate",
        "ALTER ROLE countermand PASSWORD 'mine'",
        f"SET ROLE {MAIN}",
        "SET ROLE countermand_sender",
        "SELECT pg_read_file('pg_hba.conf')",
        "COPY enforcement_feedhead TO PROGRAM 'cat'",
        "COPY enforcement_feedhead FROM '/etc/hostname'",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'countermand'",
    ],
)
def test_a_gate_is_refused(database: FreshDatabase, as_gate: psycopg.Connection, what: str) -> None:
    with psycopg.connect(database.url) as owner:  # somebody to be cut off
        owner.execute("SELECT 1")

        assert is_refused(as_gate, sql.SQL(what))


@pytest.mark.usefixtures("committed_doors")
def test_a_gate_with_its_own_role_shuts_a_door_and_says_that_it_may_do_no_more(
    tmp_path: Path,
) -> None:
    folder = with_a_shut_door(tmp_path)

    with running_gate(folder, gate_database_url=database_url()) as gate:
        gate.until("shut", lambda: gate.is_paused(PHONE))

        assert gate.control("GET", "/ready")[1]["has_more_rights"] is False
        assert "\ncountermand_gate_has_more_rights 0.0" in shown(gate)


@pytest.mark.usefixtures("committed_doors")
def test_a_gate_with_the_role_of_the_owner_works_and_says_that_it_may_do_more(
    tmp_path: Path,
) -> None:
    folder = with_a_shut_door(tmp_path)

    with running_gate(folder, database_url=owner_url()) as gate:
        gate.until("shut", lambda: gate.is_paused(PHONE))

        assert gate.control("GET", "/ready")[1]["has_more_rights"] is True


@pytest.mark.parametrize(
    "more",
    [
        "GRANT SELECT (person_id) ON enforcement_doorentry TO countermand_gate",
        "GRANT INSERT ON enforcement_publishedstate TO countermand_gate",
        "GRANT DELETE ON enforcement_override TO countermand_gate",
        "GRANT EXECUTE ON FUNCTION ledger_template(bigint) TO countermand_gate",
    ],
)
def test_one_right_more_than_needed_is_noticed(database: FreshDatabase, more: str) -> None:
    with psycopg.connect(database.url) as owner, psycopg.connect(database.gate_url) as gate:
        assert not rights.are_more_than_needed(gate)

        owner.execute(more)
        owner.commit()

        assert rights.are_more_than_needed(gate)


def test_a_gate_s_role_is_made_in_a_cluster_that_had_none(postgres: EmbeddedPostgres) -> None:
    """As an older version left it: the next start makes it."""
    admin = postgres.url(role="countermand_admin", database="postgres")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"ALTER ROLE {GATE} RENAME TO of_another_time")
        try:
            postgres._make_roles()

            with psycopg.connect(postgres.url(role=GATE, database="postgres")) as gate:
                assert gate.execute("SELECT current_user").fetchone() == (GATE,)
        finally:
            connection.execute(f"DROP ROLE IF EXISTS {GATE}")
            connection.execute(f"ALTER ROLE of_another_time RENAME TO {GATE}")
            postgres._make_roles()  # a password goes with its name


def with_a_shut_door(tmp_path: Path) -> DataFolder:
    folder = make_folder(tmp_path / "data")
    compile_entries(ORDER, [door(PHONE)], publisher=publisher(folder), now=now())
    publish_states([order_state()], publisher=publisher(folder))
    return folder
