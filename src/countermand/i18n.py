"""One language for everything that a person reads: chosen once, asked for everywhere.

A text is marked where it stands, in English: `_("…")` translates at once into the language in use,
`gettext_noop("…")` (in the rules and in errors) only marks it, and whoever shows it translates.
Standard library only, so that every process may speak Hindi, the leanest too.
"""

from __future__ import annotations

import gettext as catalogues
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import Final

from countermand.domain.errors import CountermandError, Fault
from countermand.system_reasons import in_other_words

DEFAULT: Final = "en"
DOMAIN: Final = "countermand"
LOCALE_FOLDER: Final = Path(__file__).parent / "locale"


def offered(folder: Path) -> tuple[str, ...]:
    """Return the languages of a folder of catalogues; a further one is one file more."""
    found = folder.glob(f"*/LC_MESSAGES/{DOMAIN}.mo")
    return (DEFAULT, *sorted(path.parent.parent.name for path in found))


LANGUAGES: Final = offered(LOCALE_FOLDER)

# Facts of errors and faults that are words of ours; all others are somebody else's, or names.
_WORDED: Final = ("why", "what", "hint", "stands", "wanted", "part", "earlier")
_LISTED: Final = ("missing",)  # several such words, with commas between them

Translator = Callable[[str], str]

_in_use: ContextVar[str] = ContextVar("language_in_use", default=DEFAULT)


def base_language(tag: str) -> str:
    """Return the language of a tag or locale name: `hi` for `hi-IN`, `hi_IN.UTF-8` and `HI`."""
    for mark in ("-", "_", ".", "@"):
        tag = tag.partition(mark)[0]
    return tag.strip().lower()


def from_locale(environ: Mapping[str, str], flag: str | None = None) -> str:
    """Return the language to speak: the flag first, then LC_ALL, LC_MESSAGES, LANG; else English.

    A flag that names no language of ours is passed over like an unknown locale.
    """
    for name in (flag, *(environ.get(key) for key in ("LC_ALL", "LC_MESSAGES", "LANG"))):
        if not name:
            continue
        language = base_language(name)
        return language if language in LANGUAGES else DEFAULT
    return DEFAULT


def flag_of(arguments: Sequence[str]) -> str | None:
    """Return what `--lang` says among command line arguments, before any parser is loaded."""
    for place, argument in enumerate(arguments):
        if argument == "--":
            return None
        if argument == "--lang" and place + 1 < len(arguments):
            return arguments[place + 1]
        if argument.startswith("--lang="):
            return argument.removeprefix("--lang=")
    return None


@lru_cache(maxsize=len(LANGUAGES))
def _catalogue(language: str) -> catalogues.NullTranslations:
    if language == DEFAULT:
        return catalogues.NullTranslations()
    return catalogues.translation(
        DOMAIN, localedir=str(LOCALE_FOLDER), languages=[language], fallback=True
    )


def translate(language: str) -> Translator:
    """Return the function that turns an English text into `language`, or leaves it English."""
    base = base_language(language)
    return _catalogue(base if base in LANGUAGES else DEFAULT).gettext


def use(language: str) -> None:
    """Speak `language` from here on (the CLI calls it once, before its verbs are loaded)."""
    base = base_language(language)
    _in_use.set(base if base in LANGUAGES else DEFAULT)


def language_in_use() -> str:
    """Return the language that `use` chose last."""
    return _in_use.get()


def gettext(message: str) -> str:
    """Translate a text into the language in use; an empty text stays empty."""
    return translate(_in_use.get())(message) if message else ""


def reason(why: object) -> str:
    """Return why something failed in the language in use, as far as its words are known here."""
    return in_other_words(str(why), gettext)


def told(error: CountermandError, language: str) -> tuple[str, str]:
    """Return the sentence and the remedy of an error, filled and in `language`."""
    return _filled(error.sentence, error.remedy, error.facts(), language)


def told_fault(fault: Fault, language: str) -> tuple[str, str]:
    """Return the sentence and the remedy of one fault of a file, filled and in `language`."""
    return _filled(fault.sentence, fault.remedy, dict(fault.facts), language)


def _filled(
    sentence: str, remedy: str, facts: Mapping[str, object], language: str
) -> tuple[str, str]:
    into = translate(language)
    worded = {n: in_other_words(v, into) for n in _WORDED if isinstance(v := facts.get(n), str)}
    listed = {
        name: ", ".join(map(into, value.split(", ")))
        for name in _LISTED
        if isinstance(value := facts.get(name), str)
    }
    facts = {**facts, **worded, **listed}
    return (
        into(sentence).format_map(facts) if sentence else "",
        into(remedy).format_map(facts) if remedy else "",
    )
