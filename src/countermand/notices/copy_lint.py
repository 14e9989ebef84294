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
from functools import lru_cache
from html.parser import HTMLParser
from types import MappingProxyType
from typing import Any, Final

from countermand.domain.delivery import NoticeKind
from countermand.domain.errors import Fault
from countermand.notices import copy_rules, copy_words, foreign_lint, foreign_page, word_store
from countermand.notices.foreign_mail import SeenMail
from countermand.notices.order_words import House
from countermand.notices.preview import (
    EXAMPLE_SHORT_ID,
    PreviewMail,
    Signed,
    example_person,
    previews,
)

_DEMANDS: Final = frozenset({NoticeKind.NOTICE, NoticeKind.REMINDER, NoticeKind.LOCK})
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
_LINKS: Final = 8
# A correction or a last word asks nothing, so it need not say what one that asks has to.
_FOR_EVERY_KIND: Final = frozenset(
    {"act_through_mail", "claims_not_forged", "code_to_scan", "pressing", "text_hidden"}
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


@lru_cache(maxsize=128)
def lint(mail: PreviewMail, *, number: str, house: House, example: Example) -> tuple[Fault, ...]:
    """Return every rule of copy that a finished mail breaks, in the order of the rules.

    An order is judged when it is planned and again at release, mostly in the same words: what was
    said of them is remembered.
    """
    found = dict(_broken(mail, number, house, example))
    key = ".".join(part for part in (mail.kind.value, mail.variant, mail.language) if part)
    return tuple(
        Fault(
            code=f"copy.{rule}",
            sentence=way.sentence,
            remedy=way.instead,
            key=key,
            facts=(("words", found[rule]),),
        )
        for rule, way in copy_rules.WAYS.items()
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
    yield from _as_anybodys(mail, house, example)


def _as_anybodys(mail: PreviewMail, house: House, example: Example) -> Iterator[tuple[str, str]]:
    """Judge it as staff would judge a mail from anywhere: the same rules for us."""
    quoted = sorted(filter(None, example.quoted), key=len, reverse=True)
    report = foreign_lint.lint(
        _as_seen(mail, house, quoted), name=example.name, is_demand=mail.kind in _DEMANDS
    )
    for broken in report.broken:
        if broken.way.rule == _LINKS:
            continue  # ours has none at all, which is looked for more strictly
        judged = mail.language in copy_words.SAYS or broken.way.rule == copy_rules.FORM
        if (mail.kind in _DEMANDS and judged) or broken.key in _FOR_EVERY_KIND:
            yield broken.key, broken.words


def _as_seen(mail: PreviewMail, house: House, quoted: list[str]) -> SeenMail:
    """Return a mail as a reader meets it; names and addresses are nobody's tone."""

    def calm(text: str) -> str:
        for name in quoted:
            if name not in {house.help_desk, house.lookup_address}:
                text = text.replace(name, name.capitalize())
        return text.replace(house.help_desk, "help desk")

    return SeenMail(
        subject=calm(mail.subject),
        sender_name=house.organisation,
        sender_address=f"orders@{house.lookup_address.partition('/')[0]}",
        text=calm(mail.text),
        plain=calm(mail.text),
        page=foreign_page.read_page(calm(mail.html)),
        language=mail.language,
    )


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
    withdrawn = _WITHDRAWN.get(mail.language, "")
    if mail.kind is NoticeKind.CORRECTION and not mail.text.startswith(withdrawn):
        yield "first_line", withdrawn


def _phrases(mail: PreviewMail) -> Iterator[tuple[str, str]]:
    """Find the sentences that a mail of this kind has to say and does not."""
    left_out = set() if mail.kind in _DEMANDS else set(_ONLY_IN_DEMANDS)
    if mail.kind is NoticeKind.CORRECTION:
        left_out.add("issuer_missing")  # a correction says who answers for it
    for rule, words in _MUST.get(mail.language, {}).items():
        if rule not in left_out and not any(word in mail.text for word in words):
            yield rule, ""


def _demand(mail: PreviewMail, example: Example) -> Iterator[tuple[str, str]]:
    """Find what somebody of whom something is asked has to be told and is not."""
    if example.known_fact not in mail.text:
        yield "known_fact_missing", ""
    moment = _MOMENT.get(mail.language)
    if moment and not any(moment.fullmatch(line) for line in mail.text.splitlines()):
        yield "deadline_incomplete", ""


def _tone(mail: PreviewMail, example: Example) -> Iterator[tuple[str, str]]:
    said = f"{mail.subject}\n{mail.text}"
    for text in sorted(filter(None, example.quoted), key=len, reverse=True):
        said = said.replace(text, "…")
    for rule, pattern in (
        ("pressing", copy_words.PRESSING),
        ("pressing", copy_words.SHOUTING),
        ("claims_not_forged", copy_words.CLAIMS),
        ("link", copy_words.LINK),
        ("slot_left", copy_words.SLOT),
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
    if page.language not in {mail.language, word_store.fallback_of(mail.language)}:
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
