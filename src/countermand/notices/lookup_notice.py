"""The page of one notice: how it stands, what it asks, and why it was taken back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time

from countermand.domain.phases import DOORS_OF_OURS
from countermand.notices import moments, own_words, word_store
from countermand.notices.lookup_templates import render
from countermand.notices.order_words import (
    House,
    OrderWords,
    order_of,
    order_words,
    what_happened,
)
from countermand.notices.public_notice import PublicNotice, PublicState
from countermand.notices.word_store import Sentence
from countermand.notices.wording import signed_by
from countermand.stop.lookup_page import taken_back_at


@dataclass(frozen=True, slots=True)
class _Part:
    heading: str
    paragraphs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _NoticeText:
    language: str
    notice_word: str
    level: str
    sub: str
    title: str
    state: str
    means: tuple[str, ...]
    parts: tuple[_Part, ...]


def page(notice: PublicNotice, house: House, now: datetime | None) -> str:
    """Return the page; without `now` it does not say when it was written."""
    texts = [
        _notice_text(notice, house, language, is_first=place == 0)
        for place, language in enumerate(word_store.languages())
    ]
    title = f"{texts[0].notice_word} {notice.number}: {texts[0].state}"
    return render(
        "notice.html",
        title=title,
        house=house,
        written=now,
        pages=texts,
        number=notice.number,
        state=notice.state.value,
        newer=notice.newer,
    )


def _notice_text(
    notice: PublicNotice, house: House, language: str, *, is_first: bool
) -> _NoticeText:
    words = _words(notice, house, language)
    say = word_store.page_words(language)
    return _NoticeText(
        language=language,
        notice_word=words.places["notice_word"],
        level="h1" if is_first else "h2",
        sub="h2" if is_first else "h3",
        title=words.places["title"],
        state=say[f"state.{notice.state}"],
        means=means(notice, house, language),
        parts=tuple(part for part in _parts(notice, words, say, house) if any(part.paragraphs)),
    )


def _words(notice: PublicNotice, house: House, language: str) -> OrderWords:
    return order_words(
        notice.content,
        number=notice.number,
        language=language,
        house=house,
        app_names=notice.app_names,
    )


def means(notice: PublicNotice, house: House, language: str) -> tuple[str, ...]:
    """Return how a notice stands, and what follows from it, in sentences."""
    words, say = _words(notice, house, language), word_store.page_words(language)
    exercise = (say["means.exercise"],) if notice.is_exercise else ()
    return (*exercise, *_means(notice, words, say, house.zone))


def _means(
    notice: PublicNotice, words: OrderWords, say: Mapping[str, Sentence], zone: str
) -> tuple[str, ...]:
    stands = say[f"means.{notice.state}"]
    first = stands.format(
        since=moments.moment(notice.since, zone, stands.language) if notice.since else "",
        changed=_changed(notice, zone, stands.language),
    )
    if notice.state is not PublicState.WITHDRAWN:
        return (first,)
    why = (_why(notice, say),) if notice.variant else ()
    own = _happened(notice, words, zone) if notice.variant else ()
    kept = (say["means.withdrawn_mails"], say["means.withdrawn_door"], say["means.withdrawn_app"])
    return (first, *why, *own, *kept)


def _why(notice: PublicNotice, say: Mapping[str, Sentence]) -> str:
    if notice.newer:
        return say["why.replaced_by"].format(number=notice.newer)
    return say[f"why.{notice.variant}"]


def _changed(notice: PublicNotice, zone: str, language: str) -> str:
    at = notice.changed_at
    return moments.moment(at, zone, language) if at else taken_back_at(zone)


def _happened(notice: PublicNotice, words: OrderWords, zone: str) -> tuple[str, ...]:
    text = what_happened(
        notice.content, notice.number, variant=notice.variant, language=words.language
    )
    own = own_words.naming(text, notice.replaced_by, instead="")  # ours stands before it
    changed = _changed(notice, zone, text.language)
    return (own.replace("{taken_back_at}", changed),) if own else ()


def _parts(
    notice: PublicNotice, words: OrderWords, say: Mapping[str, Sentence], house: House
) -> tuple[_Part, ...]:
    places = words.places
    issued_by = signed_by((notice.issued_by,), words.language)
    if notice.is_over:
        return (_decided(notice, say), _Part(say["heading.help"], (house.help_desk,)))
    return (
        _Part(say["heading.action"], (words.fill("[[action]]"), places["other_remedy"])),
        _Part(say["heading.deadline"], (_deadline(notice, say, house.zone),)),
        _Part(say["heading.consequence"], _consequence(notice, places, say)),
        _Part(
            say["heading.reason"],
            (places["reason"], places["evidence"], places["hearing"], places["review"]),
        ),
        _Part(
            say["heading.exceptions"],
            (words.fill("[[exceptions]]").replace("{issued_by}", issued_by),),
        ),
        _decided(notice, say),
        _Part(say["heading.help"], (house.help_desk,)),
    )


def _consequence(
    notice: PublicNotice, places: Mapping[str, str], say: Mapping[str, Sentence]
) -> tuple[str, ...]:
    told = (places["consequence"], places["unobservable"])
    is_ours = order_of(notice.content).get("enforcement") in DOORS_OF_OURS
    if notice.state is PublicState.PAUSED and is_ours:  # what somebody else closes is not paused
        return (say["consequence.paused"], *told)
    return told


def _decided(notice: PublicNotice, say: Mapping[str, Sentence]) -> _Part:
    key = "decided.by" if notice.approved_by else "decided.issued_only"
    text = say[key].format(
        issued_by=signed_by((notice.issued_by,), say[key].language),
        approved_by=signed_by(notice.approved_by, say[key].language),
    )
    return _Part(say["heading.decided"], (text,))


def _deadline(notice: PublicNotice, say: Mapping[str, Sentence], zone: str) -> str:
    deadline = order_of(notice.content).get("deadline")
    if not isinstance(deadline, Mapping):
        return ""
    if deadline.get("at"):
        at = datetime.fromisoformat(str(deadline["at"]))
        said = say["deadline.instant"]
        return said.format(moment=moments.moment(at, zone, said.language))
    day = date.fromisoformat(str(deadline["day"]))
    hour = time.fromisoformat(str(deadline["hour"]))
    said = say["deadline.each_person"]
    return said.format(moment=moments.clock_moment(datetime.combine(day, hour), said.language))
