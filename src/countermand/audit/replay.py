"""The story of every order once more, out of its entries alone: did each step follow the law?

For every step: where the order stood, that the step was allowed there, and where it led. For every
approval: another hand than those that wrote or submitted, and everything opened before. For every
batch of mails: that its digest was released with enough approvals of exactly this digest, and that
the order was one from which mail may leave (invariant A1). Pure: entries in, `EntryWrong` out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from countermand.domain.approvals import EVERY_PART, USUAL_POLICY
from countermand.domain.delivery import NoticeKind
from countermand.domain.effects import VoidApprovals
from countermand.domain.errors import CountermandError, gettext_noop
from countermand.domain.lifecycle import Move, move
from countermand.domain.phases import Enforcement, Phase, Step

PERMITS: Final = "permit.batch"
OPENED: Final = "order.opened"
_ORDER: Final = "order."
_STEPS: Final = MappingProxyType({step.value: step for step in Step})
# Where an order stands while its mails may leave; corrections have phases of their own.
_SENDING: Final = frozenset(
    {
        Phase.CANARY,
        Phase.SENDING,
        Phase.NOTIFIED,
        Phase.ENFORCING,
        Phase.COLLECTING,
        Phase.HANDED_OVER,
        Phase.CLOSED,
    }
)
_WRITING: Final = frozenset({Step.PLAN, Step.SUBMIT})
_COUNTED: Final = frozenset({Step.POLICY_MET, Step.RELEASE})


class EntryWrong(Exception):
    """An entry of the log does not follow from those before it."""


@dataclass(slots=True)
class _Approval:
    digest: str
    by: str
    outside_it: bool


@dataclass(slots=True)
class _Story:
    """What the entries so far say of one order; people are references."""

    phase: Phase = Phase.DRAFT
    paused_from: Phase | None = None
    is_undone: bool = False
    epoch: int = 0
    author: str = ""
    hands: dict[str, set[str]] = field(default_factory=dict)  # digest -> who wrote or submitted
    opened: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    approvals: list[_Approval] = field(default_factory=list)
    people: int = 0
    released: set[str] = field(default_factory=set)  # digests
    sending_epochs: set[int] = field(default_factory=set)
    has_corrected: bool = False


@dataclass(slots=True)
class Replay:
    """All orders of a log. `take` every entry in order."""

    stories: dict[str, _Story] = field(default_factory=dict)
    permits: int = 0

    def take(self, entry: Mapping[str, Any]) -> None:
        """Follow one entry; raise EntryWrong when it does not follow from those before it."""
        event, number = str(entry["event"]), str(entry["order"])
        facts: Mapping[str, Any] = entry["facts"]
        step = _STEPS.get(event.removeprefix(_ORDER)) if event.startswith(_ORDER) else None
        try:
            if step is not None:
                self._step(self._story(number), step, str(entry["actor"]), facts)
            elif event == OPENED:
                story = self._story(number)
                seen = story.opened.setdefault((str(facts["digest"]), str(entry["actor"])), set())
                seen.add(str(facts["part"]))
            elif event == PERMITS:
                self._permits(number, facts)
        except (KeyError, TypeError, ValueError) as error:
            raise EntryWrong(f"{event} of {number} lacks a fact: {error}") from error

    def _story(self, number: str) -> _Story:
        return self.stories.setdefault(number, _Story())

    def _step(self, story: _Story, step: Step, actor: str, facts: Mapping[str, Any]) -> None:
        if Phase(facts["before"]) is not story.phase:
            raise EntryWrong(f"it was {story.phase}, and the entry says {facts['before']}")
        story.is_undone = story.is_undone or step is Step.UNDO_CONFIRMED
        moved = _moved(story, step, Enforcement(facts["enforcement"]))
        if Phase(facts["after"]) is not moved.after:
            raise EntryWrong(f"{step} leads to {moved.after}, and the entry says {facts['after']}")
        digest, epoch = str(facts["digest"]), int(facts["epoch"])
        if epoch < story.epoch:
            raise EntryWrong(f"its count of stops went back from {story.epoch} to {epoch}")
        if step is Step.APPROVE:
            _check_approval(story, digest, actor)
            outside = bool(facts.get("approver_outside_it"))
            story.approvals.append(_Approval(digest, actor, outside))
        if step in _COUNTED:
            _check_enough(story, digest, facts)
        if step in _WRITING:
            _note_hand(story, step, digest, actor, facts)
        if step is Step.RELEASE:
            story.released.add(digest)
        _advance(story, moved, digest, epoch)

    def _permits(self, number: str, facts: Mapping[str, Any]) -> None:
        story = self._story(number)
        digest, epoch = str(facts["digest"]), int(facts["epoch"])
        message_ids = [str(each) for each in facts["message_ids"]]
        if digest not in story.released:
            raise EntryWrong(f"mails of {number} left, and the version {digest} was never released")
        for message_id in message_ids:
            kind = _kind_of(message_id, number)
            if kind is NoticeKind.CORRECTION:
                allowed = story.has_corrected
            else:
                allowed = epoch in story.sending_epochs
            if not allowed:
                raise EntryWrong(f"{message_id} left while no {kind} of {number} was allowed to")
        self.permits += len(message_ids)


def _moved(story: _Story, step: Step, enforcement: Enforcement) -> Move:
    try:
        return move(
            story.phase,
            step,
            enforcement=enforcement,
            paused_from=story.paused_from,
            is_undone=story.is_undone,
        )
    except CountermandError as error:
        raise EntryWrong(f"{step} was not allowed while {story.phase}") from error


def _check_approval(story: _Story, digest: str, actor: str) -> None:
    if not actor or actor == story.author or actor in story.hands.get(digest, ()):
        raise EntryWrong(gettext_noop("somebody approved their own order"))
    missing = EVERY_PART - story.opened.get((digest, actor), set())
    if missing:
        raise EntryWrong(f"somebody approved without opening: {', '.join(sorted(missing))}")
    if any(given.by == actor and given.digest == digest for given in story.approvals):
        raise EntryWrong(gettext_noop("somebody approved the same content twice"))


def _check_enough(story: _Story, digest: str, facts: Mapping[str, Any]) -> None:
    """The number written down counts, but never less than the law asks of so many people."""
    strict = story.people > USUAL_POLICY.many_people
    least = USUAL_POLICY.strict if strict else USUAL_POLICY.usual
    needed = max(least, int(facts.get("needed", 0)))
    outside = max(int(strict), int(facts.get("needed_outside_it", 0)))
    given = [each for each in story.approvals if each.digest == digest]
    if len({each.by for each in given}) < needed:
        raise EntryWrong(f"{len(given)} of {needed} approvals of this version")
    if len({each.by for each in given if each.outside_it}) < outside:
        raise EntryWrong(gettext_noop("no approval from outside IT"))


def _note_hand(
    story: _Story, step: Step, digest: str, actor: str, facts: Mapping[str, Any]
) -> None:
    if step is Step.PLAN:
        story.author = story.author or actor
        story.people = int(facts.get("people", story.people))
    story.hands.setdefault(digest, set()).add(actor)


def _advance(story: _Story, moved: Move, digest: str, epoch: int) -> None:
    for effect in moved.effects:
        if isinstance(effect, VoidApprovals):
            kept = digest if effect.keep_same_digest else None
            story.approvals = [each for each in story.approvals if each.digest == kept]
    story.phase, story.paused_from, story.epoch = moved.after, moved.paused_from_after, epoch
    if moved.after in _SENDING:
        story.sending_epochs.add(epoch)
    story.has_corrected = story.has_corrected or moved.after is Phase.CORRECTING


def _kind_of(message_id: str, number: str) -> NoticeKind:
    """Return the kind that a Message-ID names: <number.revision.kind.step.secret@domain>."""
    parts = message_id.removeprefix("<").split(".")
    if parts[0] != number:
        raise EntryWrong(f"{message_id} is no mail of {number}")
    return NoticeKind(parts[2])
