"""Anybody's mail, read within bounds: what it says, in which languages, and what it carries.

A mail under the lint comes from anywhere. Nothing in it is opened, fetched or run; every step is
linear in its size, and what goes beyond the bounds is refused with a reason.
"""

from __future__ import annotations

import email
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from email.header import decode_header
from email.message import Message
from email.policy import compat32
from email.utils import getaddresses, parseaddr, parsedate_to_datetime
from typing import ClassVar, Final

from countermand.domain.errors import CountermandError, gettext_noop
from countermand.notices.foreign_page import LONGEST_PAGE, LONGEST_TEXT, Page, read_page

LARGEST_BYTES: Final = 10_000_000
_MOST_PARTS: Final = 100
_MOST_NESTED: Final = 50
_LONGEST_HEADER: Final = 4_000
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"  # some editors put it before what they save
# Whoever wraps by hand or by program does it between these columns.
_WRAPPED_AT: Final = range(60, 81)
_NEW_ITEM: Final = re.compile(r"\s|[-*•>–—]|\d{1,3}[.)]\s")
_NESTING: Final = re.compile(rb"boundary\s*=|message/(?:rfc822|global)", re.IGNORECASE)


@dataclass(eq=False)
class MailNotReadable(CountermandError):
    """A file is no mail, or a mail beyond the bounds."""

    file: str
    why: str

    code: ClassVar[str] = "copy.mail_not_readable"
    sentence: ClassVar[str] = gettext_noop("{file} cannot be read as a mail: {why}")
    remedy: ClassVar[str] = gettext_noop(
        "Save the mail as it was sent (“save as”, .eml) and try again."
    )


@dataclass(frozen=True, slots=True)
class SeenMail:
    """One mail as a reader meets it; `text` is the plain part, or the page's where there is none.

    `sent_at` is the Date header, None where it is missing or not aware.
    """

    subject: str
    sender_name: str
    sender_address: str
    text: str
    plain: str | None = None
    page: Page | None = None
    reply_to: str = ""
    to_names: tuple[str, ...] = ()
    language: str = ""
    sent_at: datetime | None = None
    attachments: tuple[str, ...] = ()


def read(content: bytes, *, file: str) -> SeenMail:
    """Read a mail of RFC 5322. Raises MailNotReadable."""
    _check_bounds(content, file)
    message = email.message_from_bytes(content.removeprefix(_BYTE_ORDER_MARK), policy=compat32)
    if not any(message.get(name) for name in ("From", "Subject", "Date")):
        raise MailNotReadable(file=file, why=gettext_noop("it has no header of a mail."))
    found = _Parts()
    found.gather(message, file)
    plain = _one_form("\n".join(found.plain)[:LONGEST_TEXT]) if found.plain else None
    page = read_page(_one_form("\n".join(found.pages))) if found.pages else None
    name, address = parseaddr(_header(message, "From"))
    return SeenMail(
        subject=_one_form(_header(message, "Subject")),
        sender_name=name,
        sender_address=address,
        text=plain if plain is not None else (page.text if page else ""),
        plain=plain,
        page=page,
        reply_to=parseaddr(_header(message, "Reply-To"))[1],
        to_names=tuple(who for who, _ in getaddresses([_header(message, "To")]) if who)[:2],
        language=_header(message, "Content-Language").partition(",")[0].strip(),
        sent_at=_date(message),
        attachments=tuple(found.attachments),
    )


def _one_form(text: str) -> str:
    """Return a text with each letter in one form: फ़ and its like are sent in two."""
    return unicodedata.normalize("NFC", text)


def _check_bounds(content: bytes, file: str) -> None:
    if len(content) > LARGEST_BYTES:
        raise MailNotReadable(file=file, why=gettext_noop("it is larger than 10 MB."))
    # As deep as a mail can be nested; the parser would go down with it.
    if sum(1 for _ in _NESTING.finditer(content)) > _MOST_NESTED:
        raise MailNotReadable(file=file, why=gettext_noop("it has too many parts in each other."))


@dataclass
class _Parts:
    plain: list[str] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)
    attachments: list[str] = field(default_factory=list)

    def gather(self, message: Message, file: str) -> None:
        for count, part in enumerate(_own_parts(message)):
            if count > _MOST_PARTS:
                raise MailNotReadable(file=file, why=gettext_noop("it has too many parts."))
            if part.is_multipart() and part.get_content_maintype() != "message":
                continue
            kind = part.get_content_type()
            name = _decoded(part.get_filename() or "")
            if name or part.get_content_disposition() == "attachment" or not _is_text(kind):
                self.attachments.append(name or kind)
            elif kind == "text/html":
                self.pages.append(_text_of(part)[:LONGEST_PAGE])
            else:
                self.plain.append(_unwrapped(_text_of(part)[:LONGEST_TEXT], part))


def _own_parts(message: Message) -> Iterator[Message]:
    """Yield the parts in order; a mail that is attached to this one says nothing in its name."""
    waiting = [message]
    while waiting:
        part = waiting.pop()
        yield part
        inner = part.get_payload()
        if isinstance(inner, list) and part.get_content_maintype() != "message":
            waiting += reversed([each for each in inner if isinstance(each, Message)])


def _unwrapped(text: str, part: Message) -> str:
    """Return a plain text with its lines as they were meant, before a program wrapped them.

    Either the mail says so (RFC 3676), or the longest line has a width at which mails are wrapped:
    then a line goes on in the next one if the next word had no room in it.
    """
    lines = text.splitlines()
    width = max(map(len, lines), default=0)
    is_flowed = str(part.get_param("format", "")).lower() == "flowed"
    if not is_flowed and width not in _WRAPPED_AT:
        return text
    found: list[str] = []
    goes_on = False
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        if goes_on:
            found.append(line if found[-1].endswith(" ") else f" {line}")
        else:
            found.append(f"\n{line}")
        if is_flowed:
            goes_on = line.endswith(" ") and line != "-- "
        else:
            word = following.partition(" ")[0]
            has_room = len(line.rstrip()) + 1 + len(word) <= width
            goes_on = bool(line and word) and not has_room and not _NEW_ITEM.match(following)
    return "".join(found).removeprefix("\n")


def _is_text(kind: str) -> bool:
    return kind in {"text/plain", "text/html"}


def _text_of(part: Message) -> str:
    raw = part.get_payload(decode=True)
    content = raw if isinstance(raw, bytes) else b""
    try:
        return content.decode(part.get_content_charset("utf-8"), "replace")
    except (LookupError, ValueError):
        return content.decode("utf-8", "replace")


def _header(message: Message, name: str) -> str:
    """Return the first header of this name, also one in plain UTF-8 (RFC 6532)."""
    raw = (str(value) for key, value in message.raw_items() if key.lower() == name.lower())
    return _decoded(next(raw, "").encode("utf-8", "surrogateescape").decode("utf-8", "replace"))


def _decoded(raw: str) -> str:
    """Return a header as people read it; what cannot be decoded stays as it is."""
    try:
        words = decode_header(raw[:_LONGEST_HEADER])
        text = "".join(
            word.decode(charset or "raw-unicode-escape", "replace")
            if isinstance(word, bytes)
            else word
            for word, charset in words
        )
    except (LookupError, ValueError):
        text = raw[:_LONGEST_HEADER]
    return " ".join(text.split())


def _date(message: Message) -> datetime | None:
    try:
        at = parsedate_to_datetime(_header(message, "Date"))
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return at if at.tzinfo is not None else None
