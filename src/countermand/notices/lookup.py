"""The page on which staff see whether a notice is real, without touching any mail.

Plain files, written whole and swapped in: they stay readable while web and database are down. For
every notice its withdrawn form is written beforehand as well, so that a take-back shows it with
the standard library alone (`stop.lookup_page`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from countermand.domain.lifecycle import DOORS_OF_OURS, Phase
from countermand.domain.order_parts import Variant
from countermand.notices import moments, own_words, word_store
from countermand.notices.order_words import (
    House,
    OrderWords,
    order_of,
    order_words,
    what_happened,
)
from countermand.notices.wording import Signatory, signed_by
from countermand.stop.durable import write_durably
from countermand.stop.lookup_page import PREPARED_FOLDER, prepared_states, taken_back_at

_PAGES: Final = Path(__file__).parent / "templates"
_READABLE: Final = 0o644
_NOW: Final = frozenset({"in_force", "paused", "prepared"})
_WRITTEN: Final = re.compile(r"(?<=<!--written-->).*?(?=<!--/written-->)")


class PublicState(StrEnum):
    """How a notice stands, as anybody may know it."""

    PREPARED = "prepared"
    IN_FORCE = "in_force"
    PAUSED = "paused"
    WITHDRAWN = "withdrawn"
    ENDED = "ended"


_STATES: Final[Mapping[Phase, PublicState]] = {
    Phase.APPROVED: PublicState.PREPARED,
    Phase.HOLD: PublicState.PREPARED,
    Phase.CANARY: PublicState.IN_FORCE,
    Phase.SENDING: PublicState.IN_FORCE,
    Phase.NOTIFIED: PublicState.IN_FORCE,
    Phase.ENFORCING: PublicState.IN_FORCE,
    Phase.COLLECTING: PublicState.IN_FORCE,
    Phase.HANDED_OVER: PublicState.IN_FORCE,
    Phase.PAUSED: PublicState.PAUSED,
    Phase.CLOSED: PublicState.ENDED,
    Phase.STOPPING: PublicState.WITHDRAWN,
    Phase.CORRECTING: PublicState.WITHDRAWN,
    Phase.CORRECTED: PublicState.WITHDRAWN,
}


def public_state(phase: Phase) -> PublicState | None:
    """Return how a notice in this phase is shown; None: it has no page (nobody was told)."""
    return _STATES.get(phase)


@dataclass(frozen=True, slots=True)
class PublicNotice:
    """What a page tells of one notice; `content` is what the digest covers.

    `since` is when it was put in force, `changed_at` when it was taken back or ended, `variant`
    why it was taken back (empty while unknown), `replaced_by` what stands in its place
    (empty where nothing does, yet or any more), whatever the reason.
    """

    number: str
    content: Mapping[str, Any]
    app_names: tuple[str, ...]
    state: PublicState
    issued_by: Signatory
    approved_by: tuple[Signatory, ...] = ()
    since: datetime | None = None
    changed_at: datetime | None = None
    variant: str = ""
    replaced_by: str = ""


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


@dataclass(frozen=True, slots=True)
class _Row:
    number: str
    title: str
    state: str


@dataclass(frozen=True, slots=True)
class _List:
    heading: str
    none: str
    rows: tuple[_Row, ...]


@dataclass(frozen=True, slots=True)
class _IndexText:
    language: str
    level: str
    sub: str
    title: str
    paragraphs: tuple[str, ...]
    lists: tuple[_List, ...]


def write(folder: Path, notices: Sequence[PublicNotice], *, house: House, now: datetime) -> None:
    """Write every page: each notice, the list, the page for unknown numbers, the style.

    A page that says the same as before stays, with the instant when it was written. Pages are
    swapped in one by one, notices before the list that names them, and pages of numbers that are
    not among `notices` are taken away last. Raises OSError when the disk refuses; every page is
    then either the old one or the new one.
    """
    for name in ("lookup.css", "lookup.svg"):
        _put(folder / name, (_PAGES / name).read_text(encoding="utf-8"))
    for notice in notices:
        write_notice(folder, notice, house=house, now=now)
    _put(folder / "no-such-notice.html", _missing_page(house))
    _put(folder / "index.html", _index_page(notices, house, now))
    _take_away_others(folder, {notice.number for notice in notices})


def _take_away_others(folder: Path, numbers: set[str]) -> None:
    """Remove the pages of what was withdrawn before anybody was told."""
    for path in [*folder.glob("CM-*"), *(folder / PREPARED_FOLDER).glob("CM-*")]:
        if path.name.partition(".")[0] not in numbers:
            path.unlink(missing_ok=True)


def write_notice(folder: Path, notice: PublicNotice, *, house: House, now: datetime) -> None:
    """Write the page of one notice, and beforehand the one that a take-back would show."""
    prepared = folder / PREPARED_FOLDER
    withdrawn = {
        language: word_store.page_words(language)["state.withdrawn"]
        for language in word_store.languages()
    }
    _put(prepared / f"{notice.number}.html", _notice_page(_taken_back(notice), house, None))
    _put(prepared / f"{notice.number}.states.json", prepared_states(withdrawn))
    _put(folder / f"{notice.number}.html", _notice_page(notice, house, now))


def _put(path: Path, text: str) -> None:
    """Write a page unless it says so already: each one costs two waits for the disk."""
    if not _says(path, text):
        write_durably(path, text.encode(), mode=_READABLE)


def _says(path: Path, text: str) -> bool:
    try:
        standing = path.read_text(encoding="utf-8")
    except (FileNotFoundError, UnicodeDecodeError):
        return False
    return _WRITTEN.sub("", standing) == _WRITTEN.sub("", text)


def _taken_back(notice: PublicNotice) -> PublicNotice:
    return PublicNotice(
        number=notice.number,
        content=notice.content,
        app_names=notice.app_names,
        state=PublicState.WITHDRAWN,
        issued_by=notice.issued_by,
        approved_by=notice.approved_by,
        since=notice.since,
    )


# -- one notice -------------------------------------------------------------------------------


def _notice_page(notice: PublicNotice, house: House, now: datetime | None) -> str:
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
        newer=notice.replaced_by if notice.variant == Variant.REPLACED else "",
    )


def _notice_text(
    notice: PublicNotice, house: House, language: str, *, is_first: bool
) -> _NoticeText:
    words = order_words(
        notice.content,
        number=notice.number,
        language=language,
        house=house,
        app_names=notice.app_names,
    )
    say = word_store.page_words(language)
    is_exercise = order_of(notice.content).get("mode") == "exercise"
    return _NoticeText(
        language=language,
        notice_word=words.places["notice_word"],
        level="h1" if is_first else "h2",
        sub="h2" if is_first else "h3",
        title=words.places["title"],
        state=say[f"state.{notice.state}"],
        means=(
            *((say["means.exercise"],) if is_exercise else ()),
            *_means(notice, words, say, house.zone),
        ),
        parts=tuple(part for part in _parts(notice, words, say, house) if any(part.paragraphs)),
    )


def _means(
    notice: PublicNotice, words: OrderWords, say: Mapping[str, str], zone: str
) -> tuple[str, ...]:
    language = words.language
    since = moments.moment(notice.since, zone, language) if notice.since else ""
    changed = (
        moments.moment(notice.changed_at, zone, language)
        if notice.changed_at
        else taken_back_at(zone)
    )
    first = say[f"means.{notice.state}"].format(since=since, changed=changed)
    if notice.state is not PublicState.WITHDRAWN:
        return (first,)
    why = (_why(notice, say),) if notice.variant else ()
    own = _happened(notice, words, changed) if notice.variant else ()
    kept = (say["means.withdrawn_mails"], say["means.withdrawn_door"], say["means.withdrawn_app"])
    return (first, *why, *own, *kept)


def _why(notice: PublicNotice, say: Mapping[str, str]) -> str:
    if notice.replaced_by and notice.variant == Variant.REPLACED:
        return say["why.replaced_by"].format(number=notice.replaced_by)
    return say[f"why.{notice.variant}"]


def _happened(notice: PublicNotice, words: OrderWords, changed: str) -> tuple[str, ...]:
    text = what_happened(
        notice.content, notice.number, variant=notice.variant, language=words.language
    )
    own = own_words.naming(text, notice.replaced_by, instead="")  # ours stands before it
    return (own.replace("{taken_back_at}", changed),) if own else ()


def _parts(
    notice: PublicNotice, words: OrderWords, say: Mapping[str, str], house: House
) -> tuple[_Part, ...]:
    places = words.places
    issued_by = signed_by((notice.issued_by,), words.language)
    if notice.state in {PublicState.WITHDRAWN, PublicState.ENDED}:
        return (_decided(notice, words, say), _Part(say["heading.help"], (house.help_desk,)))
    return (
        _Part(say["heading.action"], (words.fill("[[action]]"), places["other_remedy"])),
        _Part(say["heading.deadline"], (_deadline(notice, say, words.language, house.zone),)),
        _Part(say["heading.consequence"], _consequence(notice, places, say)),
        _Part(
            say["heading.reason"],
            (places["reason"], places["evidence"], places["hearing"], places["review"]),
        ),
        _Part(
            say["heading.exceptions"],
            (words.fill("[[exceptions]]").replace("{issued_by}", issued_by),),
        ),
        _decided(notice, words, say),
        _Part(say["heading.help"], (house.help_desk,)),
    )


def _consequence(
    notice: PublicNotice, places: Mapping[str, str], say: Mapping[str, str]
) -> tuple[str, ...]:
    told = (places["consequence"], places["unobservable"])
    is_ours = order_of(notice.content).get("enforcement") in DOORS_OF_OURS
    if notice.state is PublicState.PAUSED and is_ours:  # what somebody else closes is not paused
        return (say["consequence.paused"], *told)
    return told


def _decided(notice: PublicNotice, words: OrderWords, say: Mapping[str, str]) -> _Part:
    key = "decided.by" if notice.approved_by else "decided.issued_only"
    text = say[key].format(
        issued_by=signed_by((notice.issued_by,), words.language),
        approved_by=signed_by(notice.approved_by, words.language),
    )
    return _Part(say["heading.decided"], (text,))


def _deadline(notice: PublicNotice, say: Mapping[str, str], language: str, zone: str) -> str:
    deadline = order_of(notice.content).get("deadline")
    if not isinstance(deadline, Mapping):
        return ""
    if deadline.get("at"):
        at = datetime.fromisoformat(str(deadline["at"]))
        return say["deadline.instant"].format(moment=moments.moment(at, zone, language))
    day = date.fromisoformat(str(deadline["day"]))
    hour = time.fromisoformat(str(deadline["hour"]))
    moment = moments.clock_moment(datetime.combine(day, hour), language)
    return say["deadline.each_person"].format(moment=moment)


# -- the list and the page for unknown numbers ------------------------------------------------


def _index_page(notices: Sequence[PublicNotice], house: House, now: datetime) -> str:
    texts = [
        _index_text(notices, house, language, is_first=place == 0)
        for place, language in enumerate(word_store.languages())
    ]
    return render(
        "index.html", title=texts[0].title, house=house, written=now, pages=texts, is_index=True
    )


def _index_text(
    notices: Sequence[PublicNotice], house: House, language: str, *, is_first: bool
) -> _IndexText:
    say = word_store.page_words(language)
    filled = {"lookup": house.lookup_address, "help_desk": house.help_desk}
    return _IndexText(
        language=language,
        level="h1" if is_first else "h2",
        sub="h2" if is_first else "h3",
        title=say["index.title"],
        paragraphs=tuple(
            say[f"index.{key}"].format(**filled) for key in ("lead", "how", "missing")
        ),
        lists=(
            _list(say["index.now"], say["index.none_now"], notices, language, is_now=True),
            _list(say["index.past"], say["index.none_past"], notices, language, is_now=False),
        ),
    )


def _list(
    heading: str, none: str, notices: Sequence[PublicNotice], language: str, *, is_now: bool
) -> _List:
    say = word_store.page_words(language)
    rows = tuple(
        _Row(notice.number, _title(notice, language), say[f"state.{notice.state}"])
        for notice in notices
        if (notice.state.value in _NOW) == is_now
    )
    return _List(heading=heading, none=none, rows=rows)


def _title(notice: PublicNotice, language: str) -> str:
    order = order_of(notice.content)
    titles = order["title"]
    return str(titles.get(language) or titles.get(order.get("fallback_language")) or "")


def _missing_page(house: House) -> str:
    texts = []
    for place, language in enumerate(word_store.languages()):
        say = word_store.page_words(language)
        filled = {"help_desk": house.help_desk}
        texts.append(
            _IndexText(
                language=language,
                level="h1" if place == 0 else "h2",
                sub="h2" if place == 0 else "h3",
                title=say["missing.title"],
                paragraphs=tuple(
                    say[f"missing.{key}"].format(**filled) for key in ("lead", "check", "report")
                ),
                lists=(),
            )
        )
    return render(
        "index.html",
        title=texts[0].title,
        house=house,
        written=None,
        pages=texts,
        is_missing=True,
    )


# -- rendering --------------------------------------------------------------------------------


def render(
    template: str,
    *,
    house: House,
    written: datetime | None,
    is_index: bool = False,
    is_missing: bool = False,
    languages: Sequence[str] = (),
    **texts: Any,
) -> str:
    """Fill one template of the look-up page; `texts` are what it alone needs.

    `languages` says in which order they stand on it, where that is another one than everywhere.
    """
    languages = languages or word_store.languages()
    return (
        _environment()
        .get_template(template)
        .render(
            first=languages[0],
            languages=languages,
            words={language: word_store.page_words(language) for language in languages},
            navigation=" / ".join(
                word_store.page_words(language)["name.navigation"] for language in languages
            ),
            house=house,
            is_index=is_index,
            is_missing=is_missing,
            written={language: _written(written, house.zone, language) for language in languages}
            if written
            else None,
            **texts,
        )
        + "\n"
    )


def _written(now: datetime, zone: str, language: str) -> str:
    moment = moments.moment(now, zone, language)
    return word_store.page_words(language)["foot.written"].format(moment=moment)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(loader=FileSystemLoader(_PAGES), autoescape=True, undefined=StrictUndefined)
