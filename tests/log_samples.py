"""Logs made up for tests: the story of one order, hashed and signed as the sequencer does it."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from countermand.audit.leaves import leaf, leaf_bytes
from countermand.audit.signed_note import Head, Signer
from countermand.audit.verifying import VERSION, line_of
from countermand.domain.lifecycle import move
from countermand.domain.merkle_log import Range, leaf_hash
from countermand.domain.phases import Enforcement, Phase, Step

SIGNER = Signer("countermand-of-tests", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
BEGIN = datetime(2026, 12, 4, 9, 0, tzinfo=UTC)
ORDER = "CM-7Q4K"
DIGEST = hashlib.sha256(b"first version").hexdigest()


def ref(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


@dataclass
class Story:
    """Entries of one order; `take` writes what the lifecycle decides."""

    number: str = ORDER
    digest: str = DIGEST
    phase: Phase = Phase.DRAFT
    paused_from: Phase | None = None
    epoch: int = 0
    entries: list[dict[str, Any]] = field(default_factory=list)

    def note(self, event: str, by: str = "", **facts: Any) -> None:
        self.entries.append(
            leaf(
                position=len(self.entries),
                event=event,
                order_number=self.number,
                actor_ref=ref(by) if by else "",
                facts=facts,
                at=BEGIN + timedelta(minutes=len(self.entries)),
            )
        )

    def take(self, step: Step, by: str = "", **facts: Any) -> None:
        moved = move(self.phase, step, enforcement=Enforcement.GATE, paused_from=self.paused_from)
        standing = {
            "before": self.phase.value,
            "after": moved.after.value,
            "enforcement": "gate",
            "epoch": self.epoch,
            "digest": self.digest,
        }
        self.phase, self.paused_from = moved.after, moved.paused_from_after
        self.note(f"order.{step.value}", by, **standing, **facts)

    def approve(self, by: str) -> None:
        for part in ("plan", "notice", "correction"):
            self.note("order.opened", by, part=part, digest=self.digest, revision=1)
        self.take(Step.APPROVE, by)

    def send(self, *message_ids: str) -> None:
        ids = [f"<{self.number}.1.{each}@example.org>" for each in message_ids]
        self.note(
            "permit.batch",
            order=self.number,
            epoch=self.epoch,
            digest=self.digest,
            sender="sender-1",
            message_ids=ids,
        )


def approved() -> Story:
    story = Story()
    story.take(Step.PLAN, "asha", people=12)
    story.take(Step.SUBMIT, "asha")
    story.approve("bela")
    story.approve("chen")
    story.take(Step.POLICY_MET, needed=2, needed_outside_it=0)
    return story


def taken_back() -> Story:
    """Planned, approved, sent, paused, resumed, taken back and corrected."""
    story = approved()
    story.take(Step.RELEASE, "asha")
    story.epoch = 1
    story.take(Step.HOLD_OVER)
    story.send("notice.0.aa", "notice.0.bb")
    story.take(Step.GO, "bela")
    story.take(Step.PAUSE, "dora")
    story.epoch = 2
    story.take(Step.RESUME, "bela")
    story.send("notice.0.cc")
    story.take(Step.TAKE_BACK, "asha")
    story.take(Step.BARRIER_PROVEN)
    story.send("correction.0.aa", "correction.0.bb")
    story.take(Step.ALL_CORRECTED)
    return story


def lines_of(
    entries: Iterable[Mapping[str, Any]], *, batch: int = 7, signer: Signer = SIGNER
) -> list[bytes]:
    """The exported log over these entries, with a signed head after every batch."""
    verifier = signer.verifier
    lines = [
        line_of(
            {
                "kind": "log",
                "version": VERSION,
                "origin": verifier.name,
                "public_key": verifier.encode(),
            }
        )
    ]
    listed = list(entries)
    grown = Range()
    for entry in listed:
        grown = grown.add(leaf_hash(leaf_bytes(entry)))
        lines.append(line_of({"kind": "entry", "entry": dict(entry)}))
        if grown.size % batch == 0 or grown.size == len(listed):
            note = signer.sign(Head(verifier.name, grown.size, grown.root()))
            lines.append(line_of({"kind": "head", "note": note}))
    lines.append(line_of({"kind": "end", "entries": grown.size}))
    return lines
