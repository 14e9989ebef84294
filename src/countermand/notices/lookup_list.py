"""The list of all notices, and the page for a number that is none of ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from countermand.notices import word_store
from countermand.notices.lookup_templates import render
from countermand.notices.order_words import House, order_of
from countermand.notices.public_notice import PublicNotice

_NOW: Final = frozenset({"in_force", "paused", "prepared"})


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


def page(notices: Sequence[PublicNotice], house: House, now: datetime) -> str:
    """Return the list."""
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


def missing_page(house: House) -> str:
    """Return what is shown for an unknown number."""
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
