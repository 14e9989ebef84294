"""Write the pages of docs/reference that follow from the code, or compare them (--check).

What is written here cannot drift: `make check` fails when a page differs from the code, and
`make fix` writes it again.
"""

import argparse
import importlib
import inspect
import os
import pkgutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer

import countermand
from countermand import config, i18n
from countermand.cli import app as cli_app
from countermand.cli import stop_words
from countermand.cli.exit_codes import MEANINGS
from countermand.domain import lifecycle
from countermand.domain.errors import CountermandError

FOLDER = Path("docs/reference")
# Modules that begin to work, or read this machine's settings, when they are imported.
STARTED_ON_IMPORT = frozenset({"__main__", "settings", "wsgi"})
NOTE = (
    "<!-- Written by tools/write_reference.py from the code: change the code, then `make fix`. -->"
)


def import_everything() -> None:
    """Import every module of the package, so that every error is known."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "typing_settings"
    import django  # noqa: PLC0415  (after the settings are named)

    django.setup()
    for module in pkgutil.walk_packages(countermand.__path__, "countermand."):
        parts = module.name.split(".")
        if "migrations" in parts or parts[-1] in STARTED_ON_IMPORT:
            continue
        importlib.import_module(module.name)


def kinds_of(error: type[CountermandError]) -> Iterator[type[CountermandError]]:
    """Yield every error that has a code of its own."""
    for kind in error.__subclasses__():
        if "code" in vars(kind) and kind.__module__.startswith("countermand."):
            yield kind
        yield from kinds_of(kind)


def errors_page() -> str:
    """Code, sentence and remedy of every error, in the order of the codes."""
    rows = [
        f"| `{kind.code}` | {kind.sentence} | {kind.remedy} |"
        for kind in sorted(set(kinds_of(CountermandError)), key=lambda kind: kind.code)
    ]
    head = [
        "# Errors",
        "",
        NOTE,
        "",
        "Every error has a code that never changes, a sentence, and a way out.",
        "Words in braces are filled with the facts.",
        "",
        "| code | sentence | what to do |",
        "|---|---|---|",
    ]
    return "\n".join([*head, *rows, ""])


def lifecycle_page() -> str:
    """The drawing that stands at the head of the table of steps."""
    drawing = inspect.getdoc(lifecycle) or ""
    return f"# The life of an order\n\n{NOTE}\n\n```text\n{drawing}\n```\n"


def settings_page() -> str:
    """Every setting with the variable that gives it, its default and its sentence."""
    rows = [
        f"| `{setting.variable}` | {f'`{setting.default}`' if setting.default else ''} "
        f"| {setting.sentence} |"
        for setting in config.describe()
    ]
    head = [
        "# Settings",
        "",
        NOTE,
        "",
        "Every setting is an environment variable.",
        "With `_FILE` at its end, the variable names a file that holds the value;",
        "a file that is named and cannot be read is an error.",
        "",
        "| variable | default | what it does |",
        "|---|---|---|",
    ]
    return "\n".join([*head, *rows, ""])


def command_line_page() -> str:
    """Every verb with its words, options and example, and what the exit codes mean."""
    i18n.use("en")
    codes = [f"| {code} | {said} |" for code, said in MEANINGS.items()]
    head = [
        "# The command line",
        "",
        NOTE,
        "",
        "Every verb has `--help`, takes `--lang en|hi` and `--data FOLDER` anywhere,",
        "and most answer with one JSON value when `--json` is given, errors too:",
        "[its keys](json.md).",
        "Shell completion: `countermand --install-completion`.",
        "",
        "| exit code | what it means |",
        "|---|---|",
        *codes,
    ]
    root = typer.main.get_command(cli_app.build())
    verbs = [line for name, verb in sorted(verbs_of(root)) for line in verb_lines(name, verb)]
    stops = [line for verb in ("pause", "take-back") for line in stop_lines(verb)]
    page = "\n".join([*head, *stops, *verbs]).replace("\n\n\n", "\n\n")
    return f"{page.rstrip()}\n"


def verbs_of(group: Any, path: str = "countermand") -> Iterator[tuple[str, Any]]:
    """Yield every verb that does something, with all words that lead to it."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            if command.invoke_without_command:  # a verb, and a closer look beside it
                yield f"{path} {name}", command
            yield from verbs_of(command, f"{path} {name}")
        elif name not in stop_words.VERBS:
            yield f"{path} {name}", command


def verb_lines(name: str, verb: Any) -> Iterator[str]:
    """Yield the section of one verb."""
    arguments = [each for each in verb.params if each.param_type_name == "argument"]
    options = [each for each in verb.params if each.param_type_name == "option"]
    placed = [_shown(each) for each in arguments]
    yield from ("", f"## {' '.join([name, *placed])}", "")
    for paragraph in (verb.help or "").split("\n\n"):
        said, colon, example = " ".join(paragraph.split()).partition("Example: ")
        yield from (f"`{example}`" if colon else said, "")
    rows = [f"| `{_shown(each)}` | {each.help or ''} |" for each in arguments]
    rows += [f"| {_option(each)} | {each.help or ''} |" for each in options if each.name != "help"]
    if rows:
        yield from ("| word | what it says |", "|---|---|", *rows)


def _shown(argument: Any) -> str:
    name = str(argument.name).upper().replace("_", "-")
    return name if argument.required else f"[{name}]"


def _option(option: Any) -> str:
    needed = " (must)" if option.required else ""
    return f"`{', '.join(option.opts)}`{needed}"


def stop_lines(verb: str) -> Iterator[str]:
    """Yield the section of `pause` or `take-back`, as its help has it."""
    yield from ("", f"## countermand {verb} NUMBER", "", "```text")
    yield from (line.removeprefix(" ") for line in stop_words.help_of(verb).strip().splitlines())
    yield "```"


PAGES: dict[str, Callable[[], str]] = {
    "command-line.md": command_line_page,
    "errors.md": errors_page,
    "lifecycle.md": lifecycle_page,
    "settings.md": settings_page,
}


def main() -> None:
    """Write the pages, or name the ones that differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only; 1 when a page differs")
    given = parser.parse_args()
    import_everything()
    stale = []
    for name, page in PAGES.items():
        path = FOLDER / name
        text = page()
        if given.check:
            if not path.exists() or path.read_text(encoding="utf-8") != text:
                stale.append(str(path))
        else:
            path.write_text(text, encoding="utf-8")
    if stale:
        sys.exit(f"{', '.join(stale)}: the code says something else now; run: make fix")


if __name__ == "__main__":
    main()
