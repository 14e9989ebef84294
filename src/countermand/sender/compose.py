"""One mail, byte by byte, out of approved words and the values of one person.

The same row always gives the same bytes, so that a second attempt is recognised as the same mail.
Nothing here reads a clock, makes a random number or asks anything: date, Message-ID and words
come with the row.
"""

from __future__ import annotations

import binascii
import hashlib
import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import format_datetime
from typing import ClassVar, Final

from countermand.domain.delivery import ClaimedNotice, Template
from countermand.domain.errors import CountermandError, gettext_noop

_SLOT: Final = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_ADDRESS: Final = re.compile(r"[^\s<>\"\\,;:@\x00-\x1f\x7f]+@[^\s<>\"\\,;:@\x00-\x1f\x7f]+")
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f]+")
_LINE: Final = 76
# A line with an encoded word has at most 76 characters (RFC 2047), the header's name included.
_WORD_BYTES: Final = 42
_FIRST_WORD_BYTES: Final = 36
_LONGEST_ADDRESS: Final = 320


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


@dataclass(frozen=True, slots=True)
class Mail:
    """What goes over the wire; `content` is stuffed already and ends in CRLF, without the dot."""

    mail_from: str
    recipient: str
    content: bytes
    needs_smtputf8: bool


def compose(template: Template, notice: ClaimedNotice, writer: Writer) -> Mail:
    """Write the mail of one row. Raises SlotNotFilled or AddressNotUsable, with nothing sent."""
    check_address(notice.address)
    subject = _CONTROLS.sub(" ", _fill(template, template.subject, notice.values)).strip()
    text = _fill(template, template.text, notice.values)
    page = _fill(template, template.html, notice.values, as_html=True)
    boundary = f"=_{hashlib.sha256(notice.message_id.encode()).hexdigest()[:32]}"
    headers = _headers(notice, writer, subject=subject, boundary=boundary)
    parts = (_part(text, "plain", boundary), _part(page, "html", boundary))
    content = b"\r\n".join((headers, *parts, f"--{boundary}--\r\n".encode()))
    return Mail(
        mail_from=writer.address,
        recipient=notice.address,
        content=stuffed(content),
        needs_smtputf8=not (notice.address.isascii() and writer.address.isascii()),
    )


def check_address(address: str) -> None:
    """Refuse what would break a mail command. Raises AddressNotUsable."""
    if len(address) > _LONGEST_ADDRESS or not _ADDRESS.fullmatch(address):
        raise AddressNotUsable


def filled(text: str, values: Mapping[str, str | list[str]], *, as_html: bool = False) -> str:
    """Fill the `{slots}` of `text`: a list becomes lines "- x", or `<li>` items in HTML.

    Raises KeyError with the name of a slot that `values` does not have.
    """

    def value(match: re.Match[str]) -> str:
        found = values[match[1]]
        if isinstance(found, str):
            return html.escape(found) if as_html else found
        if as_html:
            return "".join(f"<li>{html.escape(item)}</li>" for item in found)
        return "\n".join(f"- {item}" for item in found)

    return _SLOT.sub(value, text)


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


def _fill(
    template: Template, text: str, values: Mapping[str, str | list[str]], *, as_html: bool = False
) -> str:
    try:
        return filled(text, values, as_html=as_html)
    except KeyError as missing:
        slot = str(missing.args[0])
        raise SlotNotFilled(slot=slot, template_id=template.template_id) from None


def _headers(notice: ClaimedNotice, writer: Writer, *, subject: str, boundary: str) -> bytes:
    lines = [
        f"Date: {format_datetime(notice.dated_at)}",
        f"From: {_phrase(writer.name)}\r\n <{writer.address}>",
        f"To: {notice.address}",
        f"Reply-To: {writer.reply_to}",
        f"Subject: {_unstructured(subject)}",
        f"Message-ID: {notice.message_id}",
    ]
    if notice.in_reply_to:
        lines += [f"In-Reply-To: {notice.in_reply_to}", f"References: {notice.in_reply_to}"]
    lines += [
        f"Content-Language: {notice.language}",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/alternative;\r\n boundary="{boundary}"',
        "\r\n",
    ]
    return "\r\n".join(lines).encode().removesuffix(b"\r\n")


def _part(text: str, subtype: str, boundary: str) -> bytes:
    # CRLF inside base64 is the form of text; readers on every system show it alike.
    raw = text.replace("\r\n", "\n").replace("\n", "\r\n").encode()
    coded = binascii.b2a_base64(raw, newline=False)
    lines = b"\r\n".join(coded[at : at + _LINE] for at in range(0, len(coded), _LINE))
    head = (
        f"--{boundary}\r\n"
        f"Content-Type: text/{subtype}; charset=utf-8\r\n"
        "Content-Transfer-Encoding: base64\r\n\r\n"
    )
    return head.encode() + lines


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
