"""What really happened, worked out from the mail server's own record and the exported log alone.

Nothing here asks Countermand's ledger. The record says which mails were accepted, in order; the
log says which mails were committed to before their final dot. From these two the demo counts who
was missed, who was told of a correction without reason, and what was said that is not true.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class AcceptedMail:
    """One mail that the server took responsibility for; `real_at` is in seconds since 1970."""

    seq: int
    real_at: float
    told_at: datetime
    to: str
    message_id: str
    in_reply_to: str
    subject: str
    language: str
    body_text: str

    @property
    def order_number(self) -> str:
        """The order that the Message-ID names."""
        return self.message_id.strip("<>").split(".", 1)[0]

    @property
    def kind(self) -> str:
        """The kind of mail that the Message-ID names: notice, reminder, lock, correction …."""
        parts = self.message_id.strip("<>").split(".")
        return parts[2] if len(parts) > 2 else ""


class RecordReader:
    """Reads the server's record as it grows, each line once."""

    def __init__(self, path: Path) -> None:
        """Read `path`, from its beginning."""
        self._path = path
        self._offset = 0
        self._mails: list[AcceptedMail] = []

    def mails(self) -> list[AcceptedMail]:
        """Return all mails accepted so far, oldest first."""
        if self._path.exists():
            with self._path.open("rb") as record:
                record.seek(self._offset)
                fresh = record.read()
            whole = fresh[: fresh.rfind(b"\n") + 1]
            self._offset += len(whole)
            self._mails += _mails_of(whole.decode("utf-8").split("\n"))
        return self._mails


def read_record(path: Path) -> list[AcceptedMail]:
    """Read the server's record, oldest first; a torn last line is not an accepted mail."""
    return _mails_of(_lines(path))


def _mails_of(lines: Iterable[str]) -> list[AcceptedMail]:
    return [
        AcceptedMail(
            seq=int(line["seq"]),
            real_at=float(line["real_at"]),
            told_at=datetime.fromisoformat(line["told_at"]),
            to=str(line["to"]).lower(),
            message_id=str(line["message_id"]),
            in_reply_to=str(line.get("in_reply_to") or ""),
            subject=str(line.get("subject") or ""),
            language=str(line.get("language") or ""),
            body_text=str(line.get("body_text") or ""),
        )
        for line in _json_lines(lines)
        if "message_id" in line
    ]


def committed_message_ids(exported_log: Path) -> frozenset[str]:
    """Return every Message-ID for which the exported log holds a committed intent to send."""
    found: set[str] = set()
    for line in _json_lines(_lines(exported_log)):
        entry = line.get("entry", line)
        if isinstance(entry, dict) and entry.get("event") == "permit.batch":
            found.update(entry["facts"]["message_ids"])
    return frozenset(found)


def _lines(path: Path) -> list[str]:
    # Read while a server writes: its last line may end in the middle of a letter.
    return path.read_bytes().decode("utf-8", errors="replace").split("\n")


def _json_lines(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for text in lines:
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            continue  # the server was stopped while it wrote; such a mail got no 250
        if isinstance(line, dict):
            yield line


@dataclass(frozen=True, slots=True)
class TakeBackJudgement:
    """What one take-back did, by the server's record."""

    notices_accepted: int
    addresses_reached: int
    corrections_accepted: int
    missed: tuple[str, ...]
    stray: tuple[str, ...]
    precautionary: tuple[str, ...]
    notices_after_stop: int
    notices_after_correction: tuple[str, ...]
    wrong_thread: tuple[str, ...]
    wrong_language: tuple[str, ...]
    first_notice_at: float | None
    last_correction_at: float | None


def judge_take_back(
    mails: Sequence[AcceptedMail],
    *,
    order_number: str,
    committed: frozenset[str],
    stop_durable_at: float,
    to_call: Iterable[str] = (),
) -> TakeBackJudgement:
    """Compare who got the order with who got its correction; addresses are folded."""
    of_order = [mail for mail in mails if mail.order_number == order_number]
    told = [mail for mail in of_order if mail.kind != "correction"]
    corrections = [mail for mail in of_order if mail.kind == "correction"]
    first_told = {mail.to: mail for mail in reversed(told)}
    corrected = {mail.to: mail for mail in corrections}
    unreasoned = [mail for mail in corrected.values() if mail.to not in first_told]
    ids_by_address: dict[str, set[str]] = {}
    for mail in told:
        ids_by_address.setdefault(mail.to, set()).add(mail.message_id)
    return TakeBackJudgement(
        notices_accepted=len(told),
        addresses_reached=len(first_told),
        corrections_accepted=len(corrections),
        missed=tuple(sorted(set(first_told) - set(corrected) - set(to_call))),
        stray=tuple(m.to for m in unreasoned if m.in_reply_to not in committed),
        precautionary=tuple(m.to for m in unreasoned if m.in_reply_to in committed),
        notices_after_stop=sum(mail.real_at > stop_durable_at for mail in told),
        notices_after_correction=tuple(
            mail.to for mail in told if mail.to in corrected and mail.seq > corrected[mail.to].seq
        ),
        wrong_thread=tuple(
            mail.to
            for mail in corrections
            if mail.to in ids_by_address and mail.in_reply_to not in ids_by_address[mail.to]
        ),
        wrong_language=tuple(
            mail.to
            for mail in corrections
            if mail.to in first_told and mail.language != first_told[mail.to].language
        ),
        first_notice_at=min((mail.real_at for mail in told), default=None),
        last_correction_at=max((mail.real_at for mail in corrections), default=None),
    )


@dataclass(frozen=True, slots=True)
class TakeBack:
    """One take-back of the story: what was pressed, when, and what stood before and after.

    `pressed_at` and `stop_durable_at` are real seconds since 1970; deadlines are by each person's
    own clock and therefore naive.
    """

    number: str
    apps: tuple[str, ...]
    deadline: datetime
    pressed_at: float
    stop_durable_at: float
    said: Mapping[str, Any]
    taken_back_at: datetime
    standing: tuple[str, tuple[str, ...], datetime] | None  # number, apps, deadline
