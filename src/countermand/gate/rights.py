"""What a gate may do in the database: read these columns, and nothing else.

Everything else that it says goes out by its control port, to whoever asks there.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import psycopg

ROLE: Final = "countermand_gate"
READS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "enforcement_doorentry": (
            *("id", "login", "device_key", "order_number", "presence", "may_close"),
            *("evidence_at", "fresh_until", "closes_at", "noticed_at", "lock_accepted_at"),
            *("attested_at", "override_until", "version", "deleted", "checksum"),
        ),
        "enforcement_feedhead": ("id", "version"),
        "enforcement_publishedstate": ("sequence", "payload", "signature", "key_id"),
    }
)
# A function that acts as its owner gives more than a role has; any other does not.
_MORE: Final = """
    SELECT EXISTS (
        SELECT FROM pg_roles WHERE rolname = current_user
        AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls)
    ) OR EXISTS (
        SELECT FROM pg_class AS one WHERE relnamespace = 'public'::regnamespace
        AND relkind IN ('r', 'p', 'v', 'm', 'f')
        AND (has_table_privilege(one.oid, 'DELETE, TRUNCATE')
             OR has_any_column_privilege(one.oid, 'INSERT, UPDATE'))
    ) OR EXISTS (
        SELECT FROM pg_class AS one JOIN pg_attribute AS part ON attrelid = one.oid
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f')
        AND attnum > 0 AND NOT attisdropped
        AND NOT relname || '.' || attname = ANY (%s)
        AND has_column_privilege(one.oid, attnum, 'SELECT')
    ) OR EXISTS (
        SELECT FROM pg_proc WHERE pronamespace = 'public'::regnamespace
        AND prosecdef AND has_function_privilege(oid, 'EXECUTE')
    )
"""


def are_more_than_needed(connection: psycopg.Connection[Any]) -> bool:
    """Tell whether whoever is connected may do more here than a gate needs."""
    needed = [f"{table}.{column}" for table, names in READS.items() for column in names]
    row = connection.execute(_MORE, [needed]).fetchone()
    return bool(row and row[0])
