"""The words of `pause` and `take-back`: how they are read, and the help that teaches them.

Standard library only: whoever stops an order waits for nothing. Help and faults speak the
language in use, as everywhere else.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, NoReturn

from countermand.domain.errors import CountermandError, gettext_noop
from countermand.i18n import gettext as _

DONE: Final = 0
REFUSED: Final = 1
USAGE: Final = 2
NOT_FOUND: Final = 3
NOT_ALLOWED: Final = 4
UNAVAILABLE: Final = 5
NOT_PROVEN_YET: Final = 6
NOT_ON_DISK: Final = 7
EXIT_CODES: Final = {
    DONE: gettext_noop("stopped, and proven everywhere"),
    REFUSED: gettext_noop("refused: this order cannot be stopped this way"),
    USAGE: gettext_noop("the command was not understood"),
    NOT_FOUND: gettext_noop("there is no such order"),
    NOT_ALLOWED: gettext_noop("you may not do this"),
    UNAVAILABLE: gettext_noop("nothing was stopped: the disk refused"),
    NOT_PROVEN_YET: gettext_noop("stopped, but not yet proven everywhere"),
    NOT_ON_DISK: gettext_noop("the disk refused: stopped only where it says so; stop it again"),
}
VERBS: Final = ("pause", "take-back")
VARIANTS: Final = ("mistake", "reason_gone", "replaced")
_EXAMPLES: Final = {
    "pause": "pause CM-7Q4K --because 'The list is wrong'",
    "take-back": "take-back CM-7Q4K --because mistake",
}
_CODES_HEAD: Final = gettext_noop("It ends with one of these codes:")
_SAYS: Final = {
    "pause": gettext_noop(
        "Stop an order for now; it can go on. Until then it pauses mail on no device."
    ),
    "take-back": gettext_noop(
        "Take an order back for good: mail opens, and everybody it reached is told."
    ),
}
_OPTIONS: Final = {
    "NUMBER": gettext_noop("the number of the order, such as CM-7Q4K"),
    "--because": gettext_noop("what is wrong, in one sentence"),
    "--note": gettext_noop("a sentence for colleagues; it is not mailed"),
    "--force": gettext_noop("stop a number that is not known here either"),
    "--code": gettext_noop("the emergency code of the order; it needs no token"),
    "--json": gettext_noop("answer as JSON"),
    "--lang": gettext_noop("a language such as en or hi"),
    "--data": gettext_noop("the data folder"),
}
_VARIANT_WORDS: Final = gettext_noop("which of the corrections written beforehand is sent")


@dataclass(eq=False)
class StopNotUnderstood(CountermandError):
    """A pause or take-back was not written as it must be."""

    what: str
    example: str

    code: ClassVar[str] = "stop.not_understood"
    sentence: ClassVar[str] = gettext_noop("Nothing was stopped: this is missing or wrong: {what}.")
    remedy: ClassVar[str] = gettext_noop("Write it like: {example}")


class _Parser(argparse.ArgumentParser):
    """Reads one verb; raises instead of ending the process, and helps in the language in use."""

    def __init__(self, verb: str) -> None:
        super().__init__(prog=f"countermand {verb}", add_help=False, allow_abbrev=False)
        self._verb = verb

    def error(self, message: str) -> NoReturn:
        """Raise StopNotUnderstood; only names are taken out of argparse's own English."""
        named = re.findall(r"--[a-z-]+|\bNUMBER\b", message)
        if message.startswith("unrecognized arguments:"):
            named = [message.partition(":")[2].strip()]
        what = ", ".join(dict.fromkeys(named)) or message
        raise StopNotUnderstood(what=what, example=f"countermand {_EXAMPLES[self._verb]}")

    def format_help(self) -> str:
        """Say what the verb does, how it is written, and how it ends."""
        is_back = self._verb == "take-back"
        because = "|".join(VARIANTS) if is_back else _("SENTENCE")
        example = _("Example: countermand {words}").format(words=_EXAMPLES[self._verb])
        usage = f"countermand {self._verb} NUMBER --because {because}"
        options = dict(_OPTIONS)
        if is_back:
            options["--because"] = _VARIANT_WORDS
        else:
            del options["--note"], options["--force"], options["--code"]
        return "\n".join(
            [
                "",
                f" {usage}",
                "",
                f" {_(_SAYS[self._verb])}",
                "",
                f" {example}",
                "",
                *(f"   {name:<11} {_(said)}" for name, said in options.items()),
                "",
                f" {_(_CODES_HEAD)}",
                "",
                *(f"   {code:<11} {_(said)}" for code, said in EXIT_CODES.items()),
                "",
            ]
        )


def help_of(verb: str) -> str:
    """Return the help of `pause` or `take-back` in the language in use."""
    return _Parser(verb).format_help()


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read `pause …` or `take-back …`. Raises StopNotUnderstood, or SystemExit(0) after help."""
    verb, rest = arguments[0], list(arguments[1:])
    parser = _Parser(verb)
    parser.add_argument("-h", "--help", action="help")
    if verb == "take-back":
        parser.add_argument("--because", required=True, choices=VARIANTS)
        parser.add_argument("--note", default="")
        parser.add_argument("--force", action="store_true")
        parser.add_argument("--code", default="")
    else:
        parser.add_argument("--because", required=True)
    parser.add_argument("number", metavar="NUMBER")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--lang")
    parser.add_argument("--data", type=Path)
    given = parser.parse_args(rest, argparse.Namespace(verb=verb))
    for each in ("because", "note"):
        setattr(given, each, _text(getattr(given, each, "")))
    return given


def _text(typed: str) -> str:
    """Return what was typed as a text that can be stored; bytes of a terminal may be none."""
    return typed.encode(errors="surrogateescape").decode(errors="replace")
