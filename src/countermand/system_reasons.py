"""Why something failed, in the language of whoever reads it: the system's words, and our own.

Python takes the system's words from the C library, in English whatever the language. A reason of
ours that names numbers or names travels as English text as well (into logs, rows and files): it is
known again by its form. Standard library only, like `i18n`, which shows them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from countermand.domain.errors import gettext_noop

SYSTEM_REASONS: Final = (
    gettext_noop("No such file or directory"),
    gettext_noop("Permission denied"),
    gettext_noop("Operation not permitted"),
    gettext_noop("Is a directory"),
    gettext_noop("Not a directory"),
    gettext_noop("File exists"),
    gettext_noop("Directory not empty"),
    gettext_noop("File name too long"),
    gettext_noop("No space left on device"),
    gettext_noop("File too large"),
    gettext_noop("Disk quota exceeded"),
    gettext_noop("Read-only file system"),
    gettext_noop("Input/output error"),
    gettext_noop("Too many open files"),
    gettext_noop("Too many levels of symbolic links"),
    gettext_noop("Resource temporarily unavailable"),
    gettext_noop("Device or resource busy"),
    gettext_noop("Cannot allocate memory"),
    gettext_noop("Address already in use"),
    gettext_noop("Cannot assign requested address"),
    gettext_noop("Connection refused"),
    gettext_noop("Connection reset by peer"),
    gettext_noop("Connection timed out"),
    gettext_noop("Broken pipe"),
    gettext_noop("No route to host"),
    gettext_noop("Network is unreachable"),
    gettext_noop("Name or service not known"),
    gettext_noop("Temporary failure in name resolution"),
    gettext_noop("No such process"),
    gettext_noop("timed out"),
)
# As they are written where they arise; a test sees to it that none is forgotten.
WITH_VALUES: Final = (
    gettext_noop("report {report} failed"),
    gettext_noop("report {report} is not ready"),
    gettext_noop("{attribute} is no date: {value}"),
    gettext_noop("not the name of an attribute: {name}"),
    gettext_noop("as {entry}"),
    gettext_noop("one of: {words}"),
    gettext_noop("exit code {number}"),
    gettext_noop("the relay said {answer}"),
    gettext_noop("the relay refused the login ({number})"),
    gettext_noop("the certificates of the relay cannot be read: {reason}"),
    gettext_noop("TLS with the relay failed: {reason}"),
    gettext_noop("it runs on {host}"),
    gettext_noop("{host} has no address"),
    gettext_noop("{host} is not known"),
    gettext_noop("somebody approved without opening: {parts}"),
    gettext_noop("{given} of {needed} approvals of this version"),
    gettext_noop("{message} is no mail of {number}"),
    gettext_noop("it was {phase}, and the entry says {told}"),
    gettext_noop("{step} leads to {phase}, and the entry says {told}"),
    gettext_noop("its count of stops went back from {before} to {after}"),
    gettext_noop("mails of {number} left, and the version {digest} was never released"),
    gettext_noop("{step} was not allowed while {phase}"),
    gettext_noop("{message} left while no {kind} of {number} was allowed to"),
    gettext_noop("{event} of {number} lacks a fact: {reason}"),
    gettext_noop("entry {position} stands where {expected} belongs"),
    gettext_noop("a head over {heads} entries after {entries}"),
    gettext_noop("an entry below {size} is not the one that was signed"),
    gettext_noop("{entries} entries, and the end says {told}"),
    gettext_noop("nobody signed the entries from {signed} on"),
)
_LONGEST: Final = 500
_KIND: Final = re.compile(r"([A-Z]\w+(?:Error|Exception|Expired|Lost)): (.+)", re.DOTALL)
_PLACE: Final = re.compile(r"\{([a-z]+)\}")
_NUMBER: Final = re.compile(r"\[Errno -?\d+\] ")
# A longer one may hold a shorter one.
_ANY: Final = re.compile("|".join(sorted(map(re.escape, SYSTEM_REASONS), key=len, reverse=True)))


def _form(template: str) -> re.Pattern[str]:
    """Return what recognises a reason with its values."""
    parts = _PLACE.split(template)
    made = (f"(?P<{part}>.+?)" if n % 2 else re.escape(part) for n, part in enumerate(parts))
    return re.compile("".join(made), re.DOTALL)


# Whatever has more words of its own is tried first.
_FORMS: Final = tuple(
    (template, _form(template))
    for template in sorted(WITH_VALUES, key=lambda each: -len(_PLACE.sub("", each)))
)


def in_other_words(why: str, translate: Callable[[str], str]) -> str:
    """Return why something failed, translated as far as the words are ours or the system's."""
    whole = translate(why) if why else why
    if whole != why:
        return whole
    if kind := _KIND.fullmatch(why):  # of an error, as Python calls it
        return f"{kind[1]}: {in_other_words(kind[2], translate)}"
    for template, form in _FORMS if len(why) <= _LONGEST else ():
        into = translate(template)
        if into != template and (match := form.fullmatch(why)):
            values = {n: in_other_words(value, translate) for n, value in match.groupdict().items()}
            return into.format_map(values)
    return _ANY.sub(lambda said: translate(said[0]), _NUMBER.sub("", why))
