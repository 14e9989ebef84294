"""What the doctor says about mails that come back: is anybody there to hear of them?

A notice that was accepted, and of which nothing is heard for a day, counts as received. So whoever
does not hear what comes back takes too much for received.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Final

from countermand import i18n
from countermand.config import Settings
from countermand.i18n import gettext as _
from countermand.project.findings import Finding, State
from countermand.wiring import returned_mail

_NAME: Final = "returned"


def examine_returned(settings: Settings) -> Finding:
    """Read one mail without marking it, and look at the log. Raises ReturnedMailUnavailable."""
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
    return Finding(_NAME, State.GOOD, _("What comes back from mail servers is heard."))
