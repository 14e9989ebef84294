"""Every step of an order that is lawful, every one that is not, and who may take it."""

from contextlib import suppress

import pytest

from countermand.domain.approvals import Role
from countermand.domain.effects import (
    AskForUndo,
    BeginCollecting,
    BeginEnforcing,
    Effect,
    HandOver,
    HoldQueue,
    KillSenders,
    OpenDoor,
    RaiseFence,
    SettleLedger,
    UpdateLookup,
    VoidApprovals,
    WriteLog,
)
from countermand.domain.lifecycle import (
    OF_ITSELF,
    NotUndoneYet,
    StepNotAllowed,
    allowed_steps,
    may,
    move,
)
from countermand.domain.phases import (
    FINAL,
    PAUSABLE,
    PHASE_WORDS,
    STEP_WORDS,
    TOLD,
    Enforcement,
    Phase,
    Step,
)

# Written by hand from the specification, not out of the code: phase, and what may follow.
LAWFUL = """
    draft        plan>planned edit>draft abandon>abandoned
    planned      plan>planned edit>draft submit>review abandon>abandoned
    review       edit>draft approve>review policy_met>approved return_for_changes>draft
    review       abandon>abandoned
    approved     edit>draft return_for_changes>draft abandon>abandoned drift_found>review
    approved     release>hold
    hold         drift_found>review withdraw>withdrawn take_back>withdrawn hold_over>canary
    canary       go>sending pause>paused take_back>stopping
    sending      all_sent>notified pause>paused take_back>stopping
    notified     deadline_reached>enforcing pause>paused take_back>stopping
    enforcing    close>closed pause>paused take_back>stopping
    collecting   close>closed pause>paused take_back>stopping
    handed_over  close>closed pause>paused take_back>stopping
    closed       take_back>stopping
    paused       pause>paused resume>sending take_back>stopping
    stopping     take_back>stopping undo_confirmed>stopping barrier_proven>correcting
    correcting   undo_confirmed>correcting all_corrected>corrected
"""
TARGETS = {
    (Phase(words[0]), Step(pair.split(">")[0])): Phase(pair.split(">")[1])
    for line in LAWFUL.strip().splitlines()
    if (words := line.split())
    for pair in words[1:]
}
EVERY_STEP = [(phase, step) for phase in Phase for step in Step]


def taken(phase: Phase, step: Step, enforcement: Enforcement = Enforcement.GATE) -> Phase:
    paused_from = Phase.SENDING if phase is Phase.PAUSED else None
    return move(phase, step, enforcement=enforcement, paused_from=paused_from).after


def effects(
    phase: Phase, step: Step, enforcement: Enforcement = Enforcement.GATE
) -> tuple[Effect, ...]:
    return move(phase, step, enforcement=enforcement).effects


@pytest.mark.parametrize(("phase", "step"), EVERY_STEP)
def test_each_step_leads_where_the_specification_says_or_is_refused(
    phase: Phase, step: Step
) -> None:
    if (phase, step) in TARGETS:
        assert taken(phase, step) is TARGETS[phase, step]
    else:
        with pytest.raises(StepNotAllowed):
            taken(phase, step)


@pytest.mark.parametrize("phase", Phase)
def test_the_steps_said_to_be_allowed_are_those_that_can_be_taken(phase: Phase) -> None:
    lawful = {step for before, step in TARGETS if before is phase}

    assert lawful == allowed_steps(phase, enforcement=Enforcement.GATE, paused_from=Phase.SENDING)


@pytest.mark.parametrize("phase", FINAL)
def test_nothing_follows_an_end(phase: Phase) -> None:
    assert allowed_steps(phase, enforcement=Enforcement.GATE) == frozenset()


@pytest.mark.parametrize(
    ("enforcement", "after", "effect"),
    [
        (Enforcement.GATE, Phase.ENFORCING, BeginEnforcing()),
        (Enforcement.CLOUD, Phase.ENFORCING, BeginEnforcing()),
        (Enforcement.NONE, Phase.COLLECTING, BeginCollecting()),
        (Enforcement.HANDED_OVER, Phase.HANDED_OVER, HandOver()),
    ],
)
def test_what_comes_after_the_deadline_depends_on_who_closes_the_door(
    enforcement: Enforcement, after: Phase, effect: Effect
) -> None:
    decided = move(Phase.NOTIFIED, Step.DEADLINE_REACHED, enforcement=enforcement)

    assert decided.after is after
    assert decided.effects[0] == effect


@pytest.mark.parametrize("enforcement", [Enforcement.NONE, Enforcement.HANDED_OVER])
def test_an_order_that_closes_no_door_itself_never_begins_to_enforce(
    enforcement: Enforcement,
) -> None:
    for phase, step in TARGETS:
        with suppress(NotUndoneYet):
            decided = move(phase, step, enforcement=enforcement, paused_from=Phase.CANARY)
            assert BeginEnforcing() not in decided.effects
            assert decided.after is not Phase.ENFORCING


@pytest.mark.parametrize("phase", PAUSABLE)
def test_resuming_leads_back_to_where_the_order_was_paused(phase: Phase) -> None:
    paused = move(phase, Step.PAUSE, enforcement=Enforcement.GATE)

    resumed = move(
        Phase.PAUSED,
        Step.RESUME,
        enforcement=Enforcement.GATE,
        paused_from=paused.paused_from_after,
    )

    assert resumed.after is phase
    assert resumed.paused_from_after is None


def test_a_second_pause_remembers_where_the_first_one_was() -> None:
    again = move(Phase.PAUSED, Step.PAUSE, enforcement=Enforcement.GATE, paused_from=Phase.CANARY)

    assert again.paused_from_after is Phase.CANARY


def test_an_order_paused_with_the_first_group_cannot_skip_soak_and_go() -> None:
    resumed = move(
        Phase.PAUSED, Step.RESUME, enforcement=Enforcement.GATE, paused_from=Phase.CANARY
    )

    assert resumed.after is Phase.CANARY


@pytest.mark.parametrize("nowhere", [None, Phase.CLOSED, Phase.HOLD, Phase.PAUSED])
def test_a_paused_order_that_does_not_know_where_it_was_is_not_resumed(
    nowhere: Phase | None,
) -> None:
    with pytest.raises(StepNotAllowed):
        move(Phase.PAUSED, Step.RESUME, enforcement=Enforcement.GATE, paused_from=nowhere)


def test_a_paused_order_can_be_taken_back_even_if_it_does_not_know_where_it_was() -> None:
    decided = move(Phase.PAUSED, Step.TAKE_BACK, enforcement=Enforcement.GATE, paused_from=None)

    assert decided.after is Phase.STOPPING


@pytest.mark.parametrize("enforcement", Enforcement)
@pytest.mark.parametrize("phase", TOLD)
def test_an_order_of_which_anybody_was_told_can_always_be_taken_back(
    phase: Phase, enforcement: Enforcement
) -> None:
    assert move(phase, Step.TAKE_BACK, enforcement=enforcement).after is Phase.STOPPING


@pytest.mark.parametrize("phase", TOLD | {Phase.STOPPING})
def test_taking_back_acts_in_its_fixed_order(phase: Phase) -> None:
    assert effects(phase, Step.TAKE_BACK)[:7] == (
        RaiseFence(is_final=True),
        OpenDoor(),
        KillSenders(),
        HoldQueue(),
        SettleLedger(),
        UpdateLookup(),
        WriteLog(),
    )


def test_taking_back_in_hold_is_withdrawing_since_nobody_was_told() -> None:
    decided = move(Phase.HOLD, Step.TAKE_BACK, enforcement=Enforcement.GATE)

    assert decided.after is Phase.WITHDRAWN
    assert decided.effects == effects(Phase.HOLD, Step.WITHDRAW)
    assert decided.effects[0] == RaiseFence(is_final=True)


@pytest.mark.parametrize("phase", PAUSABLE)
def test_a_pause_stops_mail_first_and_opens_no_door(phase: Phase) -> None:
    decided = effects(phase, Step.PAUSE)

    assert decided[:3] == (RaiseFence(is_final=False), KillSenders(), SettleLedger())
    assert OpenDoor() not in decided


@pytest.mark.parametrize("phase", [Phase.PLANNED, Phase.REVIEW, Phase.APPROVED])
def test_any_edit_voids_every_approval(phase: Phase) -> None:
    decided = move(phase, Step.EDIT, enforcement=Enforcement.GATE)

    assert decided.after is Phase.DRAFT
    assert decided.effects[0] == VoidApprovals(keep_same_digest=False)


def test_a_handed_over_order_is_corrected_only_when_it_is_undone_elsewhere() -> None:
    with pytest.raises(NotUndoneYet):
        move(Phase.CORRECTING, Step.ALL_CORRECTED, enforcement=Enforcement.HANDED_OVER)

    decided = move(
        Phase.CORRECTING,
        Step.ALL_CORRECTED,
        enforcement=Enforcement.HANDED_OVER,
        is_undone=True,
    )

    assert decided.after is Phase.CORRECTED


@pytest.mark.parametrize("phase", TOLD)
def test_taking_back_a_handed_over_order_asks_for_it_to_be_undone_elsewhere(phase: Phase) -> None:
    assert AskForUndo() in effects(phase, Step.TAKE_BACK, Enforcement.HANDED_OVER)
    assert AskForUndo() not in effects(phase, Step.TAKE_BACK, Enforcement.GATE)


@pytest.mark.parametrize(("phase", "step"), TARGETS)
def test_every_step_that_is_taken_is_written_to_the_log(phase: Phase, step: Step) -> None:
    decided = move(phase, step, enforcement=Enforcement.GATE, paused_from=Phase.SENDING)

    assert WriteLog() in decided.effects


# One letter a role: author, approver, operator, auditor, help desk, works council, mail admin.
MAY = {
    Step.PLAN: "A......",
    Step.EDIT: "AP.....",
    Step.SUBMIT: "A......",
    Step.APPROVE: ".P.....",
    Step.RETURN_FOR_CHANGES: ".P.....",
    Step.ABANDON: "A......",
    Step.RELEASE: "A.O....",
    Step.GO: "APO....",
    Step.PAUSE: "APOUHWM",
    Step.RESUME: ".P.....",
    Step.CLOSE: "A.O....",
    Step.WITHDRAW: "APOUHWM",
    Step.TAKE_BACK: "APO....",
    Step.UNDO_CONFIRMED: "..O...M",
    Step.POLICY_MET: ".......",
    Step.DRIFT_FOUND: ".......",
    Step.HOLD_OVER: ".......",
    Step.ALL_SENT: ".......",
    Step.DEADLINE_REACHED: ".......",
    Step.BARRIER_PROVEN: ".......",
    Step.ALL_CORRECTED: ".......",
}


@pytest.mark.parametrize("step", Step)
@pytest.mark.parametrize("role", Role)
def test_each_role_may_take_exactly_its_steps(role: Role, step: Step) -> None:
    place = list(Role).index(role)

    assert may(role, step) is (MAY[step][place] != ".")


def test_no_step_is_without_a_word_on_who_may_take_it() -> None:
    assert set(MAY) == set(Step)
    assert {step for step in Step if not any(may(role, step) for role in Role)} == OF_ITSELF


def test_every_phase_and_step_has_words_that_people_read() -> None:
    assert set(PHASE_WORDS) == set(Phase)
    assert set(STEP_WORDS) == set(Step)


def test_a_refused_step_is_told_in_words_for_people() -> None:
    with pytest.raises(StepNotAllowed) as refused:
        move(Phase.CANARY, Step.RELEASE, enforcement=Enforcement.GATE)

    assert "canary" not in str(refused.value)
    assert "first small group" in str(refused.value)
