"""Where the command begins: stopping an order waits for nothing, not even for the other verbs.

`pause` and `take-back` go straight to `cli/stop_verbs.py`, which starts on the standard library
alone; every other verb is loaded through Typer. `--lang` and `--data` may stand anywhere.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Final

from countermand import i18n

FAST_VERBS: Final = frozenset({"pause", "take-back"})
_WITH_VALUE: Final = ("--lang", "--data")


def set_apart(arguments: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Split off `--lang` and `--data`, wherever they stand before a `--`; return both parts."""
    options: dict[str, str] = {}
    rest: list[str] = []
    coming = list(arguments)
    while coming:
        word = coming.pop(0)
        name, equals, value = word.partition("=")
        if word == "--":
            return options, [*rest, word, *coming]
        if name in _WITH_VALUE and equals:
            options[name] = value
        elif word in _WITH_VALUE and coming:
            options[word] = coming.pop(0)
        else:
            rest.append(word)
    return options, rest


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code (cli/exit_codes.py lists them)."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    i18n.use(i18n.from_locale(os.environ, i18n.flag_of(arguments)))
    options, rest = set_apart(arguments)
    if "--data" in options:
        os.environ["COUNTERMAND_DATA"] = options["--data"]
    if rest and rest[0] in FAST_VERBS and "_COUNTERMAND_COMPLETE" not in os.environ:
        from countermand.cli import stop_verbs

        given = [f"{name}={value}" for name, value in options.items()]
        return stop_verbs.run([rest[0], *given, *rest[1:]])
    try:  # loading the verbs takes a moment in which people think better of it
        from countermand.cli import app

        return app.run(rest)
    except KeyboardInterrupt:
        from countermand.cli.exit_codes import ExitCode

        return ExitCode.BROKEN_OFF


if __name__ == "__main__":
    sys.exit(main())
