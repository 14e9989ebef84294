"""Checking a log as a stranger would: from its lines, its public key, and the law alone.

A log as a file is one canonical JSON object a line: what it is, then entries and signed heads in
their order, then how many there were. Every byte matters: a line that is not exactly the canonical
form of what it says is wrong, whatever it says.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from countermand.audit.leaves import leaf_bytes
from countermand.audit.replay import EntryWrong, Replay
from countermand.audit.signed_note import Verifier
from countermand.domain.canonical_json import canonical
from countermand.domain.errors import CountermandError, gettext_noop
from countermand.domain.merkle_log import Range, leaf_hash

VERSION: Final = 1
_SHAPES: Final[Mapping[str, frozenset[str]]] = {
    "log": frozenset({"kind", "version", "origin", "public_key"}),
    "entry": frozenset({"kind", "entry"}),
    "head": frozenset({"kind", "note"}),
    "end": frozenset({"kind", "entries"}),
}
_ENTRY: Final = frozenset({"position", "event", "order", "actor", "facts", "at"})


@dataclass(frozen=True, slots=True)
class LogFault:
    """The first thing that is wrong: at which entry (from 0), on which line (from 1), and why."""

    position: int
    line: int
    why: str


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What was looked at, and the first fault if there is one."""

    entries: int
    heads: int
    orders: int
    permits: int
    key: str  # the public key that the heads were checked with
    fault: LogFault | None

    @property
    def is_sound(self) -> bool:
        """Tell whether nothing is wrong."""
        return self.fault is None


def line_of(value: Mapping[str, Any]) -> bytes:
    """Return one line of an exported log."""
    return canonical(dict(value)) + b"\n"


@dataclass(slots=True)
class _Check:
    pinned: Verifier | None
    verifier: Verifier | None = None
    grown: Range = field(default_factory=Range)
    signed: int = 0
    heads: int = 0
    has_ended: bool = False
    place: int = 0  # the entry that is wrong if something is wrong now
    replay: Replay = field(default_factory=Replay)

    def take(self, line: bytes) -> None:
        """Check the next line; raise EntryWrong or NoteNotGenuine."""
        value = _read(line)
        kind = value["kind"]
        if self.has_ended:
            raise EntryWrong(gettext_noop("something follows the end"))
        if (self.verifier is None) is not (kind == "log"):
            raise EntryWrong(gettext_noop("a log begins with what it is, once"))
        match kind:
            case "log":
                self._begin(value)
            case "entry":
                self._entry(value["entry"])
            case "head":
                self._head(value["note"])
            case _:
                self._end(value["entries"])

    def finish(self) -> None:
        """Raise EntryWrong unless the end was seen."""
        if not self.has_ended:
            raise EntryWrong(gettext_noop("the log breaks off"))

    def _begin(self, value: Mapping[str, Any]) -> None:
        told = Verifier.parse(str(value["public_key"]))
        if self.pinned is not None and told.encode() != self.pinned.encode():
            raise EntryWrong(
                gettext_noop("another key signed this log than the one that is known here")
            )
        if (
            value["version"] != VERSION
            or value["origin"] != told.name
            or told.encode() != value["public_key"]
        ):
            raise EntryWrong(gettext_noop("what it is, and its key, do not belong together"))
        self.verifier = told

    def _entry(self, entry: Any) -> None:
        if not isinstance(entry, dict) or entry.keys() != _ENTRY:
            raise EntryWrong(gettext_noop("it is no entry"))
        if entry["position"] != self.grown.size:
            raise EntryWrong(f"entry {entry['position']} stands where {self.grown.size} belongs")
        self.grown = self.grown.add(leaf_hash(leaf_bytes(entry)))
        self.replay.take(entry)
        self.place = self.grown.size

    def _head(self, note: Any) -> None:
        assert self.verifier is not None  # noqa: S101  (`take` has seen to it)
        head = self.verifier.open(str(note))
        if head.origin != self.verifier.name:
            raise EntryWrong(gettext_noop("a head of another log"))
        if head.size != self.grown.size or head.size <= self.signed:
            raise EntryWrong(f"a head over {head.size} entries after {self.grown.size}")
        if head.root_hash != self.grown.root():
            self.place = self.signed  # one of those since the last head that was sound
            raise EntryWrong(f"an entry below {head.size} is not the one that was signed")
        self.signed = head.size
        self.heads += 1

    def _end(self, entries: Any) -> None:
        if entries != self.grown.size:
            raise EntryWrong(f"{self.grown.size} entries, and the end says {entries}")
        if self.signed != self.grown.size:
            raise EntryWrong(f"nobody signed the entries from {self.signed} on")
        self.has_ended = True


def verify(lines: Iterable[bytes], *, pinned: Verifier | None) -> VerifyReport:
    """Check a whole log; stops at the first fault.

    `pinned` is the public key known here; without one the log's own is believed, which shows
    that nothing was changed after it was signed, not who signed it.
    """
    check = _Check(pinned)
    fault = None
    seen = 0
    try:
        for line in lines:
            seen += 1
            check.take(line)
        check.finish()
    except (EntryWrong, CountermandError) as error:
        fault = LogFault(position=check.place, line=seen, why=str(error))
    return VerifyReport(
        entries=check.grown.size,
        heads=check.heads,
        orders=len(check.replay.stories),
        permits=check.replay.permits,
        key=check.verifier.encode() if check.verifier else "",
        fault=fault,
    )


def _read(line: bytes) -> dict[str, Any]:
    """Return what a line says, if it says it in the one canonical form."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        raise EntryWrong(gettext_noop("a line is no JSON")) from None
    if not isinstance(value, dict) or _SHAPES.get(str(value.get("kind"))) != value.keys():
        raise EntryWrong(gettext_noop("a line is nothing that belongs in a log"))
    if line_of(value) != line:
        raise EntryWrong(gettext_noop("a line is not written in its canonical form"))
    return value
