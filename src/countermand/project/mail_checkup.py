"""What the doctor says about mails that come back: is anybody there to hear of them?

A notice that was accepted, and of which nothing is heard for a day, counts as received. So whoever
does not hear what comes back takes too much for received; and of what can no longer be heard,
nothing counts so.
"""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Final

import psycopg

from countermand import i18n
from countermand.config import Settings
from countermand.domain.delivery import NoticeKind, NoticeState
from countermand.domain.mail_limits import apart
from countermand.i18n import gettext as _
from countermand.project.findings import Finding, State
from countermand.project.order_checkup import STANDING
from countermand.wiring import returned_mail

_NAME: Final = "returned"
_LIMITS: Final = "limits"
_LIMITS_THAT_HOLD: Final = "SELECT name, apart, said_by FROM notices_maillimit ORDER BY name"
_PATIENCE_S: Final = 3
# As `notices.proof_sql.PROOFS`, of orders that still stand.
_UNPROVEN: Final = """
    SELECT count(DISTINCT mail.id) FROM notices_lostlines AS lost
    JOIN notices_notice AS mail
      ON mail.accepted_at > lost.accepted_after AND mail.accepted_at <= lost.accepted_until
    JOIN orders_order AS one ON one.number = mail.order_number AND one.phase = ANY(%(standing)s)
    WHERE mail.kind = %(notice)s AND mail.proven_at IS NULL AND mail.state = ANY(%(accepted)s)
"""


def examine_returned(settings: Settings) -> Finding:
    """Read one mail without marking it, and look at the log.

    Raises ReturnedMailUnavailable and psycopg.Error.
    """
    if not (settings.returned_mail or settings.relay_log):
        return Finding(
            _NAME,
            State.NOTE,
            _("Nobody hears of mails that come back later; they count as received after a day."),
            _("Name their mailbox in COUNTERMAND_RETURNED_MAIL, or COUNTERMAND_RELAY_LOG."),
        )
    if settings.relay_log:
        try:
            with Path(settings.relay_log).open("rb"):
                pass
        except OSError as error:
            return Finding(
                _NAME,
                State.BAD,
                _("The relay's log {path} cannot be read ({why}).").format(
                    path=settings.relay_log, why=i18n.reason(error.strerror)
                ),
                _("Let the user that Countermand runs as read it (on Debian: group adm)."),
            )
    if settings.returned_mail:
        with closing(returned_mail(settings).unread()) as mails:
            next(mails, None)
    if unproven := _unproven(settings):
        line = _(
            "Lines of the relay's log were lost. Notices that therefore count as received only "
            "with a check code or a delivery report: {count}."
        )
        return Finding(
            _NAME,
            State.NOTE,
            line.format(count=unproven),
            _(
                "Let logrotate move the log instead of emptying it, and name a mailbox in "
                "COUNTERMAND_RETURNED_MAIL, too."
            ),
        )
    return Finding(_NAME, State.GOOD, _("What comes back from mail servers is heard."))


def examine_limits(settings: Settings) -> Finding:
    """Say which limits of mails a minute hold that the settings here do not name.

    Raises psycopg.Error.
    """
    if not settings.database_url:
        return Finding(_LIMITS, State.NOTE, _("No database is known."))
    here = {name: apart(count) for name, count in settings.mails_per_minute.items()}
    with psycopg.connect(settings.database_url, connect_timeout=_PATIENCE_S) as connection:
        rows = connection.execute(_LIMITS_THAT_HOLD).fetchall()
    stricter = [(name, by) for name, distance, by in rows if distance > here.get(name, timedelta())]
    if stricter:
        return Finding(
            _LIMITS,
            State.NOTE,
            _("Fewer mails leave a minute than the settings here allow ({names}), by {by}.").format(
                names=", ".join(name for name, _by in stricter),
                by=", ".join(sorted({by or "?" for _name, by in stricter})),
            ),
            _("Give every worker the same COUNTERMAND_MAILS_PER_MINUTE; the fewest hold."),
        )
    return Finding(_LIMITS, State.GOOD, _("No limit holds that the settings here do not name."))


def _unproven(settings: Settings) -> int:
    """Count the notices that silence will never prove. Raises psycopg.Error."""
    if not settings.database_url:
        return 0
    asked = {
        "standing": STANDING,
        "notice": NoticeKind.NOTICE.value,
        "accepted": [state.value for state in (NoticeState.SENT, NoticeState.DELIVERED)],
    }
    with psycopg.connect(settings.database_url, connect_timeout=_PATIENCE_S) as connection:
        row = connection.execute(_UNPROVEN, asked).fetchone()
    return int(row[0]) if row is not None else 0
