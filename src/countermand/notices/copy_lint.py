"""A genuine order must not look like a forged one: rules of copy that block a release.

People are taught to recognise forged mails by what they ask, how they press, and what they hide.
Each rule is checked on the finished mail, with an example person's values filled in, so that the
words, the order's own texts and the house's settings are judged together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from html.parser import HTMLParser
from types import MappingProxyType
from typing import Any, Final

from countermand.domain.delivery import NoticeKind
from countermand.domain.errors import Fault, gettext_noop
from countermand.notices.order_words import House
from countermand.notices.preview import (
    EXAMPLE_SHORT_ID,
    PreviewMail,
    Signed,
    example_person,
    previews,
)

_DEMANDS: Final = frozenset({NoticeKind.NOTICE, NoticeKind.REMINDER, NoticeKind.LOCK})
_RULES: Final = MappingProxyType(
    {
        "name_missing": gettext_noop("The mail does not name the person."),
        "known_fact_missing": gettext_noop(
            "The mail says nothing that only the employer knows, such as the person's device."
        ),
        "number_missing": gettext_noop("The mail does not give the number of the notice."),
        "subject_like_a_shop": gettext_noop("The subject begins with a bracket, as shops do."),
        "issuer_missing": gettext_noop("The mail does not say who ordered and who approved."),
        "deadline_incomplete": gettext_noop(
            "The deadline lacks weekday, date, clock time or time zone."
        ),
        "mail_not_bounded": gettext_noop("The mail does not say that nothing is erased."),
        "hearing_missing": gettext_noop("The mail does not say whether the maker was asked."),
        "check_missing": gettext_noop(
            "The mail does not say how to check it: a typed address and the help desk."
        ),
        "link": gettext_noop("The mail has a link or a button; people are to type the address."),
        "image_or_table": gettext_noop("The mail has an image, a table, a form or a script."),
        "never_ask_missing": gettext_noop(
            "The mail does not say that we never ask for a password, a code, money or a download."
        ),
        "pressing": gettext_noop("The mail presses people: “{words}”."),
        "claims_not_forged": gettext_noop("The mail claims not to be forged: “{words}”."),
        "exceptions_missing": gettext_noop("The mail does not say how to ask for an exception."),
        "report_missing": gettext_noop("The mail does not say that reporting it is welcome."),
        "first_line": gettext_noop("The correction does not begin with the word “{words}”."),
        "language_not_marked": gettext_noop("The HTML part does not name its language."),
        "slot_left": gettext_noop("A place was left open in the mail: “{words}”."),
        "parts_differ": gettext_noop("Plain text and HTML do not say the same."),
    }
)
_REMEDY: Final = gettext_noop("Change the text of the order, or the words of the mail.")
_PRESSING: Final = re.compile(
    r"!|\burgent\w*|\bimmediately\b|\bat once\b|\bfinal (?:warning|notice)\b|\blast chance\b"
    r"|अर्जेंट|तुरंत|तत्काल|फ़ौरन|आख़िरी मौक़ा|अंतिम चेतावनी",
    re.IGNORECASE,
)
_SHOUTING: Final = re.compile(r"\b[A-Z]{4,}(?: [A-Z]{4,})+\b")
_CLAIMS: Final = re.compile(
    r"\bnot (?:a )?(?:phishing|scam|spam|fake)\b|यह (?:धोखा|फ़िशिंग|स्पैम) नहीं", re.IGNORECASE
)
_LINK: Final = re.compile(r"https?:|www\.|mailto:|\bclick here\b|यहाँ क्लिक करें", re.IGNORECASE)
_SLOT: Final = re.compile(r"\{[a-z_]+\}|\[\[[a-z_]+\]\]")
_MOMENT: Final = MappingProxyType(
    {
        "en": re.compile(r"\w+day \d{1,2} \w+ \d{4}, \d\d:\d\d \([^()]+\)"),
        "hi": re.compile(r"\S+वार, \d{1,2} \S+ \d{4}, \S+ \d{1,2}:\d\d बजे \([^()]+\)"),
    }
)
# What each language must contain for a rule to hold; any one of the words will do.
_MUST: Final = MappingProxyType(
    {
        "en": {
            "issuer_missing": ("Ordered by",),
            "mail_not_bounded": ("erased", "erases nothing", "does not pause company mail"),
            "hearing_missing": ("maker of the app",),
            "never_ask_missing": ("never ask for a password",),
            "exceptions_missing": ("exception",),
            "report_missing": ("report it",),
        },
        "hi": {
            "issuer_missing": ("जारी करने वाले",),
            "mail_not_bounded": (*("नहीं मिटाया जाता", "नहीं मिटाती", "कंपनी-मेल नहीं रोकती"),),
            "hearing_missing": ("ऐप बनाने वालों",),
            "never_ask_missing": ("कभी पासवर्ड",),
            "exceptions_missing": ("छूट",),
            "report_missing": ("ग़लत लगे",),
        },
    }
)
_ONLY_IN_DEMANDS: Final = frozenset({"mail_not_bounded", "hearing_missing", "exceptions_missing"})
_WITHDRAWN: Final = MappingProxyType({"en": "WITHDRAWN", "hi": "वापस लिया गया"})


@dataclass(frozen=True, slots=True)
class Example:
    """The values that stand in the mail under the lint: whom it names and what it says we know.

    `quoted` are names and addresses whose spelling is nobody's tone, capitals or not.
    """

    name: str
    known_fact: str
    quoted: tuple[str, ...] = ()


def lint(mail: PreviewMail, *, number: str, house: House, example: Example) -> tuple[Fault, ...]:
    """Return every rule of copy that a finished mail breaks, in the order of the rules."""
    found = dict(_broken(mail, number, house, example))
    key = ".".join(part for part in (mail.kind.value, mail.variant, mail.language) if part)
    return tuple(
        Fault(
            code=f"copy.{rule}",
            sentence=sentence,
            remedy=_REMEDY,
            key=key,
            facts=(("words", found[rule]),),
        )
        for rule, sentence in _RULES.items()
        if rule in found
    )


def lint_order(
    content: Mapping[str, Any],
    number: str,
    *,
    house: House,
    app_names: Mapping[str, str],
    signed: Signed,
    now: datetime,
) -> tuple[Fault, ...]:
    """Return every rule that any mail of an order breaks; none may be left at release."""
    mails = previews(content, number, house=house, app_names=app_names, signed=signed, now=now)
    everybody = (signed.issued_by, *signed.approved_by)
    names = tuple(text for who in everybody for text in (who.name, who.local_name, who.role))
    quoted = (*names, *app_names.values(), house.help_desk, house.organisation)
    return tuple(
        fault
        for mail in mails
        for fault in lint(
            mail,
            number=number,
            house=house,
            example=replace(example_of(mail.language), quoted=quoted),
        )
    )


def example_of(language: str) -> Example:
    """Return what the previews' invented person is called, and what is known of their device."""
    person = example_person(language)
    name = person.local_name if language == "hi" else person.name
    return Example(name=name, known_fact=EXAMPLE_SHORT_ID)


def _broken(
    mail: PreviewMail, number: str, house: House, example: Example
) -> Iterator[tuple[str, str]]:
    yield from _signs(mail, number, house, example)
    yield from _phrases(mail)
    if mail.kind in _DEMANDS:
        yield from _demand(mail, example)
    yield from _tone(mail, example)
    yield from _form(mail)


def _signs(
    mail: PreviewMail, number: str, house: House, example: Example
) -> Iterator[tuple[str, str]]:
    """Find what every genuine mail carries and this one does not."""
    if example.name not in mail.text:
        yield "name_missing", ""
    if number not in mail.subject or number not in mail.text:
        yield "number_missing", ""
    if mail.subject.removeprefix("Re: ").startswith("["):
        yield "subject_like_a_shop", ""
    if f"{house.lookup_address}/{number}" not in mail.text or house.help_desk not in mail.text:
        yield "check_missing", ""
    if mail.kind is NoticeKind.CORRECTION and not mail.text.startswith(_WITHDRAWN[mail.language]):
        yield "first_line", _WITHDRAWN[mail.language]


def _phrases(mail: PreviewMail) -> Iterator[tuple[str, str]]:
    """Find the sentences that a mail of this kind has to say and does not."""
    left_out = set() if mail.kind in _DEMANDS else set(_ONLY_IN_DEMANDS)
    if mail.kind is NoticeKind.CORRECTION:
        left_out.add("issuer_missing")  # a correction says who answers for it
    for rule, words in _MUST[mail.language].items():
        if rule not in left_out and not any(word in mail.text for word in words):
            yield rule, ""


def _demand(mail: PreviewMail, example: Example) -> Iterator[tuple[str, str]]:
    """Find what somebody of whom something is asked has to be told and is not."""
    if example.known_fact not in mail.text:
        yield "known_fact_missing", ""
    moment = _MOMENT[mail.language]
    if not any(moment.fullmatch(line) for line in mail.text.splitlines()):
        yield "deadline_incomplete", ""


def _tone(mail: PreviewMail, example: Example) -> Iterator[tuple[str, str]]:
    said = f"{mail.subject}\n{mail.text}"
    for text in sorted(filter(None, example.quoted), key=len, reverse=True):
        said = said.replace(text, "…")
    for rule, pattern in (
        ("pressing", _PRESSING),
        ("pressing", _SHOUTING),
        ("claims_not_forged", _CLAIMS),
        ("link", _LINK),
        ("slot_left", _SLOT),
    ):
        match = pattern.search(said)
        if match:
            yield rule, match[0]


def _form(mail: PreviewMail) -> Iterator[tuple[str, str]]:
    page = _Page()
    page.feed(mail.html)
    page.close()
    if page.tags & {"a", "button"}:
        yield "link", "<a>"
    if page.tags & {"img", "table", "form", "script", "iframe", "svg", "input"}:
        yield "image_or_table", ""
    if page.language != mail.language:
        yield "language_not_marked", ""
    if _letters("".join(page.said)) != _letters(mail.text):
        yield "parts_differ", ""


def _letters(text: str) -> str:
    """Return what is said, without what only lays it out: spaces, dashes of lists, colons."""
    return re.sub(r"[\s:\-]", "", text)


class _Page(HTMLParser):
    """Reads which elements a page has, in which language, and what its body says."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.language = ""
        self.said: list[str] = []
        self._in_body = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self._in_body = self._in_body or tag == "body"
        if tag == "html":
            self.language = dict(attrs).get("lang") or ""

    def handle_data(self, data: str) -> None:
        if self._in_body:
            self.said.append(data)
