"""How directories write languages, countries and time zones, and what is meant.

Every reading is either certain or None: nothing is guessed that decides in which language, and by
which clock, somebody is told.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from importlib import resources
from typing import Final
from zoneinfo import available_timezones

from babel import Locale
from babel.core import get_global

_TAG: Final = re.compile(r"[a-z]{2,3}(-[a-z0-9]{1,8})*", re.IGNORECASE)
_NAME_LANGUAGES: Final = ("en", "hi")
_SCRIPT: Final = 4
_REGION: Final = 2
_LONGEST_TAG: Final = 35


@lru_cache(maxsize=512)
def language_tag(text: str) -> str | None:
    """Read a language: a name of it, or a BCP 47 tag, which is kept whole and cased as usual.

    `zh_hant_TW` is `zh-Hant-TW`; of `hi-IN;q=1, en` the first counts. None if it is no language.
    """
    word = text.split(",", maxsplit=1)[0].split(";", maxsplit=1)[0].strip().replace("_", "-")
    named = _language_names().get(word.casefold())
    if named:
        return named
    base, *subtags = word.split("-")
    if not _TAG.fullmatch(word) or base.lower() not in _language_names().values():
        return None
    tag = "-".join([base.lower(), *_cased(subtags)])
    return tag if len(tag) <= _LONGEST_TAG else None


def _cased(subtags: list[str]) -> list[str]:
    """Write scripts as `Hant`, regions as `TW`, all else and whatever follows `x` in lower case."""
    cased, is_private = [], False
    for subtag in subtags:
        is_private = is_private or len(subtag) == 1
        if is_private or not subtag.isalpha():
            cased.append(subtag.lower())
        elif len(subtag) == _SCRIPT:
            cased.append(subtag.title())
        else:
            cased.append(subtag.upper() if len(subtag) == _REGION else subtag.lower())
    return cased


@lru_cache(maxsize=512)
def country_code(text: str) -> str | None:
    """Read a country by its two letters or its name, in English or Hindi; None if it is none."""
    return _country_names().get(text.strip().casefold())


@lru_cache(maxsize=512)
def zone_name(text: str) -> str | None:
    """Read a time zone by its IANA or its Windows name; None if it is none."""
    zone = get_global("windows_zone_mapping").get(text.strip(), text.strip())
    return str(zone) if zone in _zones() else None


def only_zone_of(country: str) -> str:
    """Return a country's zone if it has but one; of several, none is a safe guess."""
    zones = _zones_of_countries().get(country, ())
    return zones[0] if len(zones) == 1 else ""


@cache
def _language_names() -> dict[str, str]:
    """Return tags by the names of languages: in English, Hindi, and the language itself."""
    names: dict[str, str] = {}
    for display in _NAME_LANGUAGES:
        for tag, name in Locale(display).languages.items():
            if _TAG.fullmatch(tag) and "-" not in tag:
                names.setdefault(name.casefold(), tag)
    return names | {tag: tag for tag in names.values()}


@cache
def _country_names() -> dict[str, str]:
    """Return two-letter codes by themselves and by the names of countries."""
    names = {"usa": "US", "u.s.a.": "US", "uk": "GB", "u.k.": "GB"}
    for display in _NAME_LANGUAGES:
        for code, name in Locale(display).territories.items():
            if len(code) == 2 and code.isalpha():  # noqa: PLR2004 - not a continent's number
                names.setdefault(name.casefold(), code)
                names[code.casefold()] = code
    return names


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


@cache
def _zones_of_countries() -> dict[str, tuple[str, ...]]:
    """Return the zones of every country, from the table that comes with the zone data."""
    table = resources.files("tzdata").joinpath("zoneinfo", "zone.tab").read_text("utf-8")
    zones: dict[str, tuple[str, ...]] = {}
    for line in table.splitlines():
        if not line.startswith("#"):
            country, _, zone = line.split("\t")[:3]
            zones[country] = (*zones.get(country, ()), zone)
    return zones
