"""What an order says in its mails, the same for everybody: the places `[[…]]` of the words.

Read from the content that the digest covers, so that a mail says what was approved and no more.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from types import MappingProxyType
from typing import Any, ClassVar, Final, Protocol

from countermand.domain.errors import CountermandError, gettext_noop
from countermand.domain.language_marks import marked
from countermand.domain.phases import DOORS_OF_OURS, Enforcement
from countermand.notices import moments, word_store
from countermand.notices.word_store import Sentence

_PLACE: Final = re.compile(r"\[\[([a-z_]+)\]\]")
# Kinds of device, as people call them; the same word in both languages.
_PLATFORM_NAMES: Final = MappingProxyType(
    {
        "ios": "iPhone",
        "ipados": "iPad",
        "macos": "Mac",
        "android": "Android",
        "windows": "Windows",
        "linux": "Linux",
        "chromeos": "ChromeOS",
    }
)
# Braces and brackets of an order's own text must not become places; these look alike.
_HARMLESS: Final = str.maketrans({"{": "(", "}": ")", "[": "(", "]": ")"})
_LATER_SLOTS: Final = ("taken_back_at", "replaced_by")


@dataclass(eq=False)
class TextMissing(CountermandError):
    """An order has no text for something that its mails have to say."""

    key: str
    language: str

    code: ClassVar[str] = "words.text_missing"
    sentence: ClassVar[str] = gettext_noop(
        "The order has no text for {key} in the language “{language}”."
    )
    remedy: ClassVar[str] = gettext_noop("Write the text in the order, or state a fallback.")


class HouseSettings(Protocol):
    """The settings that mails and pages quote."""

    @property
    def organisation(self) -> str: ...
    @property
    def lookup_address(self) -> str: ...
    @property
    def help_desk(self) -> str: ...
    @property
    def company_notice_word(self) -> Mapping[str, str]: ...
    @property
    def zone(self) -> str: ...


@dataclass(frozen=True, slots=True)
class House:
    """What the organisation calls itself, its notices, its look-up page and its help desk."""

    organisation: str
    lookup_address: str
    help_desk: str
    notice_word: Mapping[str, str] = field(hash=False)  # so that what is said can be remembered
    zone: str = "UTC"  # by which whoever reads one page for all is told instants

    def word_in(self, language: str) -> str:
        """Return the organisation's own word for a notice."""
        return self.notice_word.get(language) or self.notice_word["en"]


def house_of(settings: HouseSettings) -> House:
    """Return the part of the settings that mails and pages quote."""
    return House(
        organisation=settings.organisation,
        lookup_address=settings.lookup_address,
        help_desk=settings.help_desk,
        notice_word=settings.company_notice_word,
        zone=settings.zone,
    )


@dataclass(frozen=True, slots=True)
class OrderWords:
    """One order in one language, ready to fill a source; values are whole texts."""

    language: str
    enforcement: Enforcement
    app_names: tuple[str, ...]
    places: Mapping[str, str]

    def fill(self, text: str) -> str:
        """Fill every `[[place]]`; one that is empty leaves nothing behind."""
        filled = text
        while _PLACE.search(filled):  # a sentence may hold places itself
            filled = _PLACE.sub(lambda match: self.places[match[1]], filled)
        return filled.strip()


def words_digest(house: House) -> str:
    """Return the SHA-256 (hex) over every approved word and over how the house calls itself."""
    said = {
        "files": word_store.files_digest(),
        "organisation": house.organisation,
        "lookup_address": house.lookup_address,
        "help_desk": house.help_desk,
        "notice_word": dict(house.notice_word),
    }
    return hashlib.sha256(
        json.dumps(said, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    ).hexdigest()


def order_words(
    content: Mapping[str, Any],
    *,
    number: str,
    language: str,
    house: House,
    app_names: Sequence[str],
    marks_languages: bool = False,
) -> OrderWords:
    """Read an order's content for mails in `language`; see `order_of` for what is taken.

    `app_names` are the names of the ordered apps as people know them. With `marks_languages` what
    is in another language is marked as `domain.language_marks` does. Raises TextMissing and
    LanguageWithoutWords.
    """
    content = order_of(content)
    reader = _Reader(content, language, marks_languages=marks_languages)
    apps = tuple(_plain(name) for name in app_names)
    sentences = word_store.sentences_in_mail if marks_languages else word_store.sentences
    say = _naming(apps, sentences(language))
    enforcement = Enforcement(str(content["enforcement"]))
    places = {
        "number": number,
        "notice_word": _plain(house.word_in(language)),
        "lookup": _plain(house.lookup_address),
        "help_desk": _plain(house.help_desk),
        "help_desk_line": say["check.help_desk"],
        "apps": moments.listed(apps, language),
        "title": reader.text("title"),
        "reason": reader.text("reason"),
        "how_to_check": say["check.how"],
        "check_code_line": say["check.code"],
        "never_ask": say["check.never_ask"],
        "report": say["check.report"],
        "exceptions": say["exceptions.ask"],
        **_exercise(content, say),
        **_what_to_do(content, say),
        **_consequence(say, enforcement),
        **_lost(content, say),
        "looked_at": say["looked_at.app"],
        **_grounds(content, reader, say),
    }
    return OrderWords(
        language=language,
        enforcement=enforcement,
        app_names=tuple(app_names),
        places=places,
    )


def order_of(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the order itself out of what the digest covers; an order alone is taken as it is."""
    order = content.get("order")
    return order if isinstance(order, Mapping) else content


def what_happened(
    content: Mapping[str, Any], number: str, *, variant: str, language: str
) -> Sentence:
    """Return the order's own sentence for this kind of take-back. Raises TextMissing.

    Its places `{number}` and `{title}` are filled; `{taken_back_at}` and `{replaced_by}` wait for
    the person's values, and no other brace stays one.
    """
    content = order_of(content)
    entries = _mapping(content.get("corrections")).get(variant)
    own = in_language(entries, content, language, f"corrections.{variant}")
    text = own.replace("{number}", number)
    text = text.replace("{title}", _Reader(content, own.language).text("title"))
    kept = "|".join(_LATER_SLOTS)
    parts = re.split(rf"(\{{(?:{kept})\}})", " ".join(text.split()))
    plain = (part if part[1:-1] in _LATER_SLOTS else _plain_part(part) for part in parts)
    return Sentence("".join(plain), own.language)


class _Reader:
    """Texts of an order in one language, with the order's fallback."""

    def __init__(
        self, content: Mapping[str, Any], language: str, *, marks_languages: bool = False
    ) -> None:
        self._content = content
        self._marks_languages = marks_languages
        self.language = language

    def text(self, key: str) -> str:
        return self.given(self._content.get(key), key)

    def given(self, entries: object, key: str) -> str:
        found = in_language(entries, self._content, self.language, key)
        text = _plain(found)
        return marked(text, found.language, within=self.language) if self._marks_languages else text


def in_language(entries: object, content: Mapping[str, Any], language: str, key: str) -> Sentence:
    """Return a text of an order in this language, else in the order's fallback, and in which.

    Raises TextMissing.
    """
    if isinstance(entries, str):
        return Sentence(entries, language)
    if isinstance(entries, Mapping):
        fallback = str(content.get("fallback_language") or "en")
        for wanted in (language, fallback, ""):
            if entries.get(wanted):
                return Sentence(str(entries[wanted]), wanted or language)
    raise TextMissing(key=key, language=language)


def _plain(text: str) -> str:
    """Return a text of an order as one paragraph in which nothing is a place or a slot."""
    return _plain_part(" ".join(text.split()))


def _plain_part(text: str) -> str:
    return text.translate(_HARMLESS)


def _as_date(value: object) -> date | datetime:
    if isinstance(value, date):
        return value
    text = str(value)
    return datetime.fromisoformat(text) if "T" in text else date.fromisoformat(text)


def _exercise(content: Mapping[str, Any], say: Mapping[str, str]) -> dict[str, str]:
    is_exercise = content.get("mode") == "exercise"
    return {
        "exercise": say["exercise.text"] if is_exercise else "",
        "exercise_mark": say["exercise.mark"] if is_exercise else "",
    }


def _what_to_do(content: Mapping[str, Any], say: Mapping[str, Sentence]) -> dict[str, str]:
    targets = frozenset(content.get("targets") or ("app",))
    devices = _mapping(_mapping(content.get("scope")).get("devices"))
    reads_mail = devices.get("reads_mail", True)
    table = "what_to_do" if reads_mail else "what_to_do_at_work"
    remedies = tuple(content.get("remedies") or ("remove-app",))
    removed = "_".join(target for target in ("app", "desktop") if target in targets) or "web"
    main = removed if "remove-app" in remedies or removed == "web" else remedies[0]
    by_hand = say[f"by_hand.{removed}" if removed in {"desktop", "web"} else "by_hand.device"]
    parts: list[str] = []
    if removed != "web":
        parts.append(say["browser.included" if "web" in targets else "browser.excluded"])
    owners = tuple(devices.get("ownership") or ())
    if owners in {("corporate",), ("personal",)}:
        parts.append(say[f"only.{owners[0]}"])
    kinds = _platform_names(devices.get("platforms"))
    if kinds:
        said = say["only.platforms"]
        parts.append(said.replace("[[platforms]]", moments.listed(kinds, said.language)))
    others = [say[f"remedy.{r}"] for r in remedies if r not in {"remove-app", main}]
    action = say[f"{table}.{main}"]
    return {
        "what_to_do": " ".join([action, by_hand, *parts]),
        "action": " ".join([action, *parts]),  # where it is read on a page
        "other_remedy": " ".join(others),
    }


def _platform_names(platforms: object) -> tuple[str, ...]:
    if not isinstance(platforms, Sequence) or isinstance(platforms, str):
        return ()
    return tuple(_PLATFORM_NAMES[name] for name in platforms if name in _PLATFORM_NAMES)


def _consequence(say: Mapping[str, str], enforcement: Enforcement) -> dict[str, str]:
    name = enforcement.value.replace("-", "_")
    closes = enforcement in DOORS_OF_OURS
    return {
        "consequence": say[f"consequence.{name}"],
        "unobservable": say["unobservable.ask"] if closes else "",
        "with_it": say[f"with_it.{name}"] if closes else "",
        "comes_back": say[f"comes_back.{name}"] if closes else "",
        "restored": say[f"restored.{name}"] if closes else "",
    }


def _lost(content: Mapping[str, Any], say: Mapping[str, str]) -> dict[str, str]:
    """Say what may be lost by doing what is asked, and nothing where nothing can be lost."""
    targets = frozenset(content.get("targets") or ("app",))
    remedies = tuple(content.get("remedies") or ("remove-app",))
    parts = []
    if targets & {"app", "desktop"} and "remove-app" in remedies:
        parts.append(say["lost.app"])
    if "unenrol" in remedies:
        parts.append(say["lost.unenrol"])
    return {"lost_heading": say["lost.heading"] if parts else "", "lost": " ".join(parts)}


def _grounds(
    content: Mapping[str, Any], reader: _Reader, say: Mapping[str, Sentence]
) -> dict[str, str]:
    review_on = content.get("review_on")
    return {
        "evidence": say[f"evidence.{_grade(content.get('evidence'))}"],
        "hearing": _hearing(_mapping(content.get("hearing")), reader, say),
        "review": _dated(say["review.on"], review_on=review_on) if review_on else "",
    }


def _grade(evidence: object) -> str:
    claims = evidence if isinstance(evidence, Sequence) and not isinstance(evidence, str) else ()
    grades = {str(_mapping(claim).get("grade")) for claim in claims}
    if not grades:
        return "none"
    return next(iter(grades)) if len(grades) == 1 else "mixed"


def _hearing(hearing: Mapping[str, Any], reader: _Reader, say: Mapping[str, Sentence]) -> str:
    if hearing.get("answered_at") and hearing.get("asked_at"):
        quoted = bool(hearing.get("answer"))
        text = _dated(
            say["hearing.answered" if quoted else "hearing.answered_unquoted"],
            answered_on=hearing["answered_at"],
            asked_on=hearing["asked_at"],
        )
        if quoted:
            text = text.replace("[[answer]]", reader.given(hearing["answer"], "hearing.answer"))
        return text
    if hearing.get("asked_at"):
        return _dated(say["hearing.asked"], asked_on=hearing["asked_at"])
    if hearing.get("not_asked_because"):
        because = reader.given(hearing["not_asked_because"], "hearing.not_asked_because")
        return say["hearing.not_asked"].replace("[[because]]", because)
    return say["hearing.not_recorded"]


def _naming(apps: tuple[str, ...], say: Mapping[str, Sentence]) -> Mapping[str, Sentence]:
    """Return the sentences with the apps listed in each as its language lists them."""
    languages = {said.language for said in say.values()}
    listed = {language: moments.listed(apps, language) for language in languages}
    return {
        key: Sentence(said.replace("[[apps]]", listed[said.language]), said.language)
        for key, said in say.items()
    }


def _dated(said: Sentence, **dates: object) -> str:
    """Fill dates of an order, as the language of the sentence writes them."""
    text = str(said)
    for place, value in dates.items():
        on = moments.day(_as_date(value), "UTC", said.language)
        text = text.replace(f"[[{place}]]", on)
    return text


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
