"""Laws of presence: silence proves nothing, and nothing becomes absent but by later proof."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import reduce
from itertools import permutations, product
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from countermand.domain.presence import (
    Coverage,
    Evidence,
    Presence,
    attestation_holds,
    judge,
    merge,
)

START = datetime(2026, 11, 1, tzinfo=UTC)
CYCLE = timedelta(days=7)
instants = st.integers(0, 60 * 24).map(lambda hours: START + timedelta(hours=hours))
identifiers = st.frozensets(st.sampled_from(["a", "b", "c"]))
answers = st.fixed_dictionaries(
    {
        "matched": st.booleans(),
        "coverage": st.sampled_from(Coverage),
        "asked": st.none() | identifiers,
        "wanted": identifiers,
        "complete": st.booleans(),
        "observable": st.booleans(),
    }
)


def every_answer_without_a_match() -> Iterator[dict[str, Any]]:
    some = [frozenset[str](), frozenset("a"), frozenset("b"), frozenset("ab")]
    for coverage, asked, wanted, complete, observable in product(
        Coverage, [None, *some], some, (True, False), (True, False)
    ):
        yield {
            "matched": False,
            "coverage": coverage,
            "asked": asked,
            "wanted": wanted,
            "complete": complete,
            "observable": observable,
        }


def evidences(*presences: Presence) -> st.SearchStrategy[Evidence]:
    return st.builds(
        lambda presence, taken_at, hours: Evidence(
            presence, taken_at, (taken_at or START) + timedelta(hours=hours), CYCLE
        ),
        st.sampled_from(presences or tuple(Presence)),
        st.none() | instants,
        st.integers(0, 60 * 24),
    )


def test_only_a_complete_list_that_looked_for_everything_proves_absence() -> None:
    for answer in every_answer_without_a_match():
        looked_everywhere = answer["coverage"] is Coverage.FULL and answer["asked"] is None
        asked_for_all = (
            answer["coverage"] in {Coverage.FULL, Coverage.ASKED, Coverage.CONFIGURED_ONLY}
            and answer["asked"] is not None
            and answer["wanted"] <= answer["asked"]
            and (answer["wanted"] or answer["coverage"] is Coverage.FULL)
        )
        is_proof = (
            answer["complete"] and answer["observable"] and (looked_everywhere or asked_for_all)
        )

        judged = judge(**answer)

        assert (judged is Presence.ABSENT) == bool(is_proof), answer


def test_what_a_source_can_never_see_is_unobservable_and_not_merely_unknown() -> None:
    never_seen = {Coverage.MANAGED_ONLY, Coverage.WORK_PROFILE_ONLY}
    for answer in every_answer_without_a_match():
        if answer["coverage"] in never_seen or not answer["observable"]:
            assert judge(**answer) is Presence.UNOBSERVABLE


@given(answers)
def test_a_dropped_page_never_turns_an_answer_into_absence(answer: dict[str, Any]) -> None:
    cut_off = {**answer, "matched": False, "complete": False}

    assert judge(**cut_off) is not Presence.ABSENT


@given(answers, st.sampled_from([Coverage.MANAGED_ONLY, Coverage.WORK_PROFILE_ONLY, Coverage.NONE]))
def test_a_list_of_managed_apps_never_proves_absence(
    answer: dict[str, Any], coverage: Coverage
) -> None:
    assert judge(**{**answer, "coverage": coverage}) is not Presence.ABSENT


@given(answers)
def test_a_match_is_presence_whatever_else_is_said(answer: dict[str, Any]) -> None:
    assert judge(**{**answer, "matched": True}) is Presence.PRESENT


@given(st.lists(evidences(), min_size=1, max_size=4))
def test_the_order_in_which_evidence_arrives_does_not_matter(said: Sequence[Evidence]) -> None:
    results = {reduce(merge, order).presence for order in permutations(said)}

    assert len(results) == 1


@given(evidences(Presence.PRESENT), evidences(Presence.ABSENT))
def test_present_becomes_absent_only_by_a_list_that_was_certainly_taken_later(
    old: Evidence, new: Evidence
) -> None:
    latest_possible_sight = old.inventory_at or old.collected_at
    earliest_possible_list = new.inventory_at or new.collected_at - CYCLE

    is_absent = merge(old, new).presence is Presence.ABSENT

    assert is_absent == (earliest_possible_list > latest_possible_sight)


@given(
    evidences(Presence.PRESENT, Presence.ABSENT),
    evidences(Presence.UNKNOWN, Presence.UNOBSERVABLE),
)
def test_what_cannot_be_known_replaces_nothing_that_is_known(old: Evidence, new: Evidence) -> None:
    assert merge(old, new) == old


@given(instants, instants)
def test_at_equal_times_presence_wins(at: datetime, collected_at: datetime) -> None:
    present = Evidence(Presence.PRESENT, at, collected_at, CYCLE)
    absent = Evidence(Presence.ABSENT, at, collected_at, CYCLE)

    assert merge(present, absent) == present
    assert merge(absent, present) == present


@given(instants, instants, st.booleans())
def test_a_word_falls_only_by_evidence_that_was_certainly_taken_after_it(
    said_at: datetime, evidence_at: datetime, has_own_time: bool
) -> None:
    holds = attestation_holds(said_at, evidence_at, has_own_time=has_own_time, refresh_cycle=CYCLE)

    possible_times = [evidence_at] if has_own_time else [evidence_at - CYCLE, evidence_at]
    assert holds == any(taken_at <= said_at for taken_at in possible_times)
