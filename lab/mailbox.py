"""Reading and writing mail the plain way: IMAP logins as clients make them, delivery by LMTP."""

from __future__ import annotations

import imaplib
import poplib
import smtplib
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from typing import Final

from lab.ground import HERE

PATIENCE_S: Final = 60.0


def login(port: int, name: str, password: str, *, come_from: str = HERE) -> str:
    """Log in over IMAP; return OK, or the words of the refusal. `come_from` is the own address."""
    with imap(port, come_from=come_from) as connection:
        try:
            return str(connection.login(name, password)[0])
        except imaplib.IMAP4.error as refusal:
            return _words(refusal)


def token_login(port: int, name: str, token: str) -> str:
    """Log in over IMAP by OAuth; return OK, or the words of the refusal."""
    with imap(port) as connection:
        shown = f"user={name}\x01auth=Bearer {token}\x01\x01".encode()
        try:
            return str(connection.authenticate("XOAUTH2", lambda _: shown)[0])
        except imaplib.IMAP4.error as refusal:
            return _words(refusal)


def _words(refusal: Exception) -> str:
    said = refusal.args[0]
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)


class _From(imaplib.IMAP4):
    def __init__(self, port: int, come_from: str) -> None:
        self._come_from = come_from
        super().__init__(HERE, port, timeout=PATIENCE_S)

    def _create_socket(self, timeout: float | None) -> socket.socket:
        return socket.create_connection(
            (self.host, self.port), timeout, source_address=(self._come_from, 0)
        )


def imap(port: int, *, come_from: str = HERE) -> imaplib.IMAP4:
    """Connect over IMAP from one address of this machine."""
    return _From(port, come_from)


@contextmanager
def session(port: int, name: str, password: str) -> Iterator[imaplib.IMAP4]:
    """An IMAP session with its inbox open; it is only hung up, never logged out."""
    connection = imap(port)
    shown = f"\0{name}\0{password}".encode()  # `login` takes no name in other letters
    try:
        connection.authenticate("PLAIN", lambda _: shown)
        connection.select()
        yield connection
    finally:
        connection.shutdown()


def is_open(connection: imaplib.IMAP4) -> bool:
    """Tell whether the server still keeps a session."""
    try:
        return connection.noop()[0] == "OK"
    except (imaplib.IMAP4.abort, OSError):
        return False


def make_ready(port: int, name: str, password: str) -> None:
    """Let Dovecot count changes in a new mailbox: SOGo syncs nothing before that."""
    with imap(port) as connection:
        connection.login(name, password)
        connection.enable("CONDSTORE")
        connection.select("INBOX")


def deliver(port: int, to: str, subject: str, text: str = "…") -> None:
    """Deliver one mail by LMTP."""
    message = EmailMessage()
    message["From"] = "payroll@example.org"
    message["To"] = to
    message["Subject"] = subject
    message.set_content(text)
    with smtplib.LMTP(HERE, port) as server:
        server.send_message(message)


def pop3_login(port: int, name: str, password: str) -> str:
    """Log in over POP3; return OK, or the words of the refusal."""
    connection = poplib.POP3(HERE, port, timeout=PATIENCE_S)
    try:
        connection.user(name)
        said = connection.pass_(password).decode("utf-8", "replace")
        return "OK" if said.startswith("+OK") else said
    except poplib.error_proto as refusal:
        return _words(refusal)
    finally:
        connection.close()


def sender_login(port: int, name: str, password: str) -> str:
    """Log in where mail is sent; return OK, or the words of the refusal."""
    with smtplib.SMTP(HERE, port, local_hostname="phone", timeout=PATIENCE_S) as server:
        try:
            server.login(name, password)
        except smtplib.SMTPAuthenticationError as refusal:
            return f"{refusal.smtp_code} {_words(Exception(refusal.smtp_error))}"
        return "OK"
