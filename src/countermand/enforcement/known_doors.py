"""Doors know every device that is there, before any order: an entry of no order says only that.

Compared and written inside the database, out of what the inventories' and the directory's own
rooms offer as SQL: a million devices are never read into this process, but for the few names that
only `domain.device_key` can fold. What is published cannot shut a door: it names no order, shows
no app, and a gate leaves it out before it judges.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection, transaction

from countermand.devices import door_names
from countermand.domain.device_key import normal_device, normal_login
from countermand.domain.door_record import KNOWN_DEVICE
from countermand.enforcement import queries
from countermand.enforcement.door_claims import IS_PLAIN, LONGEST_DEVICE, LONGEST_LOGIN
from countermand.enforcement.entry_writes import raise_version, tell_gates
from countermand.people import logins
from countermand.people import queries as people

_BATCH: Final = 5_000
# Of all time, this share at most goes into it, however often sources are loaded.
_LARGEST_SHARE: Final = 1 / 20
_LOCK: Final = (1129137997, 0x4B44)  # "CMTM", "KD"

# Texts that folding only writes in small letters; perhaps-hexadecimal words are left to Python.
_NAMES: Final = f"""
    CREATE TEMPORARY TABLE named_doors AS
    SELECT device_id, person_id, address, value,
           CASE WHEN {IS_PLAIN} THEN lower(address COLLATE "C") END AS login,
           lower(value COLLATE "C") AS device_key
    FROM (
        {door_names.DOOR_NAMES}
        UNION ALL
        SELECT used.device_id, used.person_id, password.device_name
        FROM enforcement_devicepassword password
        JOIN ({door_names.USED_DEVICES}) used ON used.device_id = password.device_id
        WHERE password.revoked_at IS NULL
    ) AS name
    JOIN ({logins.LOGINS}) AS person USING (person_id)
    WHERE person.left_on IS NULL
"""  # noqa: S608  (constants of ours)
_ODD: Final = "SELECT device_id, person_id, address, value FROM named_doors WHERE login IS NULL"
# Where two devices show one name, either is known.
_DOORS: Final = """
    CREATE TEMPORARY TABLE known_doors AS
    SELECT DISTINCT ON (login, device_key) login, device_key, device_id, person_id,
           md5('known' || chr(31) || login || chr(31) || device_key) AS checksum
    FROM named_doors
    WHERE login IS NOT NULL AND length(login) <= %s AND length(device_key) <= %s
    ORDER BY login, device_key, device_id
"""
_DIFFERENCES: Final = """
    CREATE TEMPORARY TABLE known_differences AS
    SELECT row_number() OVER () AS n, login, device_key, k.device_id, k.person_id, k.checksum,
           d.id AS entry_id
    FROM known_doors k
    FULL JOIN (
        SELECT * FROM enforcement_doorentry WHERE order_number = '' AND NOT deleted
    ) d USING (login, device_key)
    WHERE d.id IS NULL OR k.device_id IS NULL OR d.checksum <> k.checksum
       OR d.device_id <> k.device_id OR d.person_id <> k.person_id
       OR d.presence <> 'unknown' OR d.may_close
"""
_FACTS: Final = (
    "closes_at, presence, evidence_at, fresh_until, may_close, noticed_at, lock_accepted_at,"
    " attested_at, override_until"
)
_WRITE: Final = f"""
    INSERT INTO enforcement_doorentry
        (login, device_key, order_number, device_id, person_id, checksum, version, deleted,
         {_FACTS})
    SELECT login, device_key, '', device_id, person_id, checksum, %s, false,
           %s, 'unknown', NULL, NULL, false, NULL, NULL, NULL, NULL
    FROM known_differences WHERE n > %s AND n <= %s AND device_id IS NOT NULL
    ON CONFLICT (login, device_key, order_number) DO UPDATE SET
        (device_id, person_id, checksum, version, deleted, {_FACTS}) =
        ROW (EXCLUDED.device_id, EXCLUDED.person_id, EXCLUDED.checksum, EXCLUDED.version, false,
             EXCLUDED.closes_at, 'unknown', NULL, NULL, false, NULL, NULL, NULL, NULL)
"""  # noqa: S608  (constants of ours)
# By its number: by its names PostgreSQL compared every entry with every difference, as long as it
# had not counted the entries.
_REMOVE: Final = """
    UPDATE enforcement_doorentry d SET deleted = true, version = %s
    FROM known_differences x
    WHERE x.n > %s AND x.n <= %s AND x.device_id IS NULL AND d.id = x.entry_id
"""
_CLEAN: Final = "DROP TABLE IF EXISTS named_doors, known_doors, known_differences"


@dataclass(frozen=True, slots=True)
class Published:
    """How many doors became known, and how many are known no more."""

    written: int
    removed: int


class KnownDoors:
    """Keeps doors told of the devices that are there; looks at a stamp while nothing changed.

    What it remembers spares work only: one that begins anew compares everything once.
    """

    def __init__(self, steady_s: Callable[[], float] = time.monotonic) -> None:
        """Remember nothing yet; `steady_s` is a clock that nobody sets."""
        self._steady_s = steady_s
        self._stamp = ""
        self._not_before_s = 0.0

    def follow(self) -> Published | None:
        """Publish what changed; None where nothing did, it is too soon, or another one is at it."""
        began = self._steady_s()
        if began < self._not_before_s:
            return None
        known = stamp()  # before anything is read: what comes meanwhile is for the next time
        if known == self._stamp:
            return None
        published = publish()
        if published is not None:
            self._stamp = known
        took = self._steady_s() - began
        self._not_before_s = began + took / _LARGEST_SHARE
        return published


def stamp() -> str:
    """Return a text that changes whenever a device, its name or its person may have changed."""
    return f"{door_names.stamp()} {queries.passwords_stamp()} {people.stamp()}"


def publish() -> Published | None:
    """Make the entries of no order equal to the devices that are there.

    Only differences are written, 5,000 in one transaction. None while another process does it.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", _LOCK)
        if not cursor.fetchone()[0]:
            return None
        try:
            cursor.execute(_CLEAN)
            differences = _compare(cursor)
            return _write(cursor, differences)
        finally:
            if not connection.needs_rollback:
                cursor.execute(_CLEAN)
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", _LOCK)


def _compare(cursor: Any) -> int:
    cursor.execute(_NAMES)
    _fold_odd_names(cursor)
    cursor.execute(_DOORS, [LONGEST_LOGIN, LONGEST_DEVICE])
    cursor.execute("CREATE UNIQUE INDEX ON known_doors (login, device_key)")
    cursor.execute("ANALYZE known_doors")
    cursor.execute(_DIFFERENCES)
    cursor.execute("CREATE INDEX ON known_differences (n)")
    cursor.execute("ANALYZE known_differences")
    cursor.execute("SELECT count(*) FROM known_differences")
    return int(cursor.fetchone()[0])


def _fold_odd_names(cursor: Any) -> None:
    cursor.execute(_ODD)
    rows = cursor.fetchall()
    with cursor.copy(
        "COPY named_doors (device_id, person_id, login, device_key) FROM STDIN"
    ) as copy:
        for device_id, person_id, address, value in rows:
            device = normal_device(value)
            if device:
                copy.write_row((device_id, person_id, normal_login(address), device))


def _write(cursor: Any, differences: int) -> Published:
    written = removed = 0
    for start in range(0, differences, _BATCH):
        with transaction.atomic():
            version = raise_version()
            cursor.execute(_WRITE, [version, KNOWN_DEVICE.closes_at, start, start + _BATCH])
            written += cursor.rowcount
            cursor.execute(_REMOVE, [version, start, start + _BATCH])
            removed += cursor.rowcount
            tell_gates()
    return Published(written, removed)
