"""What the doctor says about reports of forged mail: has anybody looked at them?

The look-up page promises that we look. A report of today is worth knowing; one that nobody has
looked at for a day is a promise that was not kept.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import psycopg

from countermand.config import Settings
from countermand.domain.check_code import Said
from countermand.i18n import gettext as _
from countermand.project.findings import Finding, State

LONGEST_UNSEEN: Final = timedelta(days=1)
_PATIENCE_S: Final = 3
_NAME: Final = "reports"
_WAITING: Final = """
    SELECT count(*), count(*) FILTER (WHERE at <= %(long_ago)s)
    FROM orders_staffanswer WHERE kind = %(report)s AND looked_at IS NULL
"""


def examine_reports(settings: Settings, *, now: datetime) -> Finding:
    """Count the reports that nobody has looked at, whoever made them. Raises psycopg.Error."""
    if not settings.database_url:
        return Finding(_NAME, State.NOTE, _("No database is known."))
    asked = {"long_ago": now - LONGEST_UNSEEN, "report": Said.REPORT.value}
    with psycopg.connect(settings.database_url, connect_timeout=_PATIENCE_S) as connection:
        waiting, long = connection.execute(_WAITING, asked).fetchone() or (0, 0)
    if not waiting:
        return Finding(_NAME, State.GOOD, _("Somebody has looked at every report of forged mail."))
    line = _(
        "Reports of forged mail that nobody has looked at: {count}, for more than a day: {long}."
    )
    return Finding(
        _NAME,
        State.BAD if long else State.NOTE,
        line.format(count=waiting, long=long),
        _("Look into them (countermand order reports), then add --looked-at to that."),
    )
