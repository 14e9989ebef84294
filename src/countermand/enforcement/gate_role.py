"""What gates read in the database is theirs to read, and nothing else."""

from __future__ import annotations

from django.db import connection, transaction
from psycopg import sql

from countermand.gate import rights


@transaction.atomic
def let_gates_read() -> None:
    """Give the role of gates what it needs, and take away what else it may have been given.

    Nothing where there is no such role: whoever owns the database may not be allowed to make one.
    """
    role = sql.Identifier(rights.ROLE)
    with connection.cursor() as cursor:
        cursor.execute("SELECT FROM pg_roles WHERE rolname = %s", [rights.ROLE])
        if cursor.fetchone() is None:
            return
        for taken in ("TABLES", "SEQUENCES", "FUNCTIONS"):
            cursor.execute(
                sql.SQL("REVOKE ALL ON ALL {} IN SCHEMA public FROM {}").format(
                    sql.SQL(taken), role
                )
            )
        cursor.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(role))
        for table, columns in rights.READS.items():
            cursor.execute(
                sql.SQL("GRANT SELECT ({}) ON {} TO {}").format(
                    sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier(table), role
                )
            )
