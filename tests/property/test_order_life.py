"""Random lives of an order against a model of who was told: nothing leaves by mistake.

The machine takes any step of any person at any time. Beside it stands the plainest model there
is: a set of people who were told, and the approvals as a person would write them on paper.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from countermand.domain.approvals import (
    EVERY_PART,
    GivenApproval,
    NotEnoughApprovals,
    check_approver,
    check_met,
    needed,
)
from countermand.domain.effects import (
    CorrectEveryoneReached,
    RaiseFence,
    ReleaseStatement,
    VoidApprovals,
)
from countermand.domain.errors import CountermandError
from countermand.domain.lifecycle import allowed_steps, move
from countermand.domain.phases import FINAL, PAUSABLE, Enforcement, Phase, Step

AUTHOR, PEOPLE = 0, range(8)
NOTICE = timedelta(days=5)
LIFETIME = timedelta(days=20)
MAY_SEND = {
    Phase.CANARY,
    Phase.SENDING,
    Phase.NOTIFIED,
    Phase.ENFORCING,
    Phase.COLLECTING,
    Phase.HANDED_OVER,
}
STOPPED = {Phase.PAUSED, Phase.STOPPING, Phase.CORRECTING, Phase.CORRECTED, Phase.WITHDRAWN}
people = st.sampled_from(PEOPLE)


@dataclass
class Paper:
    """What somebody with pencil and paper would know, kept apart from the rules under test."""

    texts: int = 1
    editor: int = AUTHOR
    submitter: int | None = None
    signed: dict[int, int] = field(default_factory=dict)  # person: text that they approved
    told: set[int] = field(default_factory=set)
    told_while_unsigned: set[int] = field(default_factory=set)
    told_late: set[int] = field(default_factory=set)
    told_while_stopped: set[int] = field(default_factory=set)
    corrected: set[int] = field(default_factory=set)
    taken_back: bool = False

    def hands_that_count(self) -> set[int]:
        own = {AUTHOR, self.editor, self.submitter}
        return {who for who, text in self.signed.items() if text == self.texts} - own


class OrderLife(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = datetime(2020, 7, 10, tzinfo=UTC)
        self.not_after = self.now + LIFETIME
        self.paper = Paper()
        self.phase = Phase.DRAFT
        self.paused_from: Phase | None = None
        self.enforcement = Enforcement.GATE
        self.is_undone = False
        self.approvals: list[GivenApproval] = []
        self.epoch, self.stopped_epoch = 0, 0

    @initialize(enforcement=st.sampled_from(Enforcement))
    def begins(self, enforcement: Enforcement) -> None:
        self.enforcement = enforcement

    @property
    def digest(self) -> str:
        return f"text {self.paper.texts}"

    def take(self, step: Step) -> bool:
        """Take a step as the rules say and carry out what it sets off; False when refused."""
        try:
            decided = move(
                self.phase,
                step,
                enforcement=self.enforcement,
                paused_from=self.paused_from,
                is_undone=self.is_undone,
            )
        except CountermandError:
            return False
        for effect in decided.effects:
            self.carry_out(effect)
        self.phase, self.paused_from = decided.after, decided.paused_from_after
        return True

    def carry_out(self, effect: object) -> None:
        match effect:
            case VoidApprovals(keep_same_digest=keep):
                self.approvals = [
                    given
                    if keep and given.digest == self.digest
                    else GivenApproval(
                        given.person_id, given.digest, given.outside_it, is_void=True
                    )
                    for given in self.approvals
                ]
            case RaiseFence():
                self.stopped_epoch = self.epoch
            case CorrectEveryoneReached():
                self.paper.corrected = set(self.paper.told)
            case ReleaseStatement():
                assert self.paper.corrected >= self.paper.told
            case _:
                pass

    # --- people ---

    @rule()
    def plans(self) -> None:
        self.take(Step.PLAN)

    @rule(who=people)
    def edits(self, who: int) -> None:
        before = self.paper.texts
        self.paper.texts += 1
        if self.take(Step.EDIT):
            self.paper.editor = who
            self.paper.submitter = None
        else:
            self.paper.texts = before

    @rule(who=people)
    def submits(self, who: int) -> None:
        if self.take(Step.SUBMIT):
            self.paper.submitter = who

    @rule(who=people, outside=st.booleans(), opened=st.sampled_from([EVERY_PART, frozenset()]))
    def approves(self, who: int, outside: bool, opened: frozenset[str]) -> None:
        try:
            check_approver(
                person_id=who,
                author_id=AUTHOR,
                editors=frozenset({self.paper.editor}),
                submitter_id=self.paper.submitter,
                opened=opened,
                digest=self.digest,
                revision_digest=self.digest,
            )
        except CountermandError:
            return
        if self.take(Step.APPROVE):
            assert opened == EVERY_PART
            self.approvals.append(GivenApproval(who, self.digest, outside_it=outside))
            self.paper.signed[who] = self.paper.texts

    @rule()
    def counts(self) -> None:
        self.if_met(Step.POLICY_MET)

    @rule()
    def releases(self) -> None:
        self.if_met(Step.RELEASE)

    def if_met(self, step: Step) -> None:
        try:
            check_met(self.approvals, needed(len(PEOPLE), NOTICE), digest=self.digest)
        except NotEnoughApprovals:
            return
        self.take(step)

    @rule(
        step=st.sampled_from(
            [Step.RETURN_FOR_CHANGES, Step.ABANDON, Step.DRIFT_FOUND, Step.GO, Step.ALL_SENT]
        )
    )
    def somebody_takes(self, step: Step) -> None:
        self.take(step)

    @rule(step=st.sampled_from([Step.DEADLINE_REACHED, Step.CLOSE, Step.WITHDRAW]))
    def later_somebody_takes(self, step: Step) -> None:
        self.take(step)

    @rule()
    def hold_is_over(self) -> None:
        if self.take(Step.HOLD_OVER):
            self.epoch = 1

    @rule()
    def pauses(self) -> None:
        before = self.phase
        if self.take(Step.PAUSE) and before is not Phase.PAUSED:
            assert self.paused_from is before

    @rule()
    def resumes(self) -> None:
        expected = self.paused_from
        if self.take(Step.RESUME):
            assert self.phase is expected
            self.epoch = self.stopped_epoch + 1

    @rule()
    def takes_back(self) -> None:
        if self.take(Step.TAKE_BACK):
            self.paper.taken_back = True

    @rule(hands=st.lists(people, min_size=4, max_size=4), edits_first=st.booleans())
    def somebody_tries_to_get_it_out(self, hands: list[int], edits_first: bool) -> None:
        """The whole way at once, with whatever people come along."""
        editor, submitter, *approvers = hands
        if edits_first:
            self.edits(editor)
        self.plans()
        self.submits(submitter)
        for who in approvers:
            self.approves(who, outside=True, opened=EVERY_PART)
        self.counts()
        self.releases()
        self.hold_is_over()
        self.a_notice_is_due(submitter)

    @rule(data=st.data())
    def something_lawful_happens(self, data: st.DataObject) -> None:
        lawful = allowed_steps(
            self.phase,
            enforcement=self.enforcement,
            paused_from=self.paused_from,
            is_undone=self.is_undone,
        )
        unguarded = lawful & {
            Step.GO,
            Step.ALL_SENT,
            Step.DEADLINE_REACHED,
            Step.CLOSE,
            Step.BARRIER_PROVEN,
            Step.ALL_CORRECTED,
        }
        if unguarded:
            self.take(data.draw(st.sampled_from(sorted(unguarded))))

    @rule(step=st.sampled_from([Step.BARRIER_PROVEN, Step.ALL_CORRECTED]))
    def the_stop_goes_on(self, step: Step) -> None:
        self.take(step)

    @rule()
    def is_undone_elsewhere(self) -> None:
        if self.take(Step.UNDO_CONFIRMED):
            self.is_undone = True

    @rule(hours=st.integers(min_value=1, max_value=24 * 7))
    def time_passes(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    # --- a sender, that only knows the permit's rule ---

    @rule(who=people)
    def a_notice_is_due(self, who: int) -> None:
        permitted = (
            self.phase in MAY_SEND and self.epoch > self.stopped_epoch and self.now < self.not_after
        )
        if not permitted:
            return
        self.paper.told.add(who)
        if len(self.paper.hands_that_count()) < 2:
            self.paper.told_while_unsigned.add(who)
        if self.now >= self.not_after:
            self.paper.told_late.add(who)
        if self.phase in STOPPED or self.paper.taken_back:
            self.paper.told_while_stopped.add(who)

    # --- what must hold at every instant ---

    @invariant()
    def a1_nobody_was_told_without_two_other_hands_under_this_very_text(self) -> None:
        assert self.paper.told_while_unsigned == set()

    @invariant()
    def i10_nobody_was_told_after_the_last_instant(self) -> None:
        assert self.paper.told_late == set()

    @invariant()
    def i3_nobody_is_told_while_the_order_is_stopped(self) -> None:
        assert self.paper.told_while_stopped == set()

    @invariant()
    def i8_nobody_is_told_before_the_hold_is_over(self) -> None:
        early = {Phase.DRAFT, Phase.PLANNED, Phase.REVIEW, Phase.APPROVED, Phase.HOLD}
        if self.phase in early | {Phase.ABANDONED, Phase.WITHDRAWN}:
            assert self.paper.told == set()

    @invariant()
    def taking_back_is_final(self) -> None:
        if self.paper.taken_back:
            final = {Phase.STOPPING, Phase.CORRECTING, Phase.CORRECTED, Phase.WITHDRAWN}
            assert self.phase in final

    @invariant()
    def whoever_was_told_is_corrected_when_the_correcting_is_over(self) -> None:
        if self.phase is Phase.CORRECTED:
            assert self.paper.corrected == self.paper.told

    @invariant()
    def a_pause_remembers_its_place_and_nothing_else_does(self) -> None:
        assert (self.paused_from is not None) is (self.phase is Phase.PAUSED)
        assert self.paused_from is None or self.paused_from in PAUSABLE

    @precondition(lambda self: self.phase in FINAL)
    @rule(step=st.sampled_from(Step))
    def nothing_follows_an_end(self, step: Step) -> None:
        assert not self.take(step)


class ShortWayOut(OrderLife):
    """The same life, begun right before the hold is over, so that what follows is seen often."""

    @initialize(enforcement=st.sampled_from(Enforcement))
    def begins(self, enforcement: Enforcement) -> None:
        super().begins(enforcement)
        self.plans()
        self.submits(1)
        self.approves(2, outside=True, opened=EVERY_PART)
        self.approves(3, outside=False, opened=EVERY_PART)
        self.counts()
        self.releases()
        assert self.phase is Phase.HOLD


TestOrderLife = OrderLife.TestCase
TestOrderLife.settings = settings(stateful_step_count=60)
TestShortWayOut = ShortWayOut.TestCase
TestShortWayOut.settings = settings(stateful_step_count=60)
