"""Anybody's mail, read within bounds: what it says, in which languages, and what it carries.

A mail under the lint comes from anywhere. Nothing in it is opened, fetched or run; every step is
linear in its size, and what goes beyond the bounds is refused with a reason.
"""

from __future__ import annotations

import email
import html
import re
import unicodedata
from dataclasses import dataclass, field
from datetime import datetime
from email.header import decode_header
from email.message import Message
from email.policy import compat32
from email.utils import getaddresses, parseaddr, parsedate_to_datetime
from typing import ClassVar, Final

from countermand.domain.errors import CountermandError, gettext_noop

LARGEST_BYTES: Final = 10_000_000
_MOST_PARTS: Final = 100
_MOST_NESTED: Final = 50
_LONGEST_TEXT: Final = 50_000
_LONGEST_PAGE: Final = 300_000
_LONGEST_HEADER: Final = 4_000
_LONGEST_TAG: Final = 8_000
_NESTING: Final = re.compile(rb"boundary\s*=|message/(?:rfc822|global)", re.IGNORECASE)
_ATTRIBUTE: Final = re.compile(r"""([^\s=/>"']++)(?:\s*+=\s*+("[^"]*+"|'[^']*+'|[^\s"'>]++))?""")
_BLOCKS: Final = frozenset(
    [
        "p",
        "div",
        "br",
        "li",
        "ul",
        "ol",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "tr",
        "td",
        "th",
        "table",
        "section",
        "header",
        "footer",
        "main",
        "title",
    ]
)
_ACTIVE: Final = frozenset(
    ["form", "script", "iframe", "object", "embed", "input", "textarea", "select"]
)
_HIDDEN: Final = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0|opacity\s*:\s*0(?![.\d])",
    re.IGNORECASE,
)


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
class Link:
    """One link of the HTML part: what is shown, and where it leads."""

    shown: str
    target: str
    is_button: bool


@dataclass(frozen=True, slots=True)
class Page:
    """The HTML part: what it says and what stands in it besides words."""

    text: str
    language: str
    links: tuple[Link, ...]
    images: int
    is_active: bool
    hides_text: bool


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
    message = email.message_from_bytes(content, policy=compat32)
    if not any(message.get(name) for name in ("From", "Subject", "Date")):
        raise MailNotReadable(file=file, why=gettext_noop("it has no header of a mail."))
    found = _Parts()
    found.gather(message, file)
    plain = _one_form("\n".join(found.plain)[:_LONGEST_TEXT]) if found.plain else None
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
        for count, part in enumerate(message.walk()):
            if count > _MOST_PARTS:
                raise MailNotReadable(file=file, why=gettext_noop("it has too many parts."))
            if part.is_multipart() and part.get_content_maintype() != "message":
                continue
            kind = part.get_content_type()
            name = _decoded(part.get_filename() or "")
            if name or part.get_content_disposition() == "attachment" or not _is_text(kind):
                self.attachments.append(name or kind)
            elif kind == "text/html":
                self.pages.append(_text_of(part)[:_LONGEST_PAGE])
            else:
                self.plain.append(_text_of(part)[:_LONGEST_TEXT])


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
    return _decoded(str(message.get(name, "")))


def _decoded(raw: str) -> str:
    """Return a header as people read it; what cannot be decoded stays as it is."""
    try:
        words = decode_header(raw[:_LONGEST_HEADER])
        text = "".join(
            word.decode(charset or "utf-8", "replace") if isinstance(word, bytes) else word
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


# -- HTML -------------------------------------------------------------------------------------


def read_page(source: str) -> Page:
    """Read what a page says and carries; made for pages that nobody has to trust."""
    scanner = _Scanner(source[:_LONGEST_PAGE])
    scanner.run()
    return Page(
        text=scanner.text(),
        language=scanner.language,
        links=tuple(scanner.links),
        images=scanner.images,
        is_active=scanner.is_active,
        hides_text=scanner.hides_text,
    )


class _Scanner:
    """Walks once over a page; never looks at a character a second time."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._lower = source.lower()
        self._said: list[str] = []
        self._anchor: tuple[str, bool, int] | None = None
        self.language = ""
        self.links: list[Link] = []
        self.images = 0
        self.is_active = False
        self.hides_text = False

    def text(self) -> str:
        lines = (" ".join(line.split()) for line in "".join(self._said).splitlines())
        return "\n".join(line for line in lines if line)[:_LONGEST_TEXT]

    def run(self) -> None:
        at, end = 0, len(self._source)
        while at < end:
            opening = self._source.find("<", at)
            if opening < 0:
                opening = end
            self._said.append(html.unescape(self._source[at:opening]))
            at = self._markup(opening) if opening < end else end
        self._end_link()

    def _markup(self, at: int) -> int:
        """Read one piece of markup that begins at `at`; return where it ends."""
        if self._source.startswith("<!--", at):
            return self._after("-->", at + 4)
        following = self._source[at + 1 : at + 2]
        if following in {"!", "?"}:
            return self._after(">", at)
        if not (following == "/" or following.isalpha()):
            self._said.append("<")
            return at + 1
        end = self._end_of_tag(at)
        inner = self._source[at + 1 : end - 1]
        name = re.match(r"/?[A-Za-z][A-Za-z0-9:-]*+", inner[:80])
        if name is None:
            return end
        return self._tag(name[0].lower(), inner[name.end() : _LONGEST_TAG], end)

    def _after(self, mark: str, at: int) -> int:
        found = self._lower.find(mark, at)
        return len(self._source) if found < 0 else found + len(mark)

    def _end_of_tag(self, at: int) -> int:
        """Return the place after the `>` of a tag; one inside quotes does not end it."""
        for match in re.compile(r"""["'>]""").finditer(self._source, at):
            if match.start() < at:
                continue
            if match[0] == ">":
                return match.end()
            closing = self._source.find(match[0], match.end())
            if closing < 0:
                break
            at = closing + 1
        return len(self._source)

    def _tag(self, name: str, rest: str, end: int) -> int:
        attributes = {
            found[1].lower(): html.unescape((found[2] or "").strip("\"'"))
            for found in _ATTRIBUTE.finditer(rest)
        }
        if name in {"script", "style", "title"}:  # nothing of it is shown as the mail's text
            self.is_active = self.is_active or name == "script"
            return self._after(">", self._after(f"</{name}", end))
        self._note(name.removeprefix("/"), attributes, is_closing=name.startswith("/"))
        return end

    def _note(self, name: str, attributes: dict[str, str], *, is_closing: bool) -> None:
        if name in _BLOCKS:
            self._said.append("\n")
        if name in {"a", "button", "area"}:
            self._end_link()
            if not is_closing:
                looks = f"{attributes.get('class', '')} {attributes.get('role', '')}".lower()
                is_button = name == "button" or "btn" in looks or "button" in looks
                is_button = is_button or "background" in attributes.get("style", "").lower()
                self._anchor = (attributes.get("href", ""), is_button, len(self._said))
        if is_closing:
            return
        if name in {"html", "body"} and not self.language:
            self.language = attributes.get("lang", "")
        self.images += name in {"img", "picture", "svg"}
        self.is_active = self.is_active or name in _ACTIVE
        self.hides_text = self.hides_text or bool(_HIDDEN.search(attributes.get("style", "")))

    def _end_link(self) -> None:
        if self._anchor is None:
            return
        target, is_button, begin = self._anchor
        shown = " ".join("".join(self._said[begin:])[:_LONGEST_TAG].split())
        if target or is_button:
            self.links.append(Link(shown=shown, target=target.strip(), is_button=is_button))
        self._anchor = None
