"""A login through a front, as a mail program makes one: over IMAP or POP3, or to send mail.

A password goes to another machine over TLS alone, with a certificate that is looked at. On this
machine nobody listens in between, and its certificate has another name.
"""

from __future__ import annotations

import contextlib
import imaplib
import poplib
import smtplib
import ssl
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import unquote, urlsplit

from countermand.i18n import gettext as _
from countermand.loopback import LOOPBACK

_PATIENCE_S: Final = 15.0
# Each raises one of these where a front does not answer, or not as its protocol has it.
FAILURES: Final = (OSError, imaplib.IMAP4.error, poplib.error_proto, smtplib.SMTPException)


def log_in(front: str, password: str) -> str:
    """Log in once; return the words of a refusal, or nothing. Raises one of FAILURES."""
    parts = urlsplit(front)
    ask = _ASKS[parts.scheme]
    port = parts.port or PORTS[parts.scheme]
    login = unquote(parts.username or "")
    return ask(parts.hostname or "", port, login, password, implicit=parts.scheme in _IMPLICIT)


def _trust(host: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if host in LOOPBACK:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _needs_tls(host: str, *, offered: bool) -> bool:
    """Tell whether to begin TLS now. Raises OSError where it is needed and not offered."""
    if not offered and host not in LOOPBACK:
        raise OSError(_("it offers no TLS, so no password is sent to it"))
    return offered


def _imap(host: str, port: int, login: str, password: str, *, implicit: bool) -> str:
    if implicit:
        session: imaplib.IMAP4 = imaplib.IMAP4_SSL(
            host, port, ssl_context=_trust(host), timeout=_PATIENCE_S
        )
    else:
        session = imaplib.IMAP4(host, port, timeout=_PATIENCE_S)
    try:
        if not implicit and _needs_tls(host, offered="STARTTLS" in session.capabilities):
            session.starttls(_trust(host))
        try:
            session.login(login, password)
        except imaplib.IMAP4.abort:
            raise
        except imaplib.IMAP4.error as error:
            return _words(error.args[0])
    finally:
        with contextlib.suppress(OSError):  # or it hides what went wrong before
            session.shutdown()
    return ""


def _pop3(host: str, port: int, login: str, password: str, *, implicit: bool) -> str:
    if implicit:
        session: poplib.POP3 = poplib.POP3_SSL(
            host, port, context=_trust(host), timeout=_PATIENCE_S
        )
    else:
        session = poplib.POP3(host, port, timeout=_PATIENCE_S)
    try:
        if not implicit and _needs_tls(host, offered="STLS" in session.capa()):
            session.stls(_trust(host))
        try:
            session.user(login)
            session.pass_(password)
        except poplib.error_proto as error:
            return _words(error.args[0])
    finally:
        with contextlib.suppress(OSError):
            session.close()
    return ""


def _smtp(host: str, port: int, login: str, password: str, *, implicit: bool) -> str:
    if implicit:
        session: smtplib.SMTP = smtplib.SMTP_SSL(
            host, port, context=_trust(host), timeout=_PATIENCE_S
        )
    else:
        session = smtplib.SMTP(host, port, timeout=_PATIENCE_S)
    try:
        session.ehlo()
        if not implicit and _needs_tls(host, offered=session.has_extn("starttls")):
            session.starttls(context=_trust(host))
            session.ehlo()
        session.user, session.password = login, password
        try:
            # Once: `login` would try the same password in another way, and be asked about again.
            session.auth("PLAIN", session.auth_plain)
        except smtplib.SMTPAuthenticationError as error:
            return _words(error.smtp_error)
    finally:
        with contextlib.suppress(OSError):
            session.close()
    return ""


def _words(said: object) -> str:
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)


PORTS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "imap": 143,
        "imaps": 993,
        "pop3": 110,
        "pop3s": 995,
        "smtp": 25,
        "submission": 587,
        "submissions": 465,
    }
)
_IMPLICIT: Final = frozenset({"imaps", "pop3s", "submissions"})
_ASKS: Final[Mapping[str, Callable[..., str]]] = MappingProxyType(
    {
        "imap": _imap,
        "imaps": _imap,
        "pop3": _pop3,
        "pop3s": _pop3,
        "smtp": _smtp,
        "submission": _smtp,
        "submissions": _smtp,
    }
)
