"""Who may approve what, how many are needed, and whose hand must be another."""

from datetime import timedelta

import pytest

from countermand.domain.approvals import (
    EVERY_PART,
    AlreadyApproved,
    ApprovalPolicy,
    CauseMissing,
    DigestChanged,
    FingerprintNotUnderstood,
    GivenApproval,
    Need,
    NotEnoughApprovals,
    NotOpened,
    OwnApproval,
    Part,
    SameHand,
    check_approver,
    check_go,
    check_met,
    check_resume,
    is_met,
    named_digest,
    needed,
)

AUTHOR, EDITOR, SUBMITTER, OTHER, THIRD = 1, 2, 3, 4, 5
HOURS = timedelta(hours=1)
WEEK = timedelta(days=7)


def approve(
    person_id: int,
    *,
    opened: frozenset[str] = EVERY_PART,
    digest: str = "same",
    already: frozenset[int] = frozenset(),
) -> None:
    check_approver(
        person_id=person_id,
        author_id=AUTHOR,
        editors=frozenset({EDITOR}),
        submitter_id=SUBMITTER,
        opened=opened,
        digest=digest,
        revision_digest="same",
        already=already,
    )


def test_somebody_else_who_opened_everything_may_approve() -> None:
    approve(OTHER)


@pytest.mark.parametrize("person_id", [AUTHOR, EDITOR, SUBMITTER])
def test_nobody_approves_what_is_their_own(person_id: int) -> None:
    with pytest.raises(OwnApproval):
        approve(person_id)


@pytest.mark.parametrize("unopened", Part)
def test_nobody_approves_without_having_opened_each_part(unopened: Part) -> None:
    with pytest.raises(NotOpened) as refused:
        approve(OTHER, opened=EVERY_PART - {unopened})

    assert refused.value.missing == f"the {unopened}"


def test_an_approval_of_another_digest_is_refused() -> None:
    with pytest.raises(DigestChanged):
        approve(OTHER, digest="other")


DIGEST = "74a53e15b89a3459581f9a6f9f9de7f44ccc117d2ec9cc243e871b6202300f45"


@pytest.mark.parametrize("given", [DIGEST, DIGEST[:12], f" {DIGEST[:12].upper()} ", DIGEST[:40]])
def test_a_version_is_named_by_as_much_of_its_fingerprint_as_pages_show(given: str) -> None:
    assert named_digest(given, DIGEST) == DIGEST


@pytest.mark.parametrize("given", ["", "zzz", DIGEST[:11], "yes please, this one", f"{DIGEST}0"])
def test_what_can_be_no_fingerprint_is_called_so(given: str) -> None:
    with pytest.raises(FingerprintNotUnderstood):
        named_digest(given, DIGEST)


def test_the_fingerprint_of_another_version_says_that_the_order_was_changed() -> None:
    with pytest.raises(DigestChanged):
        named_digest("0" * 12, DIGEST)


def test_one_person_counts_once() -> None:
    with pytest.raises(AlreadyApproved):
        approve(OTHER, already=frozenset({OTHER}))

    twice = [GivenApproval(OTHER, "same", outside_it=True)] * 2
    assert not is_met(twice, Need(2, 0), digest="same")


@pytest.mark.parametrize(
    ("people", "notice", "strictly", "need"),
    [
        (10_000, 72 * HOURS, False, Need(2, 0)),
        (10_001, 72 * HOURS, False, Need(3, 1)),
        (1, 72 * HOURS - timedelta(seconds=1), False, Need(3, 1)),
        (1, WEEK, True, Need(3, 1)),
        (1, WEEK, False, Need(2, 0)),
        (1, timedelta(days=-1), False, Need(3, 1)),
    ],
)
def test_three_approve_what_is_hasty_wide_or_strict_and_two_the_rest(
    people: int, notice: timedelta, strictly: bool, need: Need
) -> None:
    assert needed(people, notice, refuse_until_answered=strictly) == need


@pytest.mark.parametrize(("usual", "strict"), [(1, 3), (0, 0), (3, 2)])
def test_no_policy_asks_for_less_than_two(usual: int, strict: int) -> None:
    with pytest.raises(ValueError, match="at least two"):
        ApprovalPolicy(usual=usual, strict=strict)


def given(*people: int, digest: str = "same", outside: int = 0) -> list[GivenApproval]:
    return [GivenApproval(person, digest, outside_it=person == outside) for person in people]


def test_approvals_of_another_digest_do_not_count() -> None:
    mixed = given(OTHER) + given(THIRD, digest="other")

    assert not is_met(mixed, Need(2, 0), digest="same")
    assert is_met(given(OTHER, THIRD), Need(2, 0), digest="same")


def test_void_approvals_do_not_count() -> None:
    void = GivenApproval(THIRD, "same", outside_it=False, is_void=True)

    assert not is_met([*given(OTHER), void], Need(2, 0), digest="same")


def test_three_approvals_without_anybody_from_outside_it_are_not_enough() -> None:
    assert not is_met(given(4, 5, 6), Need(3, 1), digest="same")
    assert is_met(given(4, 5, 6, outside=6), Need(3, 1), digest="same")


def test_releasing_too_early_says_how_many_are_missing() -> None:
    with pytest.raises(NotEnoughApprovals) as refused:
        check_met(given(OTHER), Need(3, 1), digest="same")

    assert (refused.value.given, refused.value.needed) == (1, 3)


def test_who_released_does_not_also_give_the_go() -> None:
    check_go(person_id=OTHER, released_by=THIRD)
    with pytest.raises(SameHand):
        check_go(person_id=OTHER, released_by=OTHER)


def test_who_paused_does_not_resume_and_the_cause_is_written_down() -> None:
    check_resume(person_id=OTHER, paused_by=THIRD, cause="The relay was full; it has room again.")
    check_resume(person_id=OTHER, paused_by=None, cause="It bounced; the list is mended.")
    with pytest.raises(SameHand):
        check_resume(person_id=OTHER, paused_by=OTHER, cause="over")
    with pytest.raises(CauseMissing):
        check_resume(person_id=OTHER, paused_by=THIRD, cause="  ")
