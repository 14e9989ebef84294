"""Spellings of one id meet in one form, and an entry survives its way through bytes."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from countermand.domain.device_key import normal_device, normal_login
from countermand.domain.door_record import (
    NUMBER_BYTES,
    RECORD_BYTES,
    SealedEntry,
    all_genuine,
    body_of,
    records,
    seal,
)
from countermand.domain.verdict import EntryFacts

ids = st.binary(min_size=6, max_size=32)
instants = st.datetimes(
    min_value=datetime(1990, 1, 1),  # noqa: DTZ001  (the zone is given beside it)
    max_value=datetime(2200, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
maybe = st.none() | instants
entries = st.builds(
    EntryFacts,
    order_number=st.from_regex(r"\ACM-[2-9A-Z]{4}\Z"),
    presence=st.sampled_from(["present", "absent", "unobservable", "unknown"]),
    evidence_at=maybe,
    fresh_until=maybe,
    may_close=st.booleans(),
    closes_at=instants,
    noticed_at=maybe,
    lock_accepted_at=maybe,
    attested_at=maybe,
    override_until=maybe,
)
KEY = b"k" * 32
DOOR = b"d" * 16


@given(ids)
def test_bytes_and_both_cases_of_their_hexadecimal_form_meet(raw: bytes) -> None:
    assert normal_device(raw) == normal_device(raw.hex()) == normal_device(raw.hex().upper())


@given(st.text() | st.binary())
def test_a_normal_form_stays_as_it_is(value: str | bytes) -> None:
    form = normal_device(value)

    assert normal_device(form) == form
    assert form.isascii()


@given(st.text())
def test_a_folded_login_stays_as_it_is(name: str) -> None:
    assert normal_login(normal_login(name)) == normal_login(name)


@given(entries)
def test_an_entry_survives_its_way_through_bytes(facts: EntryFacts) -> None:
    body = body_of(facts)
    stored = SealedEntry(body, seal(KEY, DOOR, body)).to_bytes()

    [entry] = records(stored)

    assert len(stored) == RECORD_BYTES
    assert entry.facts() == facts
    assert all_genuine(stored, stored[:NUMBER_BYTES], entry_key=KEY, door=DOOR)


@given(entries, st.integers(0, RECORD_BYTES * 8 - 1))
def test_one_turned_bit_breaks_the_seal(facts: EntryFacts, bit: int) -> None:
    body = body_of(facts)
    stored = bytearray(SealedEntry(body, seal(KEY, DOOR, body)).to_bytes())
    stored[bit // 8] ^= 1 << bit % 8

    # Also when the order that it names by then is another one.
    named = bytes(stored[:NUMBER_BYTES])
    assert not all_genuine(bytes(stored), named, entry_key=KEY, door=DOOR)


@given(entries)
def test_an_entry_cannot_be_moved_to_another_door(facts: EntryFacts) -> None:
    body = body_of(facts)
    stored = SealedEntry(body, seal(KEY, DOOR, body)).to_bytes()

    assert not all_genuine(stored, stored[:NUMBER_BYTES], entry_key=KEY, door=b"e" * 16)


@given(st.binary(max_size=3 * RECORD_BYTES))
def test_any_bytes_are_read_without_an_error(stored: bytes) -> None:
    for entry in records(stored):
        entry.facts()
