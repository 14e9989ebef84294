"""Reads the fields of a file one by one and collects every fault instead of raising the first.

A reader that meets a fault returns a harmless value and goes on. That is safe because
`order_document.read` builds nothing while there is any fault.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, TypeVar

from countermand.domain.errors import Fault, gettext_noop
from countermand.domain.nearest import nearest_word
from countermand.domain.order_faults import fault_of
from countermand.domain.order_number import CheckCharacterWrong, OrderNumber
from countermand.domain.order_number import OrderNumberNotUnderstood as NotUnderstood
from countermand.domain.order_parts import Share, Texts

LONGEST_LINE: Final = 500
LONGEST_TEXT: Final = 2000
_DURATION: Final = re.compile(r"(-?)(\d{1,6})(min|h|d)")
_UNITS: Final = {"min": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_PERCENT: Final = re.compile(r"(\d{1,3})(?:\.(\d{1,2}))?%")
_LANGUAGE: Final = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_SOMEWHEN: Final = date(2000, 1, 1)
E = TypeVar("E", bound=StrEnum)


class Faults:
    """The faults of one file, each with the line of its key or of the nearest part around it."""

    def __init__(self, lines: Mapping[str, int], file: str | None) -> None:
        self._lines = lines
        self._file = file
        self.found: list[Fault] = []

    def add(self, code: str, key: str, /, **facts: str) -> None:
        """Note one fault at this dotted key."""
        line = self._line_of(key)
        self.found.append(fault_of(code, key=key, line=line, file=self._file, facts=facts))

    def _line_of(self, key: str) -> int:
        while key and key not in self._lines:
            key = key.rpartition(".")[0]
        return self._lines.get(key, 1)


class Fields:
    """The fields of one mapping in a file; `path` is its dotted key."""

    def __init__(self, value: Mapping[str, Any], path: str, faults: Faults) -> None:
        self._value = value
        self._path = path
        self._asked: set[str] = set()
        self.faults = faults

    def key(self, name: str) -> str:
        """Return the dotted key of a field."""
        return f"{self._path}.{name}" if self._path else name

    def fault(self, code: str, name: str, /, **facts: str) -> None:
        """Note a fault at one of the fields."""
        self.faults.add(code, self.key(name), **facts)

    def has(self, name: str) -> bool:
        """Tell whether a field is there and is not empty."""
        return self.raw(name) not in (None, "", [], {})

    def raw(self, name: str) -> Any:
        """Return the value as it stands in the file, None when there is none."""
        self._asked.add(name)
        return self._value.get(name)

    def missing(self, name: str, hint: str) -> None:
        """Note that a field is missing; the hint says what belongs there."""
        self.fault("order.key_missing", name, name=self.key(name), hint=hint)

    def odd(self, name: str, value: Any, hint: str) -> None:
        """Note that a value is not what the field needs."""
        self.fault(
            "order.value_not_understood", name, value=_shown(value), name=self.key(name), hint=hint
        )

    def outside(self, name: str, hint: str) -> None:
        """Note that a value lies outside of what the field allows."""
        value = _shown(self.raw(name))
        self.fault("order.value_out_of_bounds", name, value=value, name=self.key(name), hint=hint)

    def part(self, name: str) -> Fields:
        """Return the fields of a mapping inside; an absent one has none."""
        value = self.raw(name)
        if value is not None and not isinstance(value, dict):
            self.odd(name, value, gettext_noop("keys with values below it"))
            value = None
        return Fields(value or {}, self.key(name), self.faults)

    def parts(self, name: str) -> list[Fields]:
        """Return the fields of each mapping in a list, numbered from 1; absent means none."""
        found = []
        for place, item in enumerate(self._list(name), start=1):
            inner = f"{name}.{place}"
            if isinstance(item, dict):
                found.append(Fields(item, self.key(inner), self.faults))
            else:
                self.odd(inner, item, gettext_noop("keys with values below it"))
        return found

    def words(self, name: str) -> list[str]:
        """Return a list of short texts; one text alone counts as a list of one."""
        found = []
        for place, item in enumerate(self._list(name), start=1):
            if isinstance(item, str) and item.strip() and is_plain(item):
                found.append(item.strip())
            else:
                self.odd(f"{name}.{place}", item, gettext_noop("a short text"))
        return found

    def _list(self, name: str) -> list[Any]:
        value = self.raw(name)
        if isinstance(value, str) and value:
            return [value]
        if value is None or isinstance(value, list):
            return value or []
        self.odd(name, value, gettext_noop("a list such as [one, two]"))
        return []

    def line(self, name: str, *, hint: str = "", longest: int = LONGEST_LINE) -> str:
        """Return one line of plain text; with a hint it must be there."""
        value = self.raw(name)
        if value in (None, ""):
            if hint:
                self.missing(name, hint)
            return ""
        if not isinstance(value, str):
            # A bare number or date in the file is a text here.
            value = str(value)
        return self._plain(name, value, longest)

    def _plain(self, name: str, value: str, longest: int) -> str:
        text = value.strip()
        if not is_plain(text):
            self.fault("order.text_not_plain", name, name=self.key(name))
        if len(text) > longest:
            self.fault(
                "order.text_too_long",
                name,
                name=self.key(name),
                length=str(len(text)),
                limit=str(longest),
            )
        return text

    def texts(self, name: str, *, longest: int = LONGEST_TEXT, bare: bool = False) -> Texts:
        """Return a text in each of its languages; absent or empty means in none.

        `bare` allows one text without a language.
        """
        value = self.raw(name)
        if bare and isinstance(value, str) and value.strip():
            return Texts((("", self._plain(name, _folded(value), longest)),))
        if value in (None, ""):
            return Texts(())
        if not isinstance(value, dict):
            self.odd(
                name, value, gettext_noop("one text for each language, such as {en: ..., hi: ...}")
            )
            return Texts(())
        return Texts(tuple(sorted(self._by_language(name, value, longest))))

    def _by_language(
        self, name: str, value: Mapping[str, Any], longest: int
    ) -> list[tuple[str, str]]:
        found = []
        for language, text in value.items():
            inner = f"{name}.{language}"
            if not _LANGUAGE.fullmatch(language):
                self.odd(inner, language, gettext_noop("a language such as en or hi"))
            elif not isinstance(text, str) or not text.strip():
                self.missing(inner, "a text in this language")
            else:
                found.append((language, self._plain(inner, _folded(text), longest)))
        return found

    def choice(self, name: str, among: type[E], *, default: E | None = None) -> E:
        """Return one of the words of an enumeration; without a default it must be there."""
        value = self.raw(name)
        hint = ", ".join(among)
        if value is None:
            if default is None:
                self.missing(name, hint)
            return default or next(iter(among))
        for member in among:
            if member.value == value:
                return member
        self.odd(name, value, f"one of: {hint}")
        return default or next(iter(among))

    def choices(self, name: str, among: type[E]) -> tuple[E, ...]:
        """Return a list of words of an enumeration, each once; absent means none."""
        found: list[E] = []
        members = {member.value: member for member in among}
        for place, word in enumerate(self.words(name), start=1):
            if word not in members:
                self.odd(f"{name}.{place}", word, f"one of: {', '.join(among)}")
            elif members[word] not in found:
                found.append(members[word])
        return tuple(found)

    def flag(self, name: str, *, default: bool) -> bool:
        """Return true or false."""
        value = self.raw(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.odd(name, value, gettext_noop("true or false"))
            return default
        return value

    def duration(self, name: str, *, default: timedelta) -> timedelta:
        """Return a duration such as 30min, 72h or 10d; a minus sign means before."""
        value = self.raw(name)
        if value is None:
            return default
        matched = _DURATION.fullmatch(value) if isinstance(value, str) else None
        if matched is None:
            self.odd(name, value, gettext_noop("a duration such as 30min, 72h or 10d"))
            return default
        length = int(matched[2]) * _UNITS[matched[3]]
        return -length if matched[1] else length

    def share(self, name: str, *, default: Share) -> Share:
        """Return a share such as 2% or 0.5%, above none and at most all."""
        value = self.raw(name)
        if value is None:
            return default
        matched = _PERCENT.fullmatch(value) if isinstance(value, str) else None
        if matched is None:
            self.odd(name, value, gettext_noop("a share such as 2% or 0.5%"))
            return default
        share = Share(int(matched[1]) * 100 + int((matched[2] or "").ljust(2, "0")))
        if not 0 < share.per_ten_thousand <= 10_000:  # noqa: PLR2004
            self.outside(name, gettext_noop("a share above 0% and at most 100%"))
            return default
        return share

    def day(self, name: str, *, hint: str = "") -> date:
        """Return a day such as 2027-06-10; with a hint it must be there."""
        return self.day_or_none(name, hint=hint) or _SOMEWHEN

    def day_or_none(self, name: str, *, hint: str = "") -> date | None:
        """Return a day, or None when there is none; a time after it is allowed and dropped."""
        value = self.raw(name)
        if value in (None, ""):
            if hint:
                self.missing(name, hint)
            return None
        try:
            return datetime.fromisoformat(str(value)).date()
        except ValueError:
            self.odd(name, value, gettext_noop("a day such as 2027-06-10"))
            return None

    def number(self, name: str) -> OrderNumber | None:
        """Return an order number, or None when there is none."""
        value = self.raw(name)
        if value in (None, ""):
            return None
        try:
            return OrderNumber.parse(str(value))
        except CheckCharacterWrong:
            self.odd(name, value, gettext_noop("the number again: a character of it is mistyped"))
        except NotUnderstood:
            self.odd(name, value, gettext_noop("an order number such as CM-7Q4K"))
        return None

    def finish(self) -> None:
        """Note every key that nobody asked for, with the nearest one that belongs here."""
        for name in self._value:
            if name not in self._asked:
                near = nearest_word(name, self._asked) or ""
                known = ", ".join(sorted(self._asked))
                self.fault("order.key_unknown", name, name=name[:60], nearest=near, known=known)


def is_plain(text: str) -> bool:
    """Tell whether a text has no line break and no character that controls or hides others.

    Joiners are allowed: Devanagari and other scripts write with them.
    """
    return not any(
        unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}
        or character in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
        for character in text
    )


def _folded(text: str) -> str:
    """Put the lines of a block of text into one."""
    return " ".join(text.split())


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004
