"""What a release needs alive, looked at from outside: the relay answers, the page can be read."""

from __future__ import annotations

import smtplib
from http.client import HTTPException

from countermand.config import Settings
from countermand.project.own_services import text_at

_WAIT_S = 5.0


def relay_missing_at(settings: Settings) -> str:
    """Return an empty text when the mail relay greets, else its address."""
    host, _, port = settings.relay.rpartition(":")
    try:
        with smtplib.SMTP(host.strip("[]"), int(port), timeout=_WAIT_S) as relay:
            relay.ehlo()
    except (OSError, smtplib.SMTPException):
        return settings.relay
    return ""


def lookup_missing_at(settings: Settings, number: str) -> str:
    """Return an empty text when staff can read the page of this order, else where it was sought.

    Where our own web runs it is asked; elsewhere the files must be there for whoever serves them.
    """
    web = str(settings.folder.running().get("web", ""))
    if not web:
        page = settings.folder.lookup / f"{number}.html"
        return "" if page.is_file() else str(page)
    place = f"{web.rstrip('/')}/{number}"
    try:
        text_at(place, longest_s=_WAIT_S)
    except (HTTPException, OSError):
        return place
    return ""
