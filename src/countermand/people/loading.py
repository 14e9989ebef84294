"""A whole directory beside what is known, compared and written by the database.

Records are copied into a table that lives as long as the transaction, one after the other: however
long the list is, no list of it is held here. Called inside a transaction that may be rolled back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import islice, starmap
from typing import Any, Final, LiteralString

from django.db import connection

from countermand import older_objects
from countermand.copy_text import NULL, array, day, escaped, is_odd
from countermand.domain.address import folded_name
from countermand.domain.directory import PersonRecord
from countermand.people import logins
from countermand.people.logins import SharedLogins
from countermand.people.queries import NOWHERE

_LINES_AT_ONCE: Final = 500
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtext('import:people'))"
_ROOM: Final = "SELECT set_config('work_mem', '96MB', true)"  # hashes and sorts, in memory
_TABLE: Final = """
    CREATE TEMPORARY TABLE people_told (
        place bigint, uid text, folded_uid text, name text, local_name text, address text,
        other_addresses text[], second_mailboxes text[], logins text[], language text,
        country text, zone text, groups text[], unit text, manager text, delegates text[],
        absent_until date, knows_no_leave boolean, left_on date
    ) ON COMMIT DROP
"""
_COPY: Final = "COPY people_told FROM STDIN"
_ANALYZE: Final = "ANALYZE people_told (uid, folded_uid, address, manager)"
_ANALYZE_NEXT: Final = "ANALYZE people_next (person_id, address)"
# Of each word that names a manager or delegate, who is meant. A key counts before an address. Words
# come folded: a key in other letters may be an address, whose domain is in ASCII in the word.
_KEYS: Final = """
    CREATE TEMPORARY TABLE people_keys ON COMMIT DROP AS
    WITH words AS (
        SELECT manager AS key FROM people_told UNION SELECT unnest(delegates) FROM people_told
    )
    SELECT DISTINCT ON (key) key, uid FROM (
        SELECT key, uid, 0 AS rank FROM words JOIN people_told ON uid = key
        UNION ALL SELECT key, uid, 1 FROM words JOIN people_told ON lower(uid) = key
        UNION ALL SELECT key, uid, 1 FROM words JOIN people_told ON folded_uid = key
        UNION ALL SELECT key, uid, 2 FROM words JOIN people_told ON address = key
    ) AS known ORDER BY key, rank
"""
# Somebody of another name on the address is a successor: roles and tokens are not inherited.
_NEXT: Final = """
    CREATE TEMPORARY TABLE people_next ON COMMIT DROP AS
    SELECT told.place, coalesce(same.id, other.id) AS person_id, told.uid, told.name,
        told.local_name, told.address, told.other_addresses::varchar[],
        told.second_mailboxes::varchar[],
        -- Whoever has left logs in no more, and the name may be somebody else's next.
        CASE WHEN told.left_on <= %(today)s THEN '{}' ELSE told.logins END::varchar[] AS logins,
        told.language, told.country, told.zone,
        told.groups::varchar[], told.unit, coalesce(manager.uid, '') AS manager_uid,
        coalesce(delegates.uids, '{}')::varchar[] AS delegate_uids, told.left_on,
        CASE WHEN told.knows_no_leave THEN coalesce(same.absent_until, other.absent_until)
            ELSE told.absent_until END AS absent_until
    FROM people_told AS told
    LEFT JOIN people_person AS same ON same.uid = told.uid
    LEFT JOIN (
        SELECT * FROM people_person AS person
        WHERE person.left_on IS NULL
            AND NOT EXISTS (SELECT FROM people_told AS told WHERE told.uid = person.uid)
    ) AS other ON same.id IS NULL AND other.address = told.address
        AND lower(other.name) = lower(told.name)
    LEFT JOIN people_keys AS manager ON manager.key = told.manager
    LEFT JOIN (
        SELECT each.place, array_agg(DISTINCT known.uid ORDER BY known.uid) AS uids
        FROM people_told AS each, unnest(each.delegates) AS word
        JOIN people_keys AS known ON known.key = word
        WHERE known.uid <> each.uid GROUP BY each.place
    ) AS delegates ON delegates.place = told.place
"""
_AWAY: Final = "DROP TABLE IF EXISTS people_told, people_keys, people_next"
_FIELDS: Final = (
    "uid",
    "name",
    "local_name",
    "address",
    "other_addresses",
    "second_mailboxes",
    "logins",
    "language",
    "country",
    "zone",
    "groups",
    "unit",
    "manager_uid",
    "delegate_uids",
    "absent_until",
    "left_on",
)
_OURS: Final = ", ".join(f"person.{name}" for name in _FIELDS)
_TOLD: Final = ", ".join(f"told.{name}" for name in _FIELDS)
_DIFFERS: Final = f"ROW({_OURS}) IS DISTINCT FROM ROW({_TOLD})"
_TALLY: Final = f"""
    SELECT count(*), count(*) FILTER (WHERE told.person_id IS NULL),
           count(*) FILTER (WHERE told.person_id IS NULL AND told.left_on <= %(today)s),
           count(*) FILTER (WHERE told.person_id IS NOT NULL AND {_DIFFERS})
    FROM people_next AS told LEFT JOIN people_person AS person ON person.id = told.person_id
"""  # noqa: S608 - made of the names above alone
_HERE: Final = "(person.left_on IS NULL OR person.left_on > %(today)s)"
_LEFT: Final = f"""
    SELECT count(*), count(*) FILTER (WHERE told.left_on <= %(today)s
        OR %(is_whole)s AND told.person_id IS NULL AND person.uid <> ALL(%(left_out)s)),
        count(*) FILTER (WHERE NOT %(is_whole)s AND told.person_id IS NULL
            AND person.uid <> ALL(%(left_out)s))
    FROM people_person AS person LEFT JOIN people_next AS told ON told.person_id = person.id
    WHERE {_HERE}
"""  # noqa: S608
_LANGUAGES: Final = "SELECT language, count(*) FROM people_next GROUP BY language ORDER BY language"
# An address may change hands within one import: it is let go before it is given on.
_LET_GO: Final = """
    UPDATE people_person AS person SET address = 'given-on-' || person.id || %(nowhere)s
    FROM people_next AS told
    WHERE told.address = person.address AND told.person_id IS DISTINCT FROM person.id
"""
_CHANGE: Final = f"""
    UPDATE people_person AS person SET ({", ".join(_FIELDS)}) = ROW({_TOLD})
    FROM people_next AS told WHERE told.person_id = person.id AND {_DIFFERS}
"""  # noqa: S608
_ADD: Final = f"""
    INSERT INTO people_person ({", ".join(_FIELDS)})
    SELECT {_TOLD} FROM people_next AS told
    WHERE told.person_id IS NULL ORDER BY told.place
"""  # noqa: S608
_LEAVE: Final = f"""
    UPDATE people_person AS person SET left_on = %(today)s, logins = '{{}}'
    WHERE {_HERE} AND person.uid <> ALL(%(left_out)s)
        AND NOT EXISTS (SELECT FROM people_next AS told WHERE told.person_id = person.id)
"""  # noqa: S608


@dataclass(frozen=True, slots=True)
class Tally:
    """What writing would do, in numbers of people.

    `left` are those who were here; `came_as_left` are new, and have left already. Those missing
    in a list that is not whole stay: `missing_that_stay`.
    """

    rows: int
    new: int
    came_as_left: int
    changed: int
    here_before: int
    left: int
    missing_that_stay: int
    languages: Mapping[str, int]
    shared_logins: SharedLogins

    @property
    def unchanged(self) -> int:
        """How many are as they were."""
        return self.rows - self.new - self.changed


def lay_out(records: Iterable[PersonRecord], *, today: date) -> None:
    """Copy what a directory says into the table, and find out who is who."""
    with connection.cursor() as cursor:
        for statement in (_LOCK, _ROOM, _AWAY, _TABLE):
            cursor.execute(statement)
        lines = starmap(_line, enumerate(records))
        with older_objects.at_rest(), cursor.copy(_COPY) as copy:
            while some := "".join(islice(lines, _LINES_AT_ONCE)):
                copy.write(some)
        for statement in (_ANALYZE, _KEYS):
            cursor.execute(statement)
        cursor.execute(_NEXT, {"today": today})
        cursor.execute(_ANALYZE_NEXT)


def _line(place: int, record: PersonRecord) -> str:
    """Return a record as COPY reads it."""
    texts = [
        record.uid,
        record.name,
        record.local_name,
        record.address,
        record.language,
        record.country,
        record.zone,
        record.unit,
        record.manager,
    ]
    if is_odd("".join(texts)):
        texts = [escaped(text) for text in texts]
    uid, name, local_name, address, language, country, zone, unit, manager = texts
    folded = NULL if record.uid.isascii() else escaped(folded_name(record.uid))
    others, seconds, beside, groups, delegates = (
        array(each) if each else "{}"
        for each in (
            record.other_addresses,
            record.second_mailboxes,
            record.logins,
            record.groups,
            record.delegates,
        )
    )
    return (
        f"{place}\t{uid}\t{folded}\t{name}\t{local_name}\t{address}\t{others}\t{seconds}\t"
        f"{beside}\t{language}\t{country}\t{zone}\t{groups}\t{unit}\t{manager}\t{delegates}\t{day(record.absent_until)}\t"
        f"{record.knows_no_leave}\t{day(record.left_on)}\n"
    )


def compare(*, left_out: Sequence[str], is_whole: bool, today: date) -> Tally:
    """Return what `write` would do; nobody in `left_out` (by uid) counts as gone.

    Nor does anybody else, unless the list is whole: nobody's row was left out unnamed.
    """
    rows, new, came_as_left, changed = _one(_TALLY, {"today": today})
    missing = {"left_out": list(left_out), "is_whole": is_whole}
    here, left, staying = _one(_LEFT, {"today": today, **missing})
    with connection.cursor() as cursor:
        cursor.execute(_LANGUAGES)
        languages = dict(cursor.fetchall())
    return Tally(
        rows=rows,
        new=new,
        came_as_left=came_as_left,
        changed=changed,
        here_before=here,
        left=left,
        missing_that_stay=staying,
        languages=languages,
        shared_logins=logins.shared("people_next", key="place"),
    )


def write(tally: Tally, *, left_out: Sequence[str], is_whole: bool, today: date) -> None:
    """Make the list of people equal to what was laid out; only differences are written."""
    with connection.cursor() as cursor:
        if is_whole:
            cursor.execute(_LEAVE, {"today": today, "left_out": list(left_out)})
        cursor.execute(_LET_GO, {"nowhere": NOWHERE})
        if tally.changed:
            cursor.execute(_CHANGE)
        if tally.new:
            cursor.execute(_ADD)
        if tally.new or tally.changed:
            cursor.execute("ANALYZE people_person")  # by itself it waits a minute


def clear_away() -> None:
    """Take the table away at once, for whoever goes on in the same transaction."""
    with connection.cursor() as cursor:
        cursor.execute(_AWAY)


def _one(statement: LiteralString | str, values: Mapping[str, Any]) -> tuple[int, ...]:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        row = cursor.fetchone()
    if row is None:
        raise AssertionError("a count gives a row")
    return tuple(row)
