"""What the doctor says of open sessions: whether a mail server can be asked to end them."""

from __future__ import annotations

from typing import Final

from countermand.config import Settings
from countermand.connectors.doveadm.sessions import Doveadm
from countermand.i18n import gettext as _
from countermand.project.findings import Finding, State

_NAME: Final = "sessions"


def examine_sessions(settings: Settings) -> Finding:
    """Ask every Dovecot how it ends sessions; none is ended by it."""
    if not settings.doveadm:
        return Finding(
            _NAME,
            State.NOTE,
            _("Nothing ends IMAP sessions that are open when mail is paused on a device."),
            _("Set COUNTERMAND_DOVEADM and its key: docs/howto/gate-dovecot.md."),
        )
    silent = Doveadm(settings.doveadm, settings.doveadm_key).silent()
    if silent:
        line = _("Dovecot's administration does not answer, or refuses our key: {urls}.")
        return Finding(
            _NAME,
            State.BAD,
            line.format(urls=" ".join(silent)),
            _("Compare COUNTERMAND_DOVEADM and its key with Dovecot's doveadm_api_key."),
        )
    line = _("Dovecot ends sessions where it is asked to: {urls}")
    return Finding(_NAME, State.GOOD, line.format(urls=" ".join(settings.doveadm)))
