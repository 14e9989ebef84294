"""Where returned mails wait: a mailbox over IMAP, or a Maildir into which they are delivered.

    imaps://reports@mail.example.org/INBOX       maildir:/var/mail/countermand

A mail is marked as seen only after whoever takes it has taken it, so none is lost by a crash; one
may be taken twice. Nothing is ever deleted.
"""

from __future__ import annotations

import contextlib
import imaplib
import re
import ssl
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, Protocol
from urllib.parse import unquote, urlsplit

from countermand.connectors.returned_mail.report import LARGEST
from countermand.domain.errors import CountermandError, gettext_noop
from countermand.loopback import LOOPBACK
from countermand.wire.imap_login import ImapLogin

AT_ONCE: Final = 200
_LONGEST_S: Final = 10.0
_LITERAL: Final = 2  # imaplib gives (what it is, its bytes) for each literal


@dataclass(eq=False)
class ReturnedMailUnavailable(CountermandError):
    """The mailbox of returned mails cannot be read now."""

    why: str

    code: ClassVar[str] = "returned_mail.unavailable"
    sentence: ClassVar[str] = gettext_noop("Mails that came back cannot be read ({why}).")
    remedy: ClassVar[str] = gettext_noop(
        "Look at the setting returned_mail, its password or token, and at that mailbox."
    )


@dataclass(eq=False)
class ReturnedMailNotUnderstood(CountermandError):
    """The setting names no place that can be read."""

    place: str

    code: ClassVar[str] = "returned_mail.not_understood"
    sentence: ClassVar[str] = gettext_noop("“{place}” is no place where returned mails can be.")
    remedy: ClassVar[str] = gettext_noop(
        "Write imaps://user@host/INBOX, or maildir: and a folder, into returned_mail."
    )


class ReturnedMail(Protocol):
    """Mails that came back and were not looked at yet."""

    def unread(self) -> Generator[bytes, None, None]:
        """Yield some mails; each is marked as seen when the next one is asked for."""
        ...


def opened(place: str, password: str, token_file: Path | None = None) -> ReturnedMail:
    """Return the reader of a place. Raises ReturnedMailNotUnderstood."""
    if place.startswith("maildir:"):
        return MaildirDrop(Path(place.removeprefix("maildir:")))
    parts = urlsplit(place)
    if parts.scheme in {"imap", "imaps"} and parts.hostname and parts.username:
        return ImapMailbox(
            host=parts.hostname,
            port=parts.port or (993 if parts.scheme == "imaps" else 143),
            login=ImapLogin(unquote(parts.username), password, token_file),
            folder=unquote(parts.path.strip("/")) or "INBOX",
            encrypted=parts.scheme == "imaps",
        )
    raise ReturnedMailNotUnderstood(place=place)


@dataclass(frozen=True, slots=True)
class MaildirDrop:
    """A Maildir of our own, filled by the mail server's local delivery."""

    folder: Path

    def unread(self) -> Generator[bytes, None, None]:
        """See `ReturnedMail`. Raises ReturnedMailUnavailable."""
        try:
            waiting = sorted((self.folder / "new").iterdir())[:AT_ONCE]
            for path in waiting:
                with path.open("rb") as file:
                    yield file.read(LARGEST)
                seen = self.folder / "cur"
                seen.mkdir(mode=0o700, exist_ok=True)
                with contextlib.suppress(FileNotFoundError):
                    path.rename(seen / f"{path.name}:2,S")
        except OSError as error:
            raise ReturnedMailUnavailable(why=error.strerror or "?") from error


@dataclass(frozen=True, slots=True)
class ImapMailbox:
    """A mailbox over IMAP. Without TLS it is read on this machine only."""

    host: str
    port: int
    login: ImapLogin
    folder: str
    encrypted: bool

    def unread(self) -> Generator[bytes, None, None]:
        """See `ReturnedMail`. Raises ReturnedMailUnavailable."""
        try:
            with self._session() as session:
                for uid in self._unseen(session):
                    yield self._fetched(session, uid)
                    session.uid("STORE", uid, "+FLAGS", r"(\Seen)")
        except (OSError, imaplib.IMAP4.error) as error:
            raise ReturnedMailUnavailable(why=_said(error)) from error

    @contextmanager
    def _session(self) -> Iterator[imaplib.IMAP4]:
        if self.encrypted:
            context = ssl.create_default_context()
            session: imaplib.IMAP4 = imaplib.IMAP4_SSL(
                self.host, self.port, ssl_context=context, timeout=_LONGEST_S
            )
        elif self.host in LOOPBACK:
            session = imaplib.IMAP4(self.host, self.port, timeout=_LONGEST_S)
        else:
            raise ReturnedMailUnavailable(why=gettext_noop("imap without TLS to another machine"))
        try:
            self.login.into(session)
            code, told = session.select(f'"{self.folder}"')
            if code != "OK":
                raise imaplib.IMAP4.error(told[0])
            yield session
        finally:
            with contextlib.suppress(OSError, imaplib.IMAP4.error):
                session.logout()

    def _unseen(self, session: imaplib.IMAP4) -> list[str]:
        _, told = session.uid("SEARCH", "UNSEEN")
        return [word.decode("ascii") for word in (told[0] or b"").split()[:AT_ONCE]]

    def _fetched(self, session: imaplib.IMAP4, uid: str) -> bytes:
        _, told = session.uid("FETCH", uid, f"(BODY.PEEK[]<0.{LARGEST}>)")
        for each in told:
            if isinstance(each, tuple) and len(each) == _LITERAL:
                content: bytes = each[1]
                return content
        return b""


def _said(error: Exception) -> str:
    text = re.sub(r"[^ -~]+", " ", str(error) or type(error).__name__)
    return text[:100]
