"""Days and hours as people read them: in their own zone, in their own language, zone named."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo

from babel.core import get_global
from babel.dates import format_date, format_datetime, get_timezone_name
from babel.lists import format_list

# Locale, day, and moment, by the language of the words.
_LOCALE: Final = MappingProxyType({"en": "en_GB", "hi": "hi_IN"})
_DAY: Final = MappingProxyType({"en": "d MMMM y", "hi": "d MMMM y"})
_MOMENT: Final = MappingProxyType(
    {"en": "EEEE d MMMM y, HH:mm", "hi": "EEEE, d MMMM y, B h:mm 'बजे'"}
)
_MANY: Final = 4096


def moment(at: datetime, zone: str, language: str) -> str:
    """Return weekday, date, clock time and zone of an instant; an unknown zone is read as UTC."""
    if at.tzinfo is None:
        raise ValueError("a moment needs a zone")
    return _moment(at.astimezone(UTC), zone, language)


@lru_cache(maxsize=_MANY)
def _moment(at: datetime, zone: str, language: str) -> str:
    place = _place(zone)
    local = at.astimezone(place)
    locale = _LOCALE[language]
    named = local.replace(tzinfo=_with_a_name(place))
    return (
        f"{format_datetime(local, _MOMENT[language], locale=locale)} "
        f"({get_timezone_name(named, locale=locale)})"
    )


def day(at: datetime | date, zone: str, language: str) -> str:
    """Return the date of an instant where the person is, or a date as it stands."""
    on = at.astimezone(_place(zone)).date() if isinstance(at, datetime) else at
    return format_date(on, _DAY[language], locale=_LOCALE[language])


def listed(words: tuple[str, ...], language: str) -> str:
    """Return words as one phrase: `a, b and c`."""
    return format_list(list(words), locale=_LOCALE[language])


@lru_cache(maxsize=_MANY)
def _place(zone: str) -> ZoneInfo:
    try:
        return ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        return ZoneInfo("UTC")


@lru_cache(maxsize=_MANY)
def _with_a_name(place: ZoneInfo) -> ZoneInfo:
    """Return the zone under the older name by which the locale data know it, where needed."""
    if place.key in get_global("meta_zones"):
        return place
    older = _older_names().get(place.key)
    return ZoneInfo(older) if older else place


@lru_cache(maxsize=1)
def _older_names() -> Mapping[str, str]:
    known = get_global("meta_zones")
    aliases = get_global("zone_aliases")
    return {new: old for old, new in aliases.items() if old in known}
