"""One mail, byte by byte, out of approved words and the values of one person.

The same row always gives the same bytes, so that a second attempt is recognised as the same mail.
Nothing here reads a clock, makes a random number or asks anything: date, Message-ID and words
come with the row.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from typing import ClassVar, Final, NamedTuple

from countermand.domain.address import with_ascii_domain
from countermand.domain.delivery import EXPIRES, ClaimedNotice, NoticeKind, Template
from countermand.domain.errors import CountermandError, gettext_noop
from countermand.sender.splice import SLOT, SplicedText, Values, coded, filling, in_html

_ADDRESS: Final = re.compile(r"[^\s<>\"\\,;:@\x00-\x1f\x7f]+@[^\s<>\"\\,;:@\x00-\x1f\x7f]+")
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f]+")
_LINE: Final = 76
# A line with an encoded word has at most 76 characters (RFC 2047), the header's name included.
_WORD_BYTES: Final = 42
_FIRST_WORD_BYTES: Final = 36
_LONGEST_ADDRESS: Final = 320
_NOWHERE: Final = "@invalid"  # (RFC 6761) in the place of an address that was given on


@dataclass(eq=False)
class SlotNotFilled(CountermandError):
    """The approved words ask for a value that this row does not carry."""

    slot: str
    template_id: int

    code: ClassVar[str] = "notice.slot_not_filled"
    sentence: ClassVar[str] = gettext_noop(
        "The text {template_id} has a place for “{slot}”, and nothing stands there."
    )
    remedy: ClassVar[str] = gettext_noop("Plan the order again; nothing was sent to this person.")


@dataclass(eq=False)
class AddressNotUsable(CountermandError):
    """An address that no mail command can carry; it is listed for a person to call."""

    code: ClassVar[str] = "notice.address_not_usable"
    sentence: ClassVar[str] = gettext_noop("This person's mail address cannot be used.")
    remedy: ClassVar[str] = gettext_noop("Mend the address in the directory, or call the person.")


@dataclass(frozen=True, slots=True)
class Writer:
    """From whom mails come: the same for every mail of an organisation.

    Keep `name` in ASCII or within 15 Devanagari letters: longer ones need two encoded words, and
    some readers put a space between them.
    """

    address: str
    name: str
    reply_to: str


class Mail(NamedTuple):
    """What goes over the wire; `content` is stuffed already and ends in CRLF, without the dot."""

    mail_from: str
    recipient: str
    content: bytes
    needs_smtputf8: bool
    envelope_id: str  # comes back with a delivery report; nobody can guess it


class Composer:
    """Writes the mails of one template: what is the same in all of them is coded once."""

    def __init__(self, template: Template, writer: Writer) -> None:
        """Code the approved words."""
        self._template = template
        self._from = with_ascii_domain(writer.address)
        self._ascii_from = self._from.isascii()
        self._subject = None if SLOT.search(template.subject) else _subject(template.subject)
        self._text = SplicedText(template.text)
        self._page = SplicedText(template.html)
        reply_to = with_ascii_domain(writer.reply_to)
        sender, reply_to = (_CONTROLS.sub(" ", each) for each in (self._from, reply_to))
        self._writer_line = f"From: {_phrase(writer.name)}\r\n <{sender}>\r\nTo: "
        answers = f"\r\nReply-To: {reply_to}" if reply_to.strip() else ""
        self._reply_line = f"{answers}\r\nSubject: "
        # No line of base64 can look like it, so it may be the same in every mail.
        boundary = f"=_{hashlib.sha256(repr(template).encode()).hexdigest()[:32]}"
        self._mime_lines = (
            "Auto-Submitted: auto-generated\r\n"
            "MIME-Version: 1.0\r\n"
            f'Content-Type: multipart/alternative;\r\n boundary="{boundary}"\r\n'
        )
        self._text_head = _part_head("plain", boundary)
        self._page_head = _part_head("html", boundary)
        self._end = f"--{boundary}--\r\n".encode()

    def write(self, notice: ClaimedNotice) -> Mail:
        """Write the mail of one row. Raises SlotNotFilled or AddressNotUsable; nothing is sent."""
        address = with_ascii_domain(notice.address)
        check_address(address)
        try:
            subject = self._subject or _subject(filled(self._template.subject, notice.values))
            headers = self._headers(notice, address, subject)
            lines = [headers, self._text_head]
            said = coded(notice.values, as_html=False)
            self._text.add_coded(lines, said)
            lines.append(self._page_head)
            self._page.add_coded(lines, in_html(notice.values, said))
        except KeyError as missing:
            slot, template_id = str(missing.args[0]), self._template.template_id
            raise SlotNotFilled(slot=slot, template_id=template_id) from None
        lines.append(self._end)
        content = b"\r\n".join(lines)
        # Never: no line of a header begins with a dot, and base64 has none. One byte is looked for
        # many times as quickly as two.
        if b"\n." in headers or content.find(b".", len(headers)) >= 0:
            content = stuffed(content)
        return Mail(
            mail_from=self._from,
            recipient=address,
            content=content,
            needs_smtputf8=not (self._ascii_from and address.isascii()),
            envelope_id=notice.message_id.strip("<>").partition("@")[0],
        )

    def _headers(self, notice: ClaimedNotice, address: str, subject: str) -> bytes:
        # No value may begin a line: then no header can, and none can begin with a dot.
        message_id, thread, language = notice.message_id, notice.in_reply_to, notice.language
        if not f"{message_id}{thread}{language}".isprintable():
            message_id, thread = _CONTROLS.sub(" ", message_id), _CONTROLS.sub(" ", thread)
            language = _CONTROLS.sub(" ", language)
        answers = f"In-Reply-To: {thread}\r\nReferences: {thread}\r\n" if thread else ""
        # Hints (RFC 2156, 4021) that hardly any program follows: nothing depends on them.
        if thread and notice.kind is NoticeKind.CORRECTION:
            answers += f"Supersedes: {thread}\r\n"
        if until := notice.values.get(EXPIRES):
            answers += f"Expires: {_date(datetime.fromisoformat(str(until)))}\r\n"
        return (
            f"Date: {_date(notice.dated_at)}\r\n"
            f"{self._writer_line}{address}{self._reply_line}{subject}\r\n"
            f"Message-ID: {message_id}\r\n{answers}"
            f"Content-Language: {language}\r\n{self._mime_lines}"
        ).encode()


def compose(template: Template, notice: ClaimedNotice, writer: Writer) -> Mail:
    """Write one mail. Raises SlotNotFilled or AddressNotUsable, with nothing sent."""
    return Composer(template, writer).write(notice)


def check_address(address: str) -> None:
    """Refuse what would break a mail command, or is nobody's. Raises AddressNotUsable."""
    is_nobodys = address.endswith(_NOWHERE)
    if is_nobodys or len(address) > _LONGEST_ADDRESS or not _ADDRESS.fullmatch(address):
        raise AddressNotUsable


def filled(text: str, values: Values, *, as_html: bool = False) -> str:
    """Fill the `{slots}` of `text`: a list becomes lines "- x", or `<li>` items in HTML.

    Raises KeyError with the name of a slot that `values` does not have.
    """
    return SLOT.sub(lambda slot: filling(values[slot[1]], as_html=as_html), text)


def stuffed(content: bytes) -> bytes:
    """Return `content` so that no line of it can end the mail before its time.

    Every bare CR or LF becomes CRLF, a line that begins with a dot gets a second one, and the
    last line ends in CRLF.
    """
    if b"\r" in content or b"\n" in content:
        content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")
    if content.startswith(b"."):
        content = b"." + content
    content = content.replace(b"\r\n.", b"\r\n..")
    return content if content.endswith(b"\r\n") else content + b"\r\n"


@lru_cache(maxsize=64)
def _date(at: datetime) -> str:
    # In UTC: equal instants of two zones share a place in the cache, and must read alike.
    return format_datetime(at.astimezone(UTC))


def _part_head(subtype: str, boundary: str) -> bytes:
    return (
        f"--{boundary}\r\n"
        f"Content-Type: text/{subtype}; charset=utf-8\r\n"
        "Content-Transfer-Encoding: base64\r\n"
    ).encode()


def _subject(text: str) -> str:
    return _unstructured(_CONTROLS.sub(" ", text).strip())


def _unstructured(text: str) -> str:
    if text.isascii() and len(text) <= _LINE and "=?" not in text:
        return text
    return "\r\n ".join(_encoded_words(text))


def _phrase(name: str) -> str:
    name = _CONTROLS.sub(" ", name).strip()
    if name.isascii():
        escaped = name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return "\r\n ".join(_encoded_words(name))


def _encoded_words(text: str) -> list[str]:
    """Split between characters, never inside one: each word must decode by itself (RFC 2047)."""
    words: list[bytes] = [b""]
    for character in text:
        coded = character.encode()
        if len(words[-1]) + len(coded) > (_WORD_BYTES if words[1:] else _FIRST_WORD_BYTES):
            words.append(b"")
        words[-1] += coded
    return [f"=?utf-8?B?{binascii.b2a_base64(w, newline=False).decode()}?=" for w in words]
