"""What the doctor says about orders that wait: for the end of a stop, or for a person.

A stop is over when the disk has it and every sender is proven to have ended. A paused order is no
end, and no order stands for ever: after four hours of a pause, and after the day on which an order
was to be looked at again, somebody is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import psycopg

from countermand.config import Settings
from countermand.domain.delivery import FAULT
from countermand.domain.phases import Phase
from countermand.i18n import gettext as _
from countermand.project.findings import Finding, State
from countermand.stop import fence as fences
from countermand.stop.fence import TAKEN_BACK_EPOCH, Fence

LONGEST_PAUSE: Final = timedelta(hours=4)
LONGEST_PROOF: Final = timedelta(minutes=5)
_NOTHING_LEAVES: Final = [Phase.CLOSED.value, Phase.CORRECTED.value]
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

# A live sender passes exercises over.
_UNSENT_EXERCISES: Final = """
    SELECT number FROM orders_order AS one
    WHERE one.mode = 'exercise' AND EXISTS (
        SELECT FROM notices_notice AS mail
        WHERE mail.order_number = one.number AND mail.state = 'pending' AND mail.due_at <= %s)
    AND one.phase <> 'paused' AND NOT EXISTS (
        SELECT FROM notices_senderlease WHERE mode = 'exercise' AND lease_until > now())
    ORDER BY number
"""
# Those who are to get them are called; that something fails here has to be mended.
_AT_FAULT: Final = """
    SELECT one.number FROM orders_order AS one
    WHERE one.phase <> ALL (%s) AND EXISTS (
        SELECT FROM notices_notice AS mail
        WHERE mail.order_number = one.number AND mail.last_reply = %s
          AND mail.state IN ('pending', 'refused'))
    ORDER BY number
"""
_STOPPED: Final = """
    SELECT number, phase, taken_back_at, epoch, paused_at
    FROM orders_order WHERE taken_back_at IS NOT NULL OR (phase = 'paused' AND paused_at <= %s)
    ORDER BY number
"""


def examine_orders(settings: Settings, *, now: datetime) -> Finding:
    """Name orders that wait, stops that are not over first. Raises psycopg.Error."""
    if not settings.database_url:
        return Finding(_NAME, State.NOTE, _("No database is known."))
    asked = {"paused_by": now - LONGEST_PAUSE, "today": now.date(), "standing": STANDING}
    with psycopg.connect(settings.database_url, connect_timeout=_PATIENCE_S) as connection:
        stopped = connection.execute(_STOPPED, [now]).fetchall()
        rows = connection.execute(_WAITING, asked).fetchall()
        exercises = [each for (each,) in connection.execute(_UNSENT_EXERCISES, [now])]
        faulty = [each for (each,) in connection.execute(_AT_FAULT, [_NOTHING_LEAVES, FAULT])]
    if urgent := _unfinished(settings.folder.fences, stopped, now) or _at_fault(faulty):
        return urgent
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
    if exercises:
        return Finding(
            _NAME,
            State.BAD,
            _("Nobody sends exercises here, so these wait: {orders}.").format(
                orders=", ".join(exercises)
            ),
            _("Start it with: countermand up --exercises. It takes the same relay as all mails."),
        )
    return Finding(_NAME, State.GOOD, _("No order waits for a decision that is overdue."))


def _unfinished(
    folder: Path, stopped: Sequence[tuple[str, str, datetime | None, int, datetime]], now: datetime
) -> Finding | None:
    """Name stops which the disk does not have, or whose mails may still be under way."""
    off_disk, unproven = [], []
    for number, phase, taken_back_at, epoch, paused_at in stopped:
        fence = Fence(
            number,
            TAKEN_BACK_EPOCH if taken_back_at else epoch,
            withdrawn=taken_back_at is not None,
            at=taken_back_at or paused_at,
            by=None,
            because="",
        )
        if not fences.stands(folder, fence):
            off_disk.append(number)
        elif phase == Phase.STOPPING and taken_back_at and taken_back_at <= now - LONGEST_PROOF:
            unproven.append(number)
    if off_disk:
        return Finding(
            _NAME,
            State.BAD,
            _(
                "Stopped in the database alone, since the disk here has not taken it: {orders}."
            ).format(orders=", ".join(off_disk)),
            _("Make room on that disk; the worker then writes it down by itself."),
        )
    if unproven:
        return Finding(
            _NAME,
            State.BAD,
            _(
                "Taken back, but not every mail sender is proven to have ended, so no correction "
                "leaves: {orders}."
            ).format(orders=", ".join(unproven)),
            _("The worker tries it with every look. End senders on other machines, or wait."),
        )
    return None


def _at_fault(numbers: Sequence[str]) -> Finding | None:
    if not numbers:
        return None
    return Finding(
        _NAME,
        State.BAD,
        _("Mails did not leave since something failed here: {orders}.").format(
            orders=", ".join(numbers)
        ),
        _(
            "Call those whom “notice list NUMBER --to-call” names. "
            "Where it failed stands in the log of the sender."
        ),
    )
