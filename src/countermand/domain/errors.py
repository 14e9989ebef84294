"""Errors are facts: a stable code, a sentence for the reader, and a way out."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar


def gettext_noop(message: str) -> str:
    """Mark a sentence for translation and return it unchanged."""
    return message


@dataclass(eq=False)
class CountermandError(Exception):
    """Base of all errors a person may meet.

    A subclass is a dataclass whose fields are the facts; `sentence` and `remedy` are templates
    over those fields. `code` never changes once published.
    """

    code: ClassVar[str] = "countermand.error"
    sentence: ClassVar[str] = gettext_noop("Something went wrong.")
    remedy: ClassVar[str] = gettext_noop("Look at the log for the details.")

    def facts(self) -> dict[str, Any]:
        """Return the fields by name, for logs and for problem documents."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}

    def __str__(self) -> str:
        facts = self.facts()
        return f"{self.sentence.format(**facts)} {self.remedy.format(**facts)}".strip()

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.facts()))


def _rebuild(cls: type[CountermandError], facts: dict[str, Any]) -> CountermandError:
    return cls(**facts)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a file or form: where it is, what is wrong, and how to mend it.

    `file` and `line` (1-based) may be unknown; `key` is a dotted path such as `scope.people`.
    `facts` fill the templates `sentence` and `remedy`.
    """

    code: str
    sentence: str
    remedy: str
    key: str = ""
    line: int | None = None
    file: str | None = None
    facts: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        place = ":".join(str(p) for p in (self.file, self.line) if p is not None)
        facts = dict(self.facts)
        text = f"{self.sentence.format(**facts)} {self.remedy.format(**facts)}".strip()
        head = " ".join(p for p in (place, self.key) if p)
        return f"{head}: {text}" if head else text


@dataclass(eq=False)
class FaultsFound(CountermandError):
    """A file was refused whole; `faults` lists everything that is wrong with it, in order."""

    what: str
    faults: tuple[Fault, ...]

    code: ClassVar[str] = "input.faults"
    sentence: ClassVar[str] = gettext_noop("{what} was refused; nothing of it was taken over.")
    remedy: ClassVar[str] = gettext_noop("Mend every line listed and try again.")

    def __iter__(self) -> Iterator[Fault]:
        return iter(self.faults)

    @classmethod
    def of(cls, what: str, faults: Iterable[Fault]) -> FaultsFound:
        """Collect `faults` in the order of their lines."""
        ordered = sorted(faults, key=lambda f: (f.file or "", f.line or 0))
        return cls(what=what, faults=tuple(ordered))
