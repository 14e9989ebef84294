"""How every page of the look-up page is filled: one frame, all languages, each in its own words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from countermand.notices import moments, word_store
from countermand.notices.order_words import House

PAGES: Final = Path(__file__).parent / "templates"


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
    said = word_store.page_words(language)["foot.written"]
    return said.format(moment=moments.moment(now, zone, said.language))


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(loader=FileSystemLoader(PAGES), autoescape=True, undefined=StrictUndefined)
