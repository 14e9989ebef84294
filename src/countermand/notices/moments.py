"""Days and hours as people read them: in their own zone, in their own language, zone named."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Final, Literal
from zoneinfo import ZoneInfo

from babel.core import Locale, get_global
from babel.dates import format_date, format_datetime, get_timezone_name
from babel.lists import format_list

from countermand.notices import word_store

# Locale, day, and moment, by the language of the words.
_LOCALE: Final = MappingProxyType({"en": "en_GB", "hi": "hi_IN"})
_DAY: Final = MappingProxyType({"en": "d MMMM y", "hi": "d MMMM y"})
_MOMENT: Final = MappingProxyType(
    {"en": "EEEE d MMMM y, HH:mm", "hi": "EEEE, d MMMM y, B h:mm 'बजे'"}
)
_MANY: Final = 4096


def _form(forms: Mapping[str, str], name: str, language: str) -> str:
    """Return how a language writes this: as known here, as its folder says, else as in English."""
    return forms.get(language) or word_store.about(language).get(name) or forms["en"]


def moment(at: datetime, zone: str, language: str) -> str:
    """Return weekday, date, clock time and zone of an instant; an unknown zone is read as UTC."""
    if at.tzinfo is None:
        raise ValueError("a moment needs a zone")
    return _moment(at.astimezone(UTC), zone, language)


@lru_cache(maxsize=_MANY)
def _moment(at: datetime, zone: str, language: str) -> str:
    local = at.astimezone(_place(zone))
    locale = _form(_LOCALE, "locale", language)
    written = format_datetime(local, _form(_MOMENT, "moment", language), locale=locale)
    return f"{written} ({_zone(local, locale)})"


def clock_moment(clock: datetime, language: str) -> str:
    """Return weekday, date and clock time of a clock that everybody reads at home; no zone."""
    return format_datetime(
        clock, _form(_MOMENT, "moment", language), locale=_form(_LOCALE, "locale", language)
    )


def _zone(local: datetime, locale: str) -> str:
    """Return the zone's name in words; where the data know it by an older key only, by that one."""
    variant: Literal["daylight", "standard"] = "daylight" if _is_summer(local) else "standard"
    older = _older_names().get(getattr(local.tzinfo, "key", ""))
    if older is not None:
        names = Locale.parse(locale).meta_zones.get(get_global("meta_zones")[older], {})
        word = names.get("long", {}).get(variant)
        if word:
            return str(word)
    return get_timezone_name(local, zone_variant=variant, locale=locale)


def _is_summer(local: datetime) -> bool:
    """Whether clocks are ahead; Ireland's own time data call their winter the exception."""
    offsets = {local.replace(month=month, day=1).utcoffset() or timedelta() for month in (1, 7)}
    return len(offsets) > 1 and local.utcoffset() == max(offsets)


def day(at: datetime | date, zone: str, language: str) -> str:
    """Return the date of an instant where the person is, or a date as it stands."""
    on = at.astimezone(_place(zone)).date() if isinstance(at, datetime) else at
    return format_date(on, _form(_DAY, "day", language), locale=_form(_LOCALE, "locale", language))


def listed(words: tuple[str, ...], language: str) -> str:
    """Return words as one phrase: `a, b and c`."""
    return format_list(list(words), locale=_form(_LOCALE, "locale", language))


@lru_cache(maxsize=_MANY)
def _place(zone: str) -> ZoneInfo:
    try:
        return ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        return ZoneInfo("UTC")


@lru_cache(maxsize=1)
def _older_names() -> Mapping[str, str]:
    """Return the key of the locale data for each zone that goes by a newer name, or by both."""
    known = get_global("meta_zones")
    aliases = get_global("zone_aliases")
    renamed = {new: old for old, new in aliases.items() if old in known and new not in known}
    return renamed | {old: old for old in renamed.values()}
