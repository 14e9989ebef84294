"""The approved words, as they lie in `words/<language>/`: a file per mail, and single sentences.

Their digest is part of what approvers approve, so whoever changes a word needs new approvals.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar, Final

from countermand.domain.errors import CountermandError, gettext_noop

WORDS_FOLDER: Final = Path(__file__).parent / "words"
PAGE_WORDS: Final = "page.toml"


@dataclass(eq=False)
class LanguageWithoutWords(CountermandError):
    """Mails are asked for in a language for which no approved words exist."""

    language: str

    code: ClassVar[str] = "words.language_without_words"
    sentence: ClassVar[str] = gettext_noop("There are no mail texts in the language “{language}”.")
    remedy: ClassVar[str] = gettext_noop(
        "Leave the language out of the order and state a fallback, or write the texts for it."
    )


@dataclass(frozen=True, slots=True)
class MailSource:
    """One mail as written: a subject and blocks, with places for the order and for the person."""

    subject: str
    body: str


def languages() -> tuple[str, ...]:
    """Return the languages in which every mail is written."""
    return tuple(sorted(folder.name for folder in WORDS_FOLDER.iterdir() if folder.is_dir()))


@lru_cache(maxsize=64)
def mail_source(language: str, name: str) -> MailSource:
    """Return one mail such as `notice` or `correction.mistake`. Raises LanguageWithoutWords."""
    text = _read(language, f"{name}.txt")
    first, _, body = text.partition("\n")
    return MailSource(subject=first.removeprefix("Subject:").strip(), body=body.strip())


@lru_cache(maxsize=16)
def sentences(language: str) -> Mapping[str, str]:
    """Return every single sentence by its dotted key. Raises LanguageWithoutWords."""
    return _by_key(_read(language, "sentences.toml"))


@lru_cache(maxsize=16)
def page_words(language: str) -> Mapping[str, str]:
    """Return the words of the look-up page by dotted key. Raises LanguageWithoutWords."""
    return _by_key(_read(language, PAGE_WORDS))


def _by_key(text: str) -> Mapping[str, str]:
    tables = tomllib.loads(text)
    return {
        f"{table}.{name}": text
        for table, entries in tables.items()
        for name, text in entries.items()
    }


@lru_cache(maxsize=1)
def files_digest() -> str:
    """Return the SHA-256 (hex) over every file of words of mails, by path and content."""
    files = {
        path.relative_to(WORDS_FOLDER).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in WORDS_FOLDER.rglob("*")
        if path.suffix in {".txt", ".toml"} and path.name != PAGE_WORDS
    }
    listing = json.dumps(files, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(listing.encode()).hexdigest()


def _read(language: str, name: str) -> str:
    folder = WORDS_FOLDER / language
    if language not in languages():
        raise LanguageWithoutWords(language=language)
    return (folder / name).read_text(encoding="utf-8")
