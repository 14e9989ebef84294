"""Whether staff could tell anybody's mail from a forged one: the fourteen rules on a foreign mail.

Words are looked for in each language that the mail is written in. What no rule can judge (a
language whose words are not known here) is said, and never counted as kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit

from countermand.notices import copy_rules, copy_words, foreign_deadline, word_store
from countermand.notices.foreign_mail import SeenMail
from countermand.notices.foreign_page import Link

# So small a part of the letters is a name or a quotation, not a language of the mail.
_ONE_SIXTH: Final = 1 / 6
_DEVANAGARI: Final = re.compile(r"[\u0900-\u097f]")
_LATIN: Final = re.compile(r"[A-Za-z\u00c0-\u024f]")
_WORD: Final = re.compile(r"[A-Za-z\u00c0-\u024f]{2,60}")
# Every fifth word at least is one of the commonest where most words are English.
_ONE_FIFTH: Final = 1 / 5
UNKNOWN: Final = "unknown"  # a language that the mail does not name either
_MIXED: Final = re.compile(r"(?=\w{0,60}[A-Za-z])(?=\w{0,60}[\u0370-\u03ff\u0400-\u04ff])\w{2,60}")
_TURNED: Final = re.compile(r"[\u202a-\u202e\u2066-\u2069]")
_DOMAIN: Final = re.compile(r"[\w.+-]{1,64}@([\w-]{1,63}(?:\.[\w-]{1,63}){1,8})")
_SHOWN_ADDRESS: Final = re.compile(
    r"(?:https?://)?((?:[\w-]{1,63}\.){1,8}[a-z]{2,24})(?:[/?#]|$)", re.IGNORECASE
)
_ONLY_IN_DEMANDS: Final = frozenset(
    {
        "action_missing",
        "consequence_missing",
        "mail_not_bounded",
        "reason_missing",
        "hearing_missing",
        "exceptions_missing",
    }
)
_PLACE: Final = re.compile(r"\[\[[a-z_]+\]\]|\{[a-z_]+\}")
_FIRST_LINES: Final = 6
_LONGEST_LINE: Final = 400
_SHOWN: Final = 80


class State(StrEnum):
    """How a mail stands to one rule."""

    KEPT = "kept"
    BROKEN = "broken"
    NOT_JUDGED = "not_judged"  # a language is not known here, or a deadline cannot be read
    NOT_NEEDED = "not_needed"  # the mail asks nothing of anybody


@dataclass(frozen=True, slots=True)
class Broken:
    """One way in which a mail breaks a rule; `language` is empty where no words are concerned."""

    key: str
    words: str = ""
    language: str = ""

    @property
    def way(self) -> copy_rules.Way:
        """What is wrong, and what to write instead."""
        return copy_rules.WAYS[self.key]

    def example(self) -> str:
        """Return an approved sentence of ours in the language of the mail, or nothing."""
        language = self.language if self.language in word_store.languages() else "en"
        text = word_store.sentences(language).get(self.way.example, "")
        return _PLACE.sub("…", text)


@dataclass(frozen=True, slots=True)
class Report:
    """What the lint says of one mail."""

    languages: tuple[str, ...]
    not_judged: tuple[str, ...]  # languages whose words are not known here
    is_demand: bool | None  # None where nobody can tell, since words are not known here
    broken: tuple[Broken, ...]
    doubtful: tuple[Broken, ...] = ()  # what a person has to look at

    @property
    def is_clean(self) -> bool:
        """Whether no rule is broken."""
        return not self.broken

    def state(self, rule: int) -> State:
        """Return how the mail stands to a rule."""
        if any(each.way.rule == rule for each in self.broken):
            return State.BROKEN
        if rule in _NEEDED_BY_DEMANDS and self.is_demand is False:
            return State.NOT_NEEDED
        if self.not_judged and rule not in _WITHOUT_WORDS:
            return State.NOT_JUDGED
        if any(each.way.rule == rule for each in self.doubtful):
            return State.NOT_JUDGED
        return State.KEPT


_NEEDED_BY_DEMANDS: Final = frozenset({3, 4, 5, 6, 13})
_WITHOUT_WORDS: Final = frozenset({8, 9, copy_rules.FORM})


def lint(mail: SeenMail, *, name: str = "", is_demand: bool | None = None) -> Report:
    """Judge one mail by the fourteen rules.

    `name` is whom it was written to, where that is known; `is_demand` says whether it asks
    something of people, and is found in its words when None.
    """
    said = _by_language(mail)
    known = {language: text for language, text in said.items() if language in copy_words.SAYS}
    not_judged = tuple(language for language in said if language not in known)
    if not said:  # perhaps all of it stands in a picture
        not_judged = (UNKNOWN,)
    asks = bool(copy_words.DEMAND.search(mail.text)) if is_demand is None else is_demand
    found = [
        *(_naming(mail, name, asks=asks) if known or not said else _greeting(mail, name)),
        *(broken for language, text in known.items() for broken in _saying(language, text, asks)),
        *(_deadline(mail) if asks and known else ()),
        *_tone(mail),
        *_links(mail),
        *_carrying(mail),
        *_form(mail),
    ]
    order = list(copy_rules.WAYS)
    unique = {(each.key, each.language): each for each in reversed(found)}
    ordered = sorted(unique.values(), key=lambda e: (e.way.rule, order.index(e.key), e.language))
    return Report(
        languages=tuple(said),
        not_judged=not_judged,
        is_demand=None if not_judged and not asks and is_demand is None else asks,
        broken=tuple(each for each in ordered if not each.way.is_doubt),
        doubtful=tuple(each for each in ordered if each.way.is_doubt),
    )


def _deadline(mail: SeenMail) -> Iterator[Broken]:
    for key, words in foreign_deadline.judge(mail):
        yield Broken(key, words)


def _by_language(mail: SeenMail) -> Mapping[str, str]:
    """Return what the mail says, language by language; lines without letters belong to each."""
    lines = mail.text.splitlines()
    hindi = [line for line in lines if _DEVANAGARI.search(line) and _is_hindi(line)]
    rest = [line for line in lines if line not in set(hindi)]
    other = [line for line in rest if _is_other(line)]
    latin = [line for line in rest if line not in set(other)]
    parts: dict[str, list[str]] = {}
    for language, own in (
        ("hi", hindi),
        (_latin_language(mail, latin), latin),
        (_declared(mail) or UNKNOWN, other),
    ):
        parts.setdefault(language, []).extend(own)
    letters = {
        language: sum(map(str.isalpha, "".join(own))) for language, own in parts.items() if own
    }
    whole = sum(letters.values())
    kept = [language for language in letters if letters[language] > whole * _ONE_SIXTH]
    if len(kept) == 1:
        return {kept[0]: mail.text}
    return {language: "\n".join(parts[language]) for language in kept}


def _is_hindi(line: str) -> bool:
    return len(_DEVANAGARI.findall(line)) >= len(_LATIN.findall(line)) / 2


def _is_other(line: str) -> bool:
    """Whether most letters of a line are of a script that neither language here is written in."""
    letters = sum(map(str.isalpha, line))
    return letters > 2 * (len(_LATIN.findall(line)) + len(_DEVANAGARI.findall(line)))


def _latin_language(mail: SeenMail, lines: list[str]) -> str:
    said = " ".join(lines)
    words, english = _WORD.findall(said), copy_words.ENGLISH.findall(said)
    is_english = english and len(english) >= len(words) * _ONE_FIFTH
    return "en" if is_english else _declared(mail) or UNKNOWN


def _declared(mail: SeenMail) -> str:
    declared = (mail.language or (mail.page.language if mail.page else "")).lower()[:2]
    return declared.replace("hi", "")


# -- what the mail has to say -----------------------------------------------------------------


def _naming(mail: SeenMail, name: str, *, asks: bool) -> Iterator[Broken]:
    yield from _greeting(mail, name)
    if asks and not copy_words.KNOWN_FACT.search(mail.text):
        yield Broken("known_fact_missing")
    if not (copy_words.NUMBER.search(mail.subject) or copy_words.NUMBER.search(mail.text)):
        yield Broken("number_missing")
    if not copy_words.DAY.search(mail.text):
        yield Broken("issue_date_missing")


def _greeting(mail: SeenMail, name: str) -> Iterator[Broken]:
    lines = [line.strip()[:_LONGEST_LINE] for line in mail.text.splitlines() if line.strip()]
    generic = [line for line in lines[:_FIRST_LINES] if copy_words.NOBODY_NAMED.search(line)]
    wanted = [name] if name else list(mail.to_names)
    if generic:
        yield Broken("name_missing", words=generic[0])
    elif wanted and not any(_names(mail.text, each) for each in wanted):
        yield Broken("name_missing")


def _names(text: str, name: str) -> bool:
    return name in text or all(part in text for part in name.split())


def _saying(language: str, text: str, asks: bool) -> Iterator[Broken]:  # noqa: FBT001
    flat = re.sub(r"\s+", " ", text)
    lines = re.sub(r"[ \t]+", " ", text)
    for key, pattern in copy_words.SAYS[language].items():
        if key in _ONLY_IN_DEMANDS and not asks:
            continue
        if not (pattern.search(flat) or pattern.search(lines)):
            yield Broken(key, language=language)


# -- how it says it ---------------------------------------------------------------------------


def _tone(mail: SeenMail) -> Iterator[Broken]:
    said = f"{mail.subject}\n{mail.text}"
    for key, pattern in (
        ("act_through_mail", copy_words.THROUGH_MAIL),
        ("pressing", copy_words.PRESSING),
        ("pressing", copy_words.SHOUTING),
        ("claims_not_forged", copy_words.CLAIMS),
        ("code_to_scan", copy_words.SCAN),
        ("slot_left", copy_words.SLOT),
    ):
        match = pattern.search(said)
        if match:
            yield Broken(key, words=match[0][:_SHOWN])


def _links(mail: SeenMail) -> Iterator[Broken]:
    links = mail.page.links if mail.page else ()
    written = copy_words.ADDRESS.findall(mail.text)
    targets = {link.target for link in links if link.target} | set(written)
    if len(targets) > 1:
        yield Broken("too_many_links", words=str(len(targets)))
    own = _site(mail.sender_address.rpartition("@")[2])
    for link in links:
        yield from _link(link, own)
    for target in written:
        yield from _address(target, own)


def _link(link: Link, own: str) -> Iterator[Broken]:
    shown = _SHOWN_ADDRESS.match(link.shown)
    if link.is_button or shown is None:
        yield Broken("button", words=link.shown[:_SHOWN] or link.target[:_SHOWN])
    elif _site(shown[1]) != _site(_host(link.target)):
        yield Broken("link_not_as_shown", words=f"{shown[1]} → {_host(link.target)}")
    yield from _address(link.target, own)


def _address(target: str, own: str) -> Iterator[Broken]:
    host = _host(target)
    if host and (_site(host) != own or host in copy_words.SHORTENERS):
        yield Broken("link_elsewhere", words=host)
    if "?" in target or re.search(r"/[A-Za-z0-9_-]{24,}", target):
        yield Broken("link_traced", words=target[:_SHOWN])


def _host(target: str) -> str:
    full = target if "//" in target else f"//{target}"
    try:
        return (urlsplit(full).hostname or "").lower()
    except ValueError:
        return target[:_SHOWN]


def _site(host: str) -> str:
    """Return the part of a host that one owner has: its last two labels, or three below co.xx."""
    labels = host.lower().strip(".").split(".")
    many = len(labels) > 2 and len(labels[-1]) == 2 and len(labels[-2]) <= 3  # noqa: PLR2004
    return ".".join(labels[-3 if many else -2 :])


def _carrying(mail: SeenMail) -> Iterator[Broken]:
    if mail.attachments:
        yield Broken("attachment", words=", ".join(mail.attachments[:3])[:_SHOWN])
    if mail.page and (mail.page.images or mail.page.has_table or mail.page.is_active):
        yield Broken("image_or_table")


def _form(mail: SeenMail) -> Iterator[Broken]:
    if mail.subject.removeprefix("Re: ").startswith("["):
        yield Broken("subject_like_a_shop")
    if mail.page is not None:
        yield from _page_form(mail)
    said = f"{mail.sender_name} {mail.subject} {mail.text}"
    mixed = _MIXED.search(said) or _TURNED.search(said)
    if mixed:
        yield Broken("letters_disguised", words=mixed[0])
    posed = _DOMAIN.search(mail.sender_name)
    domain = mail.sender_address.rpartition("@")[2]
    if posed and _site(posed[1]) != _site(domain):
        yield Broken(
            "sender_disguised", words=f"{mail.sender_name} <{mail.sender_address}>"[:_SHOWN]
        )
    answers = mail.reply_to or mail.sender_address
    if _site(answers.rpartition("@")[2]) != _site(domain):
        yield Broken("answer_elsewhere", words=answers[:_SHOWN])
    if copy_words.NOBODY_READS.search(answers):
        yield Broken("no_answer_wanted", words=answers[:_SHOWN])


def _page_form(mail: SeenMail) -> Iterator[Broken]:
    page = mail.page
    if page is None:
        return
    if not page.language:
        yield Broken("language_not_marked")
    if page.hides_text:
        yield Broken("text_hidden")
    if mail.plain is None:
        yield Broken("plain_text_missing")
    elif _letters(mail.plain) != _letters(page.text):
        yield Broken("parts_differ")


def _letters(text: str) -> str:
    """Return what is said, without what only lays it out, and without addresses in brackets."""
    return re.sub(r"[\s:\-*_#>•]|<[^<>\s]{0,300}>|\[\d{1,3}\]", "", text)
