"""What the operating system says when it refuses, as sentences that are translated like ours.

Python takes these words from the C library, in English whatever the language. Standard library
only, like `i18n`, which shows them.
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
_NUMBER: Final = re.compile(r"\[Errno -?\d+\] ")
# A longer one may hold a shorter one.
_ANY: Final = re.compile("|".join(sorted(map(re.escape, SYSTEM_REASONS), key=len, reverse=True)))


def in_other_words(why: str, translate: Callable[[str], str]) -> str:
    """Return why something failed, translated as far as the words are ours or the system's."""
    whole = translate(why) if why else why
    if whole != why:
        return whole
    return _ANY.sub(lambda said: translate(said[0]), _NUMBER.sub("", why))
