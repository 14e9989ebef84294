"""What is found in the configuration of a mail server, and the blocks that one consists of."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from countermand.i18n import gettext as _

LONGEST_WAIT_MS: Final = 2000
# Of what may answer in the gate's place, all but a plain no.
ODD_STATUSES: Final = frozenset(range(300, 600)) - {403}
_LUA_COMMENT: Final = re.compile(r"--[^\n]*")
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|msecs?|s|secs?|m|mins?|h|hours?)?\s*")
_DURATION: Final = re.compile(rf"(?:{_PART.pattern})+")
_MS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that a configuration says and should not, and what to write instead.

    `may_wait` says that it is a step on the way, not a mistake.
    """

    sentence: str
    remedy: str
    may_wait: bool = False


@dataclass(slots=True)
class Block:
    """One block of a configuration: its words, its settings, and the blocks in it."""

    words: tuple[str, ...] = ()
    settings: list[tuple[str, str]] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)

    def get(self, name: str, default: str = "") -> str:
        """Return the last value of a setting."""
        return next((value for key, value in reversed(self.settings) if key == name), default)

    def all(self, name: str) -> list[str]:
        """Return every value of a setting."""
        return [value for key, value in self.settings if key == name]

    def named(self, word: str) -> list[Block]:
        """Return the blocks directly inside that begin with this word."""
        return [each for each in self.blocks if each.words[:1] == (word,)]

    def walk(self) -> Iterator[Block]:
        """Yield every block inside, at any depth."""
        for each in self.blocks:
            yield each
            yield from each.walk()


@dataclass(frozen=True, slots=True)
class Around:
    """What belongs to a configuration: the texts of its scripts by path, and all of its files.

    `passes_on` says that the gate puts Dovecot's questions to another policy server first,
    `sees_all` that nothing was left out because root alone may read it, `lacks_lua` that Dovecot
    cannot run a script here, `limits_somebody` that some main passwords are good at the webmail
    alone by now.
    """

    scripts: Mapping[str, str] = field(default_factory=dict)
    files: str = ""
    passes_on: bool = False
    sees_all: bool = True
    lacks_lua: bool = False
    limits_somebody: bool = False

    @property
    def unreadable(self) -> list[str]:
        """Return the paths of scripts that could not be read."""
        return [path for path, text in self.scripts.items() if not text]

    def code(self, path: str) -> str:
        """Return what a script says without its comments."""
        return _LUA_COMMENT.sub("", self.scripts.get(path, ""))


def milliseconds(text: str, *, bare: str = "s") -> int | None:
    """Read a duration as servers write one, `1.5s` or `1m30s`, or nothing.

    `bare` is what a number alone means.
    """
    if _DURATION.fullmatch(text.strip()) is None:
        return None
    parts = ((number, unit or bare) for number, unit in _PART.findall(text))
    return int(
        sum(float(number) * _MS["ms" if u.startswith("ms") else u[0]] for number, u in parts)
    )


def too_long(wait_ms: int | None, remedy: str) -> Iterator[Fault]:
    """Yield that a phone waits too long for a gate, if it does."""
    if wait_ms is not None and wait_ms > LONGEST_WAIT_MS:
        yield Fault(
            _("A phone waits {wait} ms for a gate that does not answer.").format(wait=wait_ms),
            remedy,
        )


def odd_answers(statuses: str, remedy: str) -> Fault:
    """Return that these answers of something else reach a phone."""
    return Fault(
        _(
            "Phones get an error when something else answers in the gate's place ({statuses})."
        ).format(statuses=statuses),
        remedy,
    )


def refuses_nobody(remedy: str) -> Fault:
    """Return that what makes the gate's other answers harmless also takes its no for one."""
    return Fault(_("The gate's no lets people in, so nobody is refused."), remedy)
