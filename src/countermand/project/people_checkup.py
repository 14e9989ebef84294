"""What the doctor says about the list of people: whether somebody who has gone can leave it.

A row that names nobody may be anybody's, so while a list has one, nobody leaves for missing in it.
Once is an accident; in every list it means that nobody ever leaves.
"""

from __future__ import annotations

from typing import Final

import psycopg

from countermand.config import Settings
from countermand.i18n import gettext as _
from countermand.project.findings import Finding, State

LISTS: Final = 3
_PATIENCE_S: Final = 3
_NAME: Final = "people"
_LAST: Final = """
    SELECT (facts ->> 'rows_of_nobody')::int, (facts ->> 'missing_that_stay')::int
    FROM audit_entry WHERE event = 'people.loaded' ORDER BY id DESC LIMIT %s
"""


def examine_people(settings: Settings) -> Finding:
    """Look at the last lists that were taken over. Raises psycopg.Error."""
    if not settings.database_url:
        return Finding(_NAME, State.NOTE, _("No database is known."))
    with psycopg.connect(settings.database_url, connect_timeout=_PATIENCE_S) as connection:
        lists = connection.execute(_LAST, [LISTS]).fetchall()
    if len(lists) < LISTS or not all(rows and people for rows, people in lists):
        return Finding(_NAME, State.GOOD, _("Whoever is missing in a list of people leaves."))
    rows, people = lists[0]
    return Finding(
        _NAME,
        State.BAD,
        _(
            "Nobody left for missing in the last {lists} lists of people: each had rows that name "
            "nobody (the last one {rows}). People who are missing and stay: {people}."
        ).format(lists=LISTS, rows=rows, people=people),
        _(
            "Mend those rows where the list is made, or take them out of it; import people with "
            "--dry-run names them. Whoever the list itself says has left, by a day or a status, "
            "leaves all the same."
        ),
    )
