"""What the doctor says about names to log in with by which no door may know anybody.

Imports say it, too; a directory that writes people by itself has nobody to say it to.
"""

from __future__ import annotations

from typing import Final

import psycopg

from countermand.config import Settings
from countermand.i18n import gettext as _
from countermand.people import logins
from countermand.project.findings import Finding, State

_PATIENCE_S: Final = 3
_SHOWN: Final = 3
_NAME: Final = "logins"


def examine_logins(settings: Settings) -> Finding:
    """Name logins that several people have. Raises psycopg.Error."""
    if not settings.database_url:
        return Finding(_NAME, State.NOTE, _("No database is known."))
    with psycopg.connect(settings.database_url, connect_timeout=_PATIENCE_S) as connection:
        rows = connection.execute(logins.SHARED, [_SHOWN]).fetchall()
    if not rows:
        return Finding(_NAME, State.GOOD, _("No two people have the same login."))
    named = "; ".join(f"{login} ({', '.join(people)})" for login, people, _count in rows)
    return Finding(
        _NAME,
        State.NOTE,
        _(
            "By {count} logins no door knows anybody, because a mail server might mean several "
            "people by each: {logins}."
        ).format(count=rows[0][2], logins=named),
        _(
            "Give everybody a login of their own in the directory; where these are no logins of "
            "the mail server, import without them."
        ),
    )
