"""G1, G2, G3 and the other laws of the door, over invented histories."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from countermand.domain.door_record import (
    KNOWN_DEVICE,
    SEAL_BYTES,
    SealedEntry,
    body_of,
    numbers_in,
)
from countermand.domain.phases import Enforcement
from countermand.domain.verdict import EntryFacts, OrderStateFacts, decide

NOW = datetime(2026, 12, 10, 12, 0, tzinfo=UTC)
NUMBERS = ("CM-2222", "CM-7Q4K", "CM-9999")

# Mostly facts that shut: a law about shut doors says nothing on doors that never shut.
hours = st.integers(-200, 100).map(lambda hour: NOW + timedelta(hours=hour))
maybe = st.none() | hours
entries = st.builds(
    EntryFacts,
    order_number=st.sampled_from(NUMBERS),
    presence=st.sampled_from(["present", "present", "present", "absent", "unknown"]),
    evidence_at=st.integers(-20, 2).map(lambda hour: NOW + timedelta(hours=hour)),
    fresh_until=st.integers(-2, 40).map(lambda hour: NOW + timedelta(hours=hour)),
    may_close=st.sampled_from([True, True, True, False]),
    closes_at=st.integers(-40, 5).map(lambda hour: NOW + timedelta(hours=hour)),
    noticed_at=st.none() | st.integers(-200, -50).map(lambda hour: NOW + timedelta(hours=hour)),
    lock_accepted_at=st.none() | st.integers(-40, 0).map(lambda hour: NOW + timedelta(hours=hour)),
    attested_at=st.none() | st.none() | hours,
    override_until=st.none() | st.none() | hours,
)
states = st.builds(
    OrderStateFacts,
    number=st.sampled_from(NUMBERS),
    phase=st.sampled_from(["enforcing", "enforcing", "enforcing", "notified", "paused"]),
    enforcement=st.sampled_from(["gate", "gate", "cloud", "none", "handed-over"]),
    epoch=st.integers(1, 4),
    stopped_epoch=st.integers(0, 2),
    withdrawn=st.sampled_from([False, False, False, True]),
    valid=st.sampled_from([True, True, True, False]),
    exercise=st.sampled_from([False, False, False, True]),
)
# Half of the worlds shut at least one door: all that is needed, and then whatever else there is.
shutting_entries = st.builds(
    EntryFacts,
    order_number=st.just("CM-7Q4K"),
    presence=st.just("present"),
    evidence_at=st.integers(-20, 0).map(lambda hour: NOW + timedelta(hours=hour)),
    fresh_until=st.integers(1, 40).map(lambda hour: NOW + timedelta(hours=hour)),
    may_close=st.just(True),
    closes_at=st.integers(-40, 0).map(lambda hour: NOW + timedelta(hours=hour)),
    noticed_at=st.integers(-200, -72).map(lambda hour: NOW + timedelta(hours=hour)),
    lock_accepted_at=st.integers(-40, -1).map(lambda hour: NOW + timedelta(hours=hour)),
    attested_at=st.none(),
    override_until=st.none(),
)
shutting_state = OrderStateFacts(
    number="CM-7Q4K",
    phase="enforcing",
    enforcement="gate",
    epoch=2,
    stopped_epoch=1,
    withdrawn=False,
    valid=True,
)
World = tuple[list[EntryFacts], dict[str, OrderStateFacts]]
random_worlds: st.SearchStrategy[World] = st.tuples(
    st.lists(entries, max_size=4),
    st.lists(states, max_size=4).map(lambda all_: {state.number: state for state in all_}),
)
shutting_worlds: st.SearchStrategy[World] = st.tuples(random_worlds, shutting_entries).map(
    lambda parts: (
        [parts[1], *(each for each in parts[0][0] if each.order_number != "CM-7Q4K")],
        {**parts[0][1], "CM-7Q4K": shutting_state},
    )
)
worlds: st.SearchStrategy[World] = shutting_worlds | random_worlds


@given(shutting_worlds)
def test_the_worlds_that_ought_to_shut_do(world: World) -> None:
    assert decide(*world, NOW).closed


@given(worlds)
def test_g1_after_a_take_back_of_every_order_every_door_is_open(world: World) -> None:
    facts, orders = world
    taken_back = {number: replace(state, withdrawn=True) for number, state in orders.items()}

    assert not decide(facts, taken_back, NOW).closed


@given(worlds, st.integers(0, 2**53 - 1))
def test_g1_a_fence_only_opens_and_a_higher_fence_never_shuts(world: World, fence: int) -> None:
    facts, orders = world
    fenced = {
        number: replace(state, stopped_epoch=max(state.stopped_epoch, fence))
        for number, state in orders.items()
    }

    assert decide(facts, orders, NOW).closed or not decide(facts, fenced, NOW).closed


@given(worlds, st.integers(0, 3))
def test_g1_a_fence_at_or_above_the_epoch_opens(world: World, above: int) -> None:
    facts, orders = world
    fenced = {n: replace(s, stopped_epoch=s.epoch + above) for n, s in orders.items()}

    assert not decide(facts, fenced, NOW).closed


@given(worlds)
def test_g2_whoever_is_refused_was_told_long_enough_before(world: World) -> None:
    facts, orders = world
    verdict = decide(facts, orders, NOW)
    if not verdict.closed:
        return

    proofs = [
        entry.noticed_at
        for entry in facts
        if entry.order_number == verdict.order_number and entry.noticed_at is not None
    ]
    assert min(proofs) <= NOW - timedelta(hours=72)


@given(worlds)
def test_g2_without_proof_of_notice_nothing_shuts(world: World) -> None:
    facts, orders = world
    untold = [replace(entry, noticed_at=None) for entry in facts]

    assert not decide(untold, orders, NOW).closed


@given(worlds)
def test_g3_without_a_valid_signed_state_nothing_shuts(world: World) -> None:
    facts, orders = world
    expired = {number: replace(state, valid=False) for number, state in orders.items()}

    assert not decide(facts, expired, NOW).closed
    assert not decide(facts, {}, NOW).closed


@given(worlds)
def test_exercises_never_shut(world: World) -> None:
    facts, orders = world
    exercises = {number: replace(state, exercise=True) for number, state in orders.items()}

    assert not decide(facts, exercises, NOW).closed


@given(worlds, st.data())
def test_no_order_whose_doors_are_not_our_gates_shuts_it(world: World, data: st.DataObject) -> None:
    facts, orders = world
    elsewhere = st.sampled_from([*sorted({*Enforcement} - {Enforcement.GATE}), ""])
    others = {n: replace(s, enforcement=data.draw(elsewhere)) for n, s in orders.items()}

    verdict = decide(facts, orders, NOW)
    assert not decide(facts, others, NOW).closed
    assert not verdict.closed or orders[str(verdict.order_number)].enforcement == "gate"


@given(worlds)
def test_i_removed_it_opens_at_once(world: World) -> None:
    facts, orders = world
    said = [replace(entry, attested_at=NOW) for entry in facts]

    assert not decide(said, orders, NOW).closed


@given(worlds, st.sampled_from(["absent", "unobservable", "unknown", ""]))
def test_silence_and_what_cannot_be_seen_never_shut(world: World, presence: str) -> None:
    facts, orders = world
    unseen = [replace(entry, presence=presence) for entry in facts]

    assert not decide(unseen, orders, NOW).closed


@given(worlds, st.randoms(use_true_random=False))
def test_the_order_of_the_entries_changes_nothing(world: World, random: Random) -> None:
    facts, orders = world
    unique = list({entry.order_number: entry for entry in facts}.values())
    shuffled = list(unique)
    random.shuffle(shuffled)

    assert decide(unique, orders, NOW) == decide(shuffled, orders, NOW)


@given(worlds, st.datetimes(timezones=st.just(UTC)))
def test_an_entry_that_only_knows_the_device_never_closes_a_door(
    world: World, now: datetime
) -> None:
    facts, orders = world
    # Even if somebody signed an order that has no number.
    orders = {**orders, "": replace(shutting_state, number="", minimum_notice=timedelta(0))}

    assert not decide([KNOWN_DEVICE], orders, now).closed
    with_it = decide([*facts, KNOWN_DEVICE], orders, now)
    assert with_it.closed is decide(facts, orders, now).closed
    # As it lies in a gate's table it is not even judged.
    stored = SealedEntry(body_of(KNOWN_DEVICE), b"s" * SEAL_BYTES).to_bytes()
    assert numbers_in(stored) == []


@given(entries)
def test_no_entry_of_no_order_is_ever_judged_whatever_it_says(facts: EntryFacts) -> None:
    forged = replace(facts, order_number="")

    assert numbers_in(SealedEntry(body_of(forged), b"s" * SEAL_BYTES).to_bytes()) == []
