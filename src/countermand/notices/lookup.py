"""The page on which staff see whether a notice is real, without touching any mail.

Plain files, written whole and swapped in: they stay readable while web and database are down. For
every notice its withdrawn form is written beforehand as well, so that a take-back shows it with
the standard library alone (`stop.lookup_page`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from countermand.notices import lookup_list, lookup_notice, word_store
from countermand.notices.lookup_templates import PAGES
from countermand.notices.order_words import House
from countermand.notices.public_notice import PublicNotice, PublicState
from countermand.stop.durable import write_durably
from countermand.stop.lookup_page import PREPARED_FOLDER, prepared_states

_READABLE: Final = 0o644
_WRITTEN: Final = re.compile(r"(?<=<!--written-->).*?(?=<!--/written-->)")


def write(folder: Path, notices: Sequence[PublicNotice], *, house: House, now: datetime) -> None:
    """Write every page: each notice, the list, the page for unknown numbers, the style.

    A page that says the same as before stays, with the instant when it was written. Pages are
    swapped in one by one, notices before the list that names them, and pages of numbers that are
    not among `notices` are taken away last. Raises OSError when the disk refuses; every page is
    then either the old one or the new one.
    """
    for name in ("lookup.css", "lookup.svg"):
        _put(folder / name, (PAGES / name).read_text(encoding="utf-8"))
    for notice in notices:
        write_notice(folder, notice, house=house, now=now)
    _put(folder / "no-such-notice.html", lookup_list.missing_page(house))
    _put(folder / "index.html", lookup_list.page(notices, house, now))
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
    _put(prepared / f"{notice.number}.html", lookup_notice.page(_taken_back(notice), house, None))
    _put(prepared / f"{notice.number}.states.json", prepared_states(withdrawn))
    _put(folder / f"{notice.number}.html", lookup_notice.page(notice, house, now))


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
