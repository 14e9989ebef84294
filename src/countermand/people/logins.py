"""By which names people log in to mail: the address, and logins beside it that are theirs alone.

A login that two people have, or that is an address of somebody else, is nobody's: by it a door
would shut the mail of the wrong person. What is whose follows from what directories said last; it
is kept nowhere. SQL for rooms above, to join with, so that a million logins stay in the database.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from django.db import connection

_MOST_SHOWN: Final = 20
# Of each login asked about: everybody whom a server might mean by it. Whoever left today by the
# database's date may still be meant, and that shuts nothing.
_MEANT: Final = """
    WITH asked AS MATERIALIZED (
        SELECT unnest(logins) AS login FROM {people} AS person WHERE logins <> '{{}}' AND {whose}
    )
    SELECT login, {key} AS id FROM {people} AS person, unnest(logins) AS login
    WHERE logins <> '{{}}' AND login IN (SELECT login FROM asked)
    UNION ALL SELECT address, {key} FROM {people} AS person
    WHERE address IN (SELECT login FROM asked) AND {here}
    UNION ALL SELECT other, {key} FROM {people} AS person, unnest(other_addresses) AS other
    WHERE other IN (SELECT login FROM asked) AND {here}
"""
_HERE: Final = "(left_on IS NULL OR left_on >= current_date)"


def _meant(people: str, *, key: str, whose: str) -> str:
    return _MEANT.format(people=people, key=key, whose=whose, here=_HERE)


def _beside(whose: str) -> str:
    return f"""
        SELECT min(id) AS person_id, login
        FROM ({_meant("people_person", key="id", whose=whose)}) AS meant
        GROUP BY login HAVING min(id) = max(id)
    """  # noqa: S608  (constants of ours)


# person_id, address (a name to log in with), left_on; of everybody ever known
LOGINS: Final = f"""
    SELECT id AS person_id, address, left_on FROM people_person
    UNION ALL
    SELECT person.id, beside.login, person.left_on
    FROM ({_beside("true")}) AS beside JOIN people_person AS person ON person.id = beside.person_id
"""  # noqa: S608  (constants of ours)
_ALL_BESIDE: Final = _beside("true")
_BESIDE_OF: Final = _beside("id = ANY(%s)")


def _shared(people: str, *, key: str) -> str:
    return f"""
        SELECT login, array_agg(DISTINCT person.address ORDER BY person.address), count(*) OVER ()
        FROM ({_meant(people, key=key, whose="true")}) AS meant
        JOIN {people} AS person ON person.{key} = meant.id
        GROUP BY login HAVING min(meant.id) <> max(meant.id) ORDER BY login LIMIT %s
    """  # noqa: S608  (constants of ours)


# The first logins that several people have, with the addresses of these, and how many there are.
SHARED: Final = _shared("people_person", key="id")


@dataclass(frozen=True, slots=True)
class SharedLogin:
    """A login that a server might mean several people by; these are their addresses."""

    login: str
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SharedLogins:
    """The first logins that are nobody's because several people have them, and how many are."""

    count: int = 0
    first: tuple[SharedLogin, ...] = ()


def beside(person_ids: Collection[int] | None) -> dict[int, tuple[str, ...]]:
    """Return the logins beside the address of these people (None: of all), sorted.

    Who has none is left out.
    """
    found: dict[int, tuple[str, ...]] = {}
    with connection.cursor() as cursor:
        if person_ids is None:
            cursor.execute(_ALL_BESIDE)
        else:
            cursor.execute(_BESIDE_OF, [list(person_ids)])
        for person_id, login in sorted(cursor.fetchall()):
            found[person_id] = (*found.get(person_id, ()), login)
    return found


def shared(people: str = "people_person", *, key: str = "id") -> SharedLogins:
    """Return the logins that several people have in a table of people."""
    with connection.cursor() as cursor:
        cursor.execute(_shared(people, key=key), [_MOST_SHOWN])
        rows = cursor.fetchall()
    first = tuple(SharedLogin(login, tuple(addresses)) for login, addresses, _ in rows)
    return SharedLogins(rows[0][2] if rows else 0, first)
