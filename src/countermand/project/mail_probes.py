"""The real notice, sent to mailboxes that are watched: where does it land, and changed by whom?

Nobody but the probe mailboxes gets anything, and the ledger knows nothing of it: a probe is no
notice, and says so. Nothing is sent before every mailbox has let us in: whoever holds its password
has named it on purpose.
"""

from __future__ import annotations

import asyncio
import base64
import imaplib
import re
import secrets
import smtplib
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import ClassVar, Final, Self
from urllib.parse import unquote, urlsplit

from countermand.config import Settings
from countermand.domain.address import with_ascii_domain
from countermand.domain.delivery import ClaimedNotice, NoticeKind, Template
from countermand.domain.errors import CountermandError, gettext_noop
from countermand.loopback import LOOPBACK
from countermand.notices import probe
from countermand.notices.preview import PreviewMail
from countermand.notices.probe import Arrival
from countermand.sender.compose import Writer, compose, stuffed
from countermand.sender.link import Link, LinkLost
from countermand.sender.relay import Relay, opened
from countermand.wire.imap_login import ImapLogin

LONGEST_WAIT_S: Final = 60.0
MARK: Final = "X-Countermand-Test"
_EVERY_S: Final = 1.0
_GO_ON: Final = range(200, 400)
_PATIENCE_S: Final = 20.0
_FOLDER: Final = re.compile(rb'\((?P<flags>[^)]*)\) (?:"[^"]*"|NIL) "?(?P<name>[^"]+)"?')
_SCHEMES: Final = frozenset({"imap", "imaps"})
_OTHER_LETTERS: Final = re.compile(r"&([A-Za-z0-9+,]*)-")  # RFC 3501, 5.1.3


@dataclass(eq=False)
class ProbeNotUnderstood(CountermandError):
    """A probe mailbox is named in no form that can be read."""

    text: str

    code: ClassVar[str] = "probe.not_understood"
    sentence: ClassVar[str] = gettext_noop("“{text}” names no mailbox.")
    remedy: ClassVar[str] = gettext_noop(
        "Write it like imaps://probe%40example.org@mail.example.org."
    )


@dataclass(eq=False)
class ProbeNotSecret(CountermandError):
    """A probe mailbox would be asked for over a network without TLS."""

    text: str

    code: ClassVar[str] = "probe.not_secret"
    sentence: ClassVar[str] = gettext_noop("Over “{text}” everybody could read the password.")
    remedy: ClassVar[str] = gettext_noop(
        "Write imaps:// instead of imap://; without TLS only a mailbox on this machine is watched."
    )


@dataclass(eq=False)
class ProbeNotOpened(CountermandError):
    """A mailbox let nobody in, so no mailbox gets anything."""

    mailbox: str
    why: str

    code: ClassVar[str] = "probe_mailbox.not_reachable"
    sentence: ClassVar[str] = gettext_noop(
        "The mailbox {mailbox} let nobody in ({why}); nothing was sent."
    )
    remedy: ClassVar[str] = gettext_noop(
        "Look at the address, at the server, and at the password of the probe."
    )


@dataclass(frozen=True, slots=True)
class ProbeMailbox:
    """A mailbox that is watched over IMAP; mails go to the login, which is an address."""

    login: str
    host: str
    port: int
    is_encrypted: bool
    password: str = field(repr=False)
    token_file: Path | None = None

    @classmethod
    def parse(cls, text: str, password: str, token_file: Path | None = None) -> Self:
        """Read `imaps://login@host[:port]`. Raises ProbeNotUnderstood or ProbeNotSecret."""
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError:
            raise ProbeNotUnderstood(text=text) from None
        login = unquote(parts.username or "")
        if parts.scheme not in _SCHEMES or not parts.hostname or "@" not in login:
            raise ProbeNotUnderstood(text=text)
        is_encrypted = parts.scheme == "imaps"
        if not is_encrypted and parts.hostname not in LOOPBACK:
            raise ProbeNotSecret(text=text)
        port = port or (993 if is_encrypted else 143)
        return cls(login, parts.hostname, port, is_encrypted, password, token_file)

    def log_in(self, imap: imaplib.IMAP4) -> None:
        """Log in. Raises imaplib.IMAP4.error, and OSError for a token that cannot be read."""
        ImapLogin(self.login, self.password, self.token_file).into(imap)


@dataclass(frozen=True, slots=True)
class Folder:
    """One folder: as the server wants it named, as people read it, and whether it is for junk."""

    name: str
    shown: str
    is_junk: bool


@dataclass(frozen=True, slots=True)
class Probed:
    """What became of one mail to one mailbox; `arrival` is None when it did not arrive in time."""

    address: str
    language: str
    arrival: Arrival | None


def run(
    mails: Sequence[PreviewMail],
    mailboxes: Sequence[ProbeMailbox],
    *,
    settings: Settings,
    now: datetime,
    wait_s: float = LONGEST_WAIT_S,
    send: Callable[[str, bytes], None] | None = None,
    begin: Callable[[], None] = lambda: None,
) -> list[Probed]:
    """Send each mail to each mailbox and look how it lies there.

    `begin` is called once all mailboxes were opened, before anything is sent. Raises
    ProbeNotOpened, and nothing was sent then; OSError, smtplib.SMTPException or
    imaplib.IMAP4.error for a server that refuses us later.
    """
    give = send or (lambda to, content: hand_over(settings, to, content))
    for mailbox in mailboxes:
        _check_opens(mailbox)
    begin()
    sent: list[tuple[ProbeMailbox, PreviewMail, str, bytes]] = []
    for mailbox in mailboxes:
        for mail in mails:
            message_id = f"<probe.{secrets.token_hex(10)}@{settings.mail_domain}>"
            content = _bytes(mail, mailbox.login, message_id, settings, now)
            give(mailbox.login, content)
            sent.append((mailbox, mail, message_id, content))
    until = time.monotonic() + wait_s
    return [
        Probed(mailbox.login, mail.language, _arrival(mailbox, message_id, content, until))
        for mailbox, mail, message_id, content in sent
    ]


def _check_opens(mailbox: ProbeMailbox) -> None:
    try:
        with _open(mailbox) as imap:
            mailbox.log_in(imap)
    except (OSError, imaplib.IMAP4.error) as error:
        why = f"{type(error).__name__}: {error}"[:200]
        raise ProbeNotOpened(mailbox=mailbox.login, why=why) from None


def _bytes(mail: PreviewMail, to: str, message_id: str, settings: Settings, now: datetime) -> bytes:
    """Write the mail with the very function that writes notices, marked as a test."""
    mail = probe.marked(mail)
    words = Template(0, mail.subject, mail.text, mail.html)
    row = ClaimedNotice(
        notice_id=0,
        claim=0,
        order_number="",
        epoch=0,
        kind=NoticeKind(mail.kind),
        address=to,
        language=mail.language,
        template_id=0,
        values={},
        message_id=message_id,
        in_reply_to="",
        dated_at=now,
        attempts=0,
    )
    writer = Writer(settings.mail_from, settings.mail_from_name, settings.reply_to)
    content = compose(words, row, writer).content
    content = f"{MARK}: yes\r\n".encode() + content
    return content.replace(b"\r\n..", b"\r\n.")  # whoever speaks SMTP here stuffs dots itself


def hand_over(settings: Settings, to: str, content: bytes) -> None:
    """Hand one mail over just as a sender does: the same TLS, the same login."""
    try:
        asyncio.run(_handed_over(Relay.of(settings), settings.mail_from, to, content))
    except LinkLost as lost:
        raise smtplib.SMTPException(str(lost)) from lost


async def _handed_over(relay: Relay, mail_from: str, to: str, content: bytes) -> None:
    sender, recipient = with_ascii_domain(mail_from), with_ascii_domain(to)
    async with asyncio.timeout(_PATIENCE_S):
        link, _ = await opened(relay, "probe")
        try:
            for said in (f"MAIL FROM:<{sender}>", f"RCPT TO:<{recipient}>", "DATA"):
                await _taken(link, said.encode())
            await _taken(link, stuffed(content) + b".")
        finally:
            link.abort()


async def _taken(link: Link, said: bytes) -> None:
    await link.write(said + b"\r\n")
    answer = await link.reply(within_s=_PATIENCE_S)
    if answer.code not in _GO_ON:
        raise LinkLost(f"the relay said {answer.text}")


def _arrival(
    mailbox: ProbeMailbox, message_id: str, content: bytes, until: float
) -> Arrival | None:
    while True:
        found = _find(mailbox, message_id)
        if found is not None:
            folder, received = found
            return probe.compare(content, received, folder=folder.shown, is_junk=folder.is_junk)
        if time.monotonic() >= until:
            return None
        time.sleep(_EVERY_S)


def _find(mailbox: ProbeMailbox, message_id: str) -> tuple[Folder, bytes] | None:
    """Return folder and content of a mail, in whatever folder it lies."""
    with _open(mailbox) as imap:
        mailbox.log_in(imap)
        for folder in _folders(imap):
            if imap.select(f'"{folder.name}"', readonly=True)[0] != "OK":
                continue
            numbers = imap.search(None, "HEADER", "Message-ID", f'"{message_id}"')[1][0]
            for number in (numbers or b"").split():
                parts = imap.fetch(number.decode(), "(BODY.PEEK[])")[1]
                whole = [part[1] for part in parts if isinstance(part, tuple)]
                if whole:
                    return folder, whole[0]
    return None


def _folders(imap: imaplib.IMAP4) -> Iterator[Folder]:
    for line in imap.list()[1]:
        folder = folder_of(line) if isinstance(line, bytes) else None
        if folder is not None:
            yield folder


def folder_of(line: bytes) -> Folder | None:
    """Read one line of LIST; None for what holds no mails. Junk is marked by RFC 6154."""
    match = _FOLDER.fullmatch(line)
    flags = set(match["flags"].lower().split()) if match else {b"\\noselect"}
    if match is None or flags & {b"\\noselect", b"\\nonexistent"}:
        return None
    name = match["name"].decode("ascii", "replace")
    shown = _OTHER_LETTERS.sub(_letters, name)
    return Folder(name=name, shown=shown, is_junk=b"\\junk" in flags)


def _letters(match: re.Match[str]) -> str:
    """Return what IMAP's own form of UTF-7 stands for, or itself."""
    coded = match[1].replace(",", "/")
    try:
        return base64.b64decode(coded + "=" * (-len(coded) % 4)).decode("utf-16-be") or "&"
    except ValueError:
        return match[0]


def _open(mailbox: ProbeMailbox) -> imaplib.IMAP4:
    if mailbox.is_encrypted:
        context = ssl.create_default_context()
        return imaplib.IMAP4_SSL(
            mailbox.host, mailbox.port, ssl_context=context, timeout=_PATIENCE_S
        )
    return imaplib.IMAP4(mailbox.host, mailbox.port, timeout=_PATIENCE_S)
