"""A take-back shows at once on the look-up page, without database, templates or words at hand.

Whoever writes a notice's page also lays down, in `.prepared`, the page that says that it was
withdrawn. Here it is swapped in: the instant is filled in, and the list of notices says so too.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from countermand.stop.durable import write_durably

PREPARED_FOLDER: Final = ".prepared"
# Stands in a prepared page where the instant belongs; no text of an order can contain it.
_TAKEN_BACK_AT: Final = "\N{LEFT WHITE CORNER BRACKET}taken-back-at%s\N{RIGHT WHITE CORNER BRACKET}"
_PLACE: Final = re.compile(_TAKEN_BACK_AT % " ?([A-Za-z0-9/_+-]*)")
_READABLE: Final = 0o644
_NUMBER: Final = re.compile(r"[A-Z0-9-]{1,12}")


def taken_back_at(zone: str) -> str:
    """Return what stands for the instant in a prepared page: told by the clock of an IANA zone."""
    return _TAKEN_BACK_AT % f" {zone}"


def prepared_states(words: Mapping[str, str]) -> str:
    """Return the file of the word for "withdrawn" by language, as `show_withdrawn` reads it."""
    return json.dumps(dict(words), ensure_ascii=False, sort_keys=True)


def show_withdrawn(folder: Path, number: str, at: datetime) -> bool:
    """Show the page that says that a notice was taken back; False when none was prepared.

    Twice is as good as once. Raises OSError when the disk refuses.
    """
    if not _NUMBER.fullmatch(number):
        return False
    prepared = folder / PREPARED_FOLDER
    try:
        page = (prepared / f"{number}.html").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False
    _put(folder / f"{number}.html", _PLACE.sub(lambda place: _instant(at, place[1]), page))
    with contextlib.suppress(FileNotFoundError):  # a list that is not there says nothing wrong
        _mark_in_list(folder, number)
    return True


def _instant(at: datetime, zone: str) -> str:
    from zoneinfo import ZoneInfo  # noqa: PLC0415  (only after the stop is durable)

    try:
        place = ZoneInfo(zone)
    except (KeyError, ValueError, OSError):  # no zone, or a machine that does not know it
        place, zone = ZoneInfo("UTC"), "UTC"
    return f"{at.astimezone(place):%Y-%m-%d %H:%M} {zone}"


def _mark_in_list(folder: Path, number: str) -> None:
    words = json.loads(
        (folder / PREPARED_FOLDER / f"{number}.states.json").read_text(encoding="utf-8")
    )
    index = folder / "index.html"
    text = index.read_text(encoding="utf-8")
    for language, word in words.items():
        mark = f"<!--state:{number}:{language}-->"
        begin = text.find(mark)
        end = text.find("<!--/state-->", begin)
        if begin >= 0 and end >= 0:
            text = text[: begin + len(mark)] + word + text[end:]
    _put(index, text)


def _put(path: Path, text: str) -> None:
    write_durably(path, text.encode(), mode=_READABLE)
