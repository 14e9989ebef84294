"""What Postfix writes in its log about our mails: accepted, delivered, returned.

    cleanup: QID: message-id=<…>                   whose queue id it is; also of what was never sent
    qmgr:    QID: from=<…>, … (queue active)       accepted: it is in the queue
    lmtp|local|virtual|pipe: QID: … status=sent    in a mailbox
    local:   QID: … status=sent (forwarded as …)   handed on, as a mail that may still be returned
    smtp:    QID: … status=sent                    with the next server, which may still return it
    any:     QID: … status=bounced | expired       returned
    to=<…>, orig_to=<…>: after and before aliases; an archive that gets a copy has a line, too

`message-id=` alone proves nothing: Postfix writes it for a session that was cut off before the dot,
too. The file is followed by its number and offset, across rotation, and read in bounded pieces.
Where it cannot be followed, because it was cut short or moved twice, that is said. One that was
emptied in its place (copytruncate) may have grown past where it was read: so what stood right
before that place is remembered, too.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import os
import re
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

from countermand.domain.delivery import EvidenceKind
from countermand.domain.findings import Finding

MOST_AT_ONCE: Final = 8 * 1024 * 1024  # bytes of log in one reading
_REMEMBERED: Final = 50_000  # queue ids whose Message-ID is kept
_MOST_MOVED_AWAY: Final = 7  # Postfix gives a mail up after five days
_LOOKED_BACK: Final = 512  # bytes; each line begins with its time
_DETAIL: Final = 200
_LINE: Final = re.compile(
    r"postfix[\w/-]*?/(?P<program>\w+)\[\d+\]: (?P<id>[A-Za-z0-9]{6,30}): (?P<rest>.*)"
)
_MESSAGE_ID: Final = re.compile(r"message-id=(<[^<>\s]{3,200}>)")
_STATUS: Final = re.compile(
    r"to=<(?P<to>[^>]*)>(?:, orig_to=<(?P<meant>[^>]*)>)?.*?"
    r"\bstatus=(?P<status>\w+)(?: \((?P<why>.*)\))?"
)
_SAID_BY_QMGR: Final = {
    "(queue active)": EvidenceKind.RELAY_LOG_ACCEPTED,
    "status=expired": EvidenceKind.DSN_FAILED,
}
_KIND_OF: Final = {
    "sent": EvidenceKind.DSN_DELIVERED,
    "bounced": EvidenceKind.DSN_FAILED,
}
_INTO_A_MAILBOX: Final = frozenset({"lmtp", "local", "virtual", "pipe"})
_HANDED_ON: Final = "forwarded as "


@dataclass(slots=True)
class LogPlace:
    """How far the log was read, and which mail has which queue id; kept between readings."""

    inode: int = 0
    offset: int = 0
    before: str = ""  # the hash of what stands right before the offset; none is no doubt
    message_ids: OrderedDict[str, str] = field(default_factory=OrderedDict)
    is_read_to_end: bool = False  # by the last reading
    has_missed: bool = False  # lines before those of the last reading, which nobody will read

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> LogPlace:
        """Read what `as_json` wrote; anything else begins anew."""
        known = value.get("message_ids")
        return cls(
            inode=int(value.get("inode", 0)),
            offset=int(value.get("offset", 0)),
            before=str(value.get("before", "")),
            message_ids=OrderedDict(known if isinstance(known, dict) else {}),
        )

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "inode": self.inode,
            "offset": self.offset,
            "before": self.before,
            "message_ids": dict(self.message_ids),
        }


def read_on(path: Path, place: LogPlace) -> list[Finding]:
    """Read what was added to the log since, and move `place` on. Raises OSError."""
    found: list[Finding] = []
    for text in _fresh(path, place):
        found += findings(text, place)
    return found


def _fresh(path: Path, place: LogPlace) -> Iterator[str]:
    place.has_missed = False
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        if place.inode not in {0, status.st_ino}:
            # Rotated: what was still to be read stands in the file before.
            older = _moved_away(path, place.inode)
            rest = None if older is None else _rest(older, place)
            if rest is not None:
                yield rest
                if not place.is_read_to_end or not status.st_size:
                    return  # into the old file may still be written as long as the new one is empty
                place.inode, place.offset, place.before = status.st_ino, 0, ""
        if place.inode != status.st_ino or not _goes_on(file, place):
            place.has_missed = bool(place.inode)  # nothing was read before the first
            place.inode, place.offset, place.before = status.st_ino, 0, ""
        yield _piece(file, place)


def _moved_away(path: Path, inode: int) -> Path | None:
    """Find the log that was read before this one, whatever it is called now; None if it is gone.

    `mail.log.1`, or `maillog-20261201` where logrotate writes the day behind the name. If another
    one was moved away since, what stands in that one would be passed over: None, too.
    """
    others: dict[int, tuple[int, Path]] = {}
    for each in path.parent.glob(f"{glob.escape(path.name)}?*"):
        with contextlib.suppress(FileNotFoundError):
            status = each.stat()
            others[status.st_ino] = (status.st_mtime_ns, each)
    if inode not in others:
        return None
    written, older = others.pop(inode)
    if older.name != f"{path.name}.1" and any(at >= written for at, _ in others.values()):
        return None
    return older


def _rest(older: Path, place: LogPlace) -> str | None:
    """Read on in a file that was moved away; None if it is not the one that was read."""
    try:
        file = older.open("rb")
    except FileNotFoundError:
        return None
    with file:
        if os.fstat(file.fileno()).st_ino != place.inode or not _goes_on(file, place):
            return None
        return _piece(file, place)


def _goes_on(file: BinaryIO, place: LogPlace) -> bool:
    """Tell whether a file still holds what was read of it, as far as that can be seen."""
    if os.fstat(file.fileno()).st_size < place.offset:
        return False
    return not place.before or place.before == _hash_before(file, place.offset)


def _hash_before(file: BinaryIO, offset: int) -> str:
    begin = max(0, offset - _LOOKED_BACK)
    file.seek(begin)
    return hashlib.sha256(file.read(offset - begin)).hexdigest()


def _piece(file: BinaryIO, place: LogPlace) -> str:
    file.seek(place.offset)
    content = file.read(MOST_AT_ONCE)
    whole = content[: content.rfind(b"\n") + 1]
    place.offset += len(whole)
    place.before = _hash_before(file, place.offset)
    place.is_read_to_end = len(content) < MOST_AT_ONCE
    return whole.decode("utf-8", "replace")


def findings(text: str, place: LogPlace) -> list[Finding]:
    """Read lines of a log. What is none of Postfix's, or not about a mail, is passed over."""
    found = (_finding(match, place) for line in text.splitlines() if (match := _LINE.search(line)))
    return [each for each in found if each is not None]


def _finding(match: re.Match[str], place: LogPlace) -> Finding | None:
    program, queue_id, rest = match["program"], match["id"], match["rest"]
    if program == "cleanup":
        if named := _MESSAGE_ID.search(rest):
            place.message_ids[queue_id] = named[1]
            while len(place.message_ids) > _REMEMBERED:
                place.message_ids.popitem(last=False)
        return None
    told = _kind(program, rest)
    if told is None:
        return None
    kind, address, meant, why = told
    return Finding(
        kind=kind,
        at=None,
        detail=f"{queue_id} {why}".strip()[:_DETAIL],
        message_id=place.message_ids.get(queue_id, ""),
        queue_id=queue_id,
        address=address,
        meant_for=meant,
    )


def _kind(program: str, rest: str) -> tuple[EvidenceKind, str, str, str] | None:
    if program == "qmgr":
        said = next((each for each in _SAID_BY_QMGR if each in rest), None)
        return None if said is None else (_SAID_BY_QMGR[said], "", "", said)
    told = _STATUS.search(rest)
    if told is None:
        return None
    kind, why = _KIND_OF.get(told["status"]), told["why"] or ""
    is_there = program in _INTO_A_MAILBOX and not why.startswith(_HANDED_ON)
    if told["status"] == "sent" and not is_there:
        kind = EvidenceKind.RELAY_LOG_ACCEPTED
    meant = told["meant"] or told["to"]
    return None if kind is None else (kind, told["to"].lower(), meant.lower(), why)


def left_for_somewhere(path: Path, queue_ids: frozenset[str]) -> frozenset[str]:
    """Return those of `queue_ids` of which a copy went anywhere, or may have. Raises OSError.

    That none did is known only of a mail whose beginning a log holds, too: the present one, or one
    that was moved away, by whatever name. Mails still in a queue are young, so few are read.
    """
    gone: set[str] = set()
    begun: set[str] = set()
    for file in (path, *_moved_away_before(path)):
        if queue_ids <= begun:
            break
        # Moved on meanwhile, or nothing that can be read: nothing is known of it.
        with contextlib.suppress(FileNotFoundError if file == path else OSError):
            _read_whole(file, queue_ids, begun=begun, gone=gone)
    return frozenset(gone | (queue_ids - begun))


def _moved_away_before(path: Path) -> list[Path]:
    """Return logs that were moved away, the last one first."""
    written: dict[Path, int] = {}
    for each in path.parent.glob(f"{glob.escape(path.name)}?*"):
        with contextlib.suppress(FileNotFoundError):
            written[each] = each.stat().st_mtime_ns
    return sorted(written, key=lambda each: written[each], reverse=True)[:_MOST_MOVED_AWAY]


def _read_whole(file: Path, queue_ids: frozenset[str], *, begun: set[str], gone: set[str]) -> None:
    with file.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            match = _LINE.search(line)
            if match is None or match["id"] not in queue_ids:
                continue
            if match["program"] == "cleanup" and _MESSAGE_ID.search(match["rest"]):
                begun.add(match["id"])
            told = _STATUS.search(match["rest"])
            if told is not None and told["status"] not in {"deferred", "expired"}:
                gone.add(match["id"])
