"""What the doctor says about orders that nobody has decided on for too long.

A paused order is no end, and no order stands for ever: after four hours of a pause, and after the
day on which an order was to be looked at again, somebody is asked.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import psycopg

from countermand.config import Settings
from countermand.domain.lifecycle import Phase
from countermand.i18n import gettext as _
from countermand.project.findings import Finding, State

LONGEST_PAUSE: Final = timedelta(hours=4)
_PATIENCE_S: Final = 3
_NAME: Final = "orders"
STANDING: Final = [
    each.value
    for each in (
        Phase.SENDING,
        Phase.NOTIFIED,
        Phase.ENFORCING,
        Phase.COLLECTING,
        Phase.HANDED_OVER,
        Phase.PAUSED,
    )
]
_WAITING: Final = """
    SELECT number, paused_at <= %(paused_by)s AS is_paused_long, review_on < %(today)s AS is_over
    FROM (
        SELECT one.number, CASE one.phase WHEN 'paused' THEN one.paused_at END AS paused_at,
               (text.content -> 'order' ->> 'review_on')::date AS review_on
        FROM orders_order AS one
        JOIN orders_revision AS text
          ON text.order_id = one.number AND text.number = one.revision_number
        WHERE one.phase = ANY(%(standing)s)
    ) AS standing
    ORDER BY number
"""


def examine_orders(settings: Settings, *, now: datetime) -> Finding:
    """Name orders that wait for a person. Raises psycopg.Error."""
    if not settings.database_url:
        return Finding(_NAME, State.NOTE, _("No database is known."))
    asked = {"paused_by": now - LONGEST_PAUSE, "today": now.date(), "standing": STANDING}
    with psycopg.connect(settings.database_url, connect_timeout=_PATIENCE_S) as connection:
        rows = connection.execute(_WAITING, asked).fetchall()
    if paused := [number for number, is_paused_long, _over in rows if is_paused_long]:
        return Finding(
            _NAME,
            State.BAD,
            _("Paused for more than {hours} hours: {orders}.").format(
                hours=LONGEST_PAUSE // timedelta(hours=1), orders=", ".join(paused)
            ),
            _("Let each go on (countermand resume), or take it back (countermand take-back)."),
        )
    if over := [number for number, _paused, is_over in rows if is_over]:
        return Finding(
            _NAME,
            State.BAD,
            _("Were to be looked at again by now: {orders}.").format(orders=", ".join(over)),
            _("End each (countermand order close), or plan an order that replaces it."),
        )
    return Finding(_NAME, State.GOOD, _("No order waits for a decision that is overdue."))
