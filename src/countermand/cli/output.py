"""What a person or a script sees: the same facts, as tables and sentences or as one JSON value.

The answer goes to standard output; progress, and errors for people, go to standard error. With
`--json` an error is a problem document on standard output, so that a script reads one stream.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, ClassVar, Protocol

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.table import Table

from countermand import i18n
from countermand.cli.exit_codes import ExitCode, exit_code_of
from countermand.cli.stop_said import forsake
from countermand.domain.errors import CountermandError, Fault, FaultsFound, gettext_noop
from countermand.i18n import gettext as _

JsonFlag = Annotated[bool, typer.Option("--json", help=_("Answer with one JSON value."))]
"""The option that every verb offers: `as_json: JsonFlag = False`."""


def taught(said: str, words: str) -> str:
    """Return the help of a verb: what it does, and one line that can be typed."""
    example = _("Example: countermand {words}").format(words=words)
    return f"{said}\n\n{example}"


def stdout() -> Console:
    """Return the console of the answer; never wraps when it is not a terminal."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=200)


def stderr() -> Console:
    """Return the console of progress and errors."""
    return Console(stderr=True, highlight=False)


def plain(value: Any) -> Any:
    """Turn dataclasses, instants, sets and enums into what JSON knows; instants in ISO 8601."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((plain(each) for each in value), key=str)
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return [plain(each) for each in value]
    return _plain_word(value)


def _plain_word(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value) if isinstance(value, Path) else value


@dataclass(eq=False)
class AnswerNotWritten(CountermandError):
    """What was asked is done, and where the answer was to go took none of it."""

    why: str

    code: ClassVar[str] = "cli.answer_not_written"
    sentence: ClassVar[str] = gettext_noop(
        "What was asked is done, but the answer could not be written: {why}."
    )
    remedy: ClassVar[str] = gettext_noop(
        "Make room, and look how things stand before the command is given again."
    )


def write_json(value: Any) -> None:
    """Print one JSON value, readable in every script of the world."""
    sys.stdout.write(json.dumps(plain(value), ensure_ascii=False, indent=2) + "\n")


def emit(value: Any, *, as_json: bool, render: Callable[[Console], None]) -> None:
    """Answer: the value itself with `--json`, otherwise what `render` draws of it.

    Who closed the output before we began wants no answer. Raises AnswerNotWritten.
    """
    if sys.stdout is None:
        return
    with answering():
        if as_json:
            write_json(value)
        else:
            render(stdout())


@contextmanager
def answering() -> Iterator[None]:
    """Write an answer whole. Raises AnswerNotWritten, but for a reader who has gone."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        forsake(sys.stdout)
        raise AnswerNotWritten(why=error.strerror or str(error)) from error


def say(console: Console, sentence: str, /, **facts: object) -> None:
    """Print a translated sentence; facts are text, never markup."""
    show(console, sentence.format(**facts))


def show(console: Console, text: str) -> None:
    """Print a text as it stands; only a terminal breaks its lines."""
    console.print(text, markup=False, soft_wrap=not console.is_terminal)


def table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, caption: str = ""
) -> Table:
    """Build a table whose cells are plain text."""
    drawn = Table(title=title or None, caption=caption or None, title_justify="left")
    for column in columns:
        drawn.add_column(escape(column), overflow="fold")
    for row in rows:
        drawn.add_row(*(escape("" if cell is None else str(cell)) for cell in row))
    return drawn


class Advance(Protocol):
    """Tells how far some long work has come."""

    def __call__(self, done: int, total: int | None = None) -> None:
        """Set how many are done, of how many if that is known."""
        ...


@contextmanager
def progress(what: str) -> Iterator[Advance]:
    """Show on standard error how long work goes on; silent when nobody watches."""
    console = stderr()
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with bar:
        task = bar.add_task(what, total=None)

        def advance(done: int, total: int | None = None) -> None:
            bar.update(task, completed=done, total=total)

        yield advance


def problem(error: CountermandError) -> dict[str, Any]:
    """Return an error as a problem document: code, sentence, remedy, facts, and all faults."""
    language = i18n.language_in_use()
    sentence, remedy = i18n.told(error, language)
    document: dict[str, Any] = {
        "code": error.code,
        "sentence": sentence,
        "remedy": remedy,
        "facts": plain({k: v for k, v in error.facts().items() if k != "faults"}),
    }
    if isinstance(error, FaultsFound):
        document["faults"] = [fault_line(fault) for fault in error.faults]
    return {"error": document}


def fault_line(fault: Fault) -> dict[str, Any]:
    """Return one fault with its words in the language in use."""
    sentence, remedy = i18n.told_fault(fault, i18n.language_in_use())
    return {
        "code": fault.code,
        "file": fault.file,
        "line": fault.line,
        "key": fault.key,
        "sentence": sentence,
        "remedy": remedy,
    }


def print_fault(console: Console, fault: Fault) -> None:
    """Print a fault: where it is, what is wrong, and below it what to do."""
    line = fault_line(fault)
    place = ":".join(str(part) for part in (fault.file, fault.line) if part)
    head = " ".join(part for part in (place, fault.key, f"[{fault.code}]") if part)
    console.print(head, style="bold", markup=False, soft_wrap=True)
    console.print(f"  {line['sentence']}", markup=False, soft_wrap=True)
    if line["remedy"]:
        console.print(f"  → {line['remedy']}", markup=False, soft_wrap=True)


def report(error: CountermandError, *, as_json: bool) -> ExitCode:
    """Show an error with its way out, and return the exit code that it ends with."""
    if as_json:
        write_json(problem(error))
        return exit_code_of(error.code)
    console = stderr()
    sentence, remedy = i18n.told(error, i18n.language_in_use())
    if isinstance(error, FaultsFound):
        for fault in error.faults:
            print_fault(console, fault)
    console.print(sentence, style="bold red", markup=False, soft_wrap=True)
    if remedy:
        console.print(f"→ {remedy}", markup=False, soft_wrap=True)
    return exit_code_of(error.code)
