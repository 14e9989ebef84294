"""The approved words, as they lie in `words/<language>/`: a file per mail, and single sentences.

A further language is one folder more. Its `language.toml` names its locale and the language that
stands in for what is not translated yet; a mail then says itself in which language it is.

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
from typing import ClassVar, Final, Self

from countermand.domain.errors import CountermandError, gettext_noop
from countermand.domain.language_marks import marked

WORDS_FOLDER: Final = Path(__file__).parent / "words"
COMPLETE: Final = "en"  # has every sentence
PAGE_WORDS: Final = "page.toml"
ABOUT: Final = "language.toml"


@dataclass(eq=False)
class LanguageWithoutWords(CountermandError):
    """Mails are asked for in a language for which no approved words exist."""

    language: str
    there: str

    code: ClassVar[str] = "words.language_without_words"
    sentence: ClassVar[str] = gettext_noop(
        "There are no mail texts in the language “{language}”, only in: {there}."
    )
    remedy: ClassVar[str] = gettext_noop(
        "Name one that is there; in an order, state it as the fallback. Or write the texts for it."
    )


class Sentence(str):
    """Words that know in which language they are, for what is put into them."""

    __slots__ = ("language",)
    language: str

    def __new__(cls, text: str, language: str) -> Self:
        """Take the words as they are."""
        made = super().__new__(cls, text)
        made.language = language
        return made


@dataclass(frozen=True, slots=True)
class MailSource:
    """One mail as written: a subject and blocks, with places for the order and for the person."""

    subject: str
    body: str
    language: str


def languages() -> tuple[str, ...]:
    """Return the languages in which every mail is written."""
    return tuple(sorted(folder.name for folder in WORDS_FOLDER.iterdir() if folder.is_dir()))


def languages_from(first: str) -> tuple[str, ...]:
    """Return the same languages, `first` before the others where it is among them."""
    return tuple(sorted(languages(), key=lambda language: language != first))


@lru_cache(maxsize=64)
def mail_source(language: str, name: str) -> MailSource:
    """Return one mail such as `notice` or `correction.mistake`. Raises LanguageWithoutWords."""
    written_in = _written_in(language, name)
    text = _read(written_in, f"{name}.txt")
    first, _, body = text.partition("\n")
    return MailSource(first.removeprefix("Subject:").strip(), body.strip(), written_in)


def mail_name(kind: str, variant: str = "") -> str:
    """Return the name of a mail of this kind, such as `correction.mistake`."""
    return f"{kind}.{variant}" if variant else f"{kind}"


def language_of_mail(language: str, kind: str, variant: str = "") -> str:
    """Return in which language whoever reads this one gets a mail of this kind."""
    return _written_in(language, mail_name(kind, variant))


@lru_cache(maxsize=16)
def about(language: str) -> Mapping[str, str]:
    """Return what a folder says of its language: `locale`, `day`, `moment`, `fallback`, …."""
    if not _has(language, ABOUT):
        return {}
    return {name: str(value) for name, value in tomllib.loads(_read(language, ABOUT)).items()}


def fallback_of(language: str) -> str:
    """Return the language that stands in for what is not translated; empty if none is stated."""
    return about(language).get("fallback", "")


def forget() -> None:
    """Read everything anew; folders of words have changed."""
    for known in (
        mail_source,
        about,
        sentences,
        sentences_in_mail,
        page_words,
        files_digest,
        _written_in,
    ):
        known.cache_clear()


@lru_cache(maxsize=16)
def sentences(language: str) -> Mapping[str, Sentence]:
    """Return every single sentence by its dotted key. Raises LanguageWithoutWords."""
    return _with_fallback(language, "sentences.toml")


@lru_cache(maxsize=16)
def sentences_in_mail(language: str) -> Mapping[str, Sentence]:
    """Return the same for a mail in this language: those in another one are marked as such."""
    return {
        key: Sentence(marked(said, said.language, within=language), said.language)
        for key, said in sentences(language).items()
    }


@lru_cache(maxsize=16)
def page_words(language: str) -> Mapping[str, Sentence]:
    """Return the words of the look-up page by dotted key. Raises LanguageWithoutWords."""
    return _with_fallback(language, PAGE_WORDS)


def _with_fallback(language: str, name: str) -> Mapping[str, Sentence]:
    other = fallback_of(language)
    beneath = _by_key(other, name) if other else {}
    own = _by_key(language, name) if _has(language, name) else {}
    found = {**beneath, **own}
    if not found or (not other and not set(found) >= set(_by_key(COMPLETE, name))):
        raise _without_words(language)
    return found


def _by_key(language: str, name: str) -> Mapping[str, Sentence]:
    tables = tomllib.loads(_read(language, name))
    return {
        f"{table}.{key}": Sentence(text, language)
        for table, entries in tables.items()
        for key, text in entries.items()
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


def _has(language: str, name: str) -> bool:
    return language in languages() and (WORDS_FOLDER / language / name).is_file()


def _read(language: str, name: str) -> str:
    folder = WORDS_FOLDER / language
    if not _has(language, name):
        raise _without_words(language)
    return (folder / name).read_text(encoding="utf-8")


@lru_cache(maxsize=256)  # asked for every mail
def _written_in(language: str, name: str) -> str:
    return language if _has(language, f"{name}.txt") else fallback_of(language) or language


def _without_words(language: str) -> LanguageWithoutWords:
    return LanguageWithoutWords(language=language, there=", ".join(languages()))
