"""Doors learn differences only, under dense versions, and every opening survives a compilation."""

from dataclasses import fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from countermand.data_folder import DataFolder
from countermand.domain.device_key import door_key
from countermand.domain.door_record import body_of, seal
from countermand.domain.verdict import EntryFacts
from countermand.enforcement import entry_writes, queries
from countermand.enforcement.actions import (
    Claims,
    DoorFacts,
    Publisher,
    clear,
    clear_override,
    compile_entries,
    publish_states,
    set_attested,
    set_override,
)
from countermand.enforcement.models import DoorEntry, PublishedState
from tests.gate_world import ASHA, ORDER, door, make_folder, now, order_state

pytestmark = pytest.mark.django_db


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return make_folder(tmp_path)


@pytest.fixture
def publisher(folder: DataFolder) -> Publisher:
    return Publisher.load(folder)


def entry_of(device: str) -> DoorEntry:
    return DoorEntry.objects.get(device_key=device)


def assert_sealed(publisher: Publisher, row: DoorEntry) -> None:
    body = body_of(queries.facts_of(row))
    expected = seal(publisher.entry_key, door_key(row.login, row.device_key), body)
    assert row.checksum == expected.hex()


def test_only_differences_are_written(publisher: Publisher) -> None:
    facts = [door("phone-a"), door("phone-b", device_id=2), door("phone-c", device_id=3)]
    first = compile_entries(ORDER, facts, publisher=publisher, now=now())
    again = compile_entries(ORDER, facts, publisher=publisher, now=now())
    changed = [*facts[:2], replace(facts[2], entry=replace(facts[2].entry, presence="absent"))]
    third = compile_entries(ORDER, changed, publisher=publisher, now=now())

    assert (first.written, first.removed, first.version) == (3, 0, 1)
    assert (again.written, again.removed, again.version) == (0, 0, 1)
    assert (third.written, third.removed, third.version) == (1, 0, 2)
    assert entry_of("phone-c").version == 2
    assert entry_of("phone-a").version == 1
    for row in DoorEntry.objects.all():
        assert_sealed(publisher, row)


def test_what_is_missing_is_taken_away_and_comes_back(publisher: Publisher) -> None:
    facts = [door("phone-a"), door("phone-b", device_id=2)]
    compile_entries(ORDER, facts, publisher=publisher, now=now())

    gone = compile_entries(ORDER, facts[:1], publisher=publisher, now=now())
    assert (gone.written, gone.removed) == (0, 1)
    assert entry_of("phone-b").deleted
    assert len(queries.entries_of_order(ORDER)) == 1

    back = compile_entries(ORDER, facts, publisher=publisher, now=now())
    assert (back.written, back.removed) == (1, 0)
    assert not entry_of("phone-b").deleted


def test_another_order_is_not_touched(publisher: Publisher) -> None:
    compile_entries(ORDER, [door("phone-a")], publisher=publisher, now=now())
    compile_entries("CM-2222", [door("phone-a")], publisher=publisher, now=now())

    clear(ORDER, publisher=publisher, now=now())

    assert queries.entries_of_order(ORDER) == ()
    assert len(queries.entries_of_order("CM-2222")) == 1


def test_doors_are_kept_under_their_normal_names(publisher: Publisher) -> None:
    spelled = door("SEC17CD1A3E9E3F2", login=" Asha@Amber.Example ")
    compile_entries(ORDER, [spelled], publisher=publisher, now=now())

    row = DoorEntry.objects.get()
    assert (row.login, row.device_key) == (ASHA, "sec17cd1a3e9e3f2")


def test_a_name_that_two_devices_show_shuts_no_door(publisher: Publisher) -> None:
    facts = [door("shared-name", device_id=1), door("SHARED-NAME", device_id=2)]

    compiled = compile_entries(ORDER, facts, publisher=publisher, now=now())

    assert compiled.doubtful == 1
    row = DoorEntry.objects.get()
    assert not row.may_close
    assert_sealed(publisher, row)


def test_a_statement_tells_doors_the_same_as_the_same_facts_one_by_one(
    publisher: Publisher,
) -> None:
    facts = [
        door("phone-a"),
        door("Phone-B", login="ASHA@Amber.Example", device_id=2),
        door("phone-c", login="आशा@amber.example", device_id=3),
        door("phone-d", login="\uff32avi@amber.example", device_id=4, presence="absent"),
        door("70686F6E652D65", device_id=5, attested_at=now()),  # "phone-e" in hexadecimal
        door("फ़ोन", device_id=6),
        door("shared", login="ÅSA@amber.example", device_id=7),
        door("SHARED", login="åsa@amber.example", device_id=8),
        door("", device_id=9),
    ]

    one_by_one = compile_entries(ORDER, facts, publisher=publisher, now=now())
    told = list(DoorEntry.objects.order_by("login", "device_key").values())
    again = compile_entries(ORDER, as_statement(facts), publisher=publisher, now=now())
    clear(ORDER, publisher=publisher, now=now())
    compile_entries(ORDER, as_statement(facts), publisher=publisher, now=now())

    assert (one_by_one.doubtful, one_by_one.without_key) == (1, 1)
    assert (again.doubtful, again.without_key) == (1, 1)
    assert (again.written, again.removed) == (0, 0)
    anew = list(DoorEntry.objects.order_by("login", "device_key").values())
    assert [row | {"version": 0} for row in anew] == [row | {"version": 0} for row in told]
    assert len(told) == 7


def as_statement(facts: list[DoorFacts]) -> Claims:
    """Return the same as rows that the database is to fold."""
    named = ("address", "value", "place", "device_id", "person_id", "presence", "may_close")
    instants = [field.name for field in fields(EntryFacts) if field.name.endswith(("_at", "until"))]
    names = [*named, *instants]
    rows: list[str] = []
    given: dict[str, Any] = {}
    for place, each in enumerate(facts):
        entry = [getattr(each.entry, name) for name in names[5:]]
        values = [each.login, each.device, place, each.device_id, each.person_id, *entry]
        given |= {f"{name}_{place}": value for name, value in zip(names, values, strict=True)}
        casts = ["::timestamptz" if name in instants else "" for name in names]
        rows.append(
            ", ".join(f"%({n}_{place})s{cast}" for n, cast in zip(names, casts, strict=True))
        )
    listed = "), (".join(rows)
    return Claims(f"SELECT * FROM (VALUES ({listed})) AS told ({', '.join(names)})", given)


def test_a_device_without_any_name_is_counted_and_left_out(publisher: Publisher) -> None:
    compiled = compile_entries(
        ORDER, [door(""), door("x" * 301), door("phone-a")], publisher=publisher, now=now()
    )

    assert (compiled.written, compiled.without_key) == (1, 2)


def test_i_removed_it_survives_a_compilation_that_knew_nothing_of_it(publisher: Publisher) -> None:
    facts = [door("phone-a"), door("phone-a-by-mail", device_id=1)]
    compile_entries(ORDER, facts, publisher=publisher, now=now())
    said_at = now()

    assert set_attested(1, at=said_at, publisher=publisher) == 2
    assert set_attested(1, at=said_at - timedelta(hours=1), publisher=publisher) == 0
    again = compile_entries(ORDER, facts, publisher=publisher, now=now())

    assert again.written == 0
    for row in DoorEntry.objects.all():
        assert row.attested_at == said_at
        assert_sealed(publisher, row)


def test_i_removed_it_may_be_said_for_one_order_only(publisher: Publisher) -> None:
    compile_entries(ORDER, [door("phone-a")], publisher=publisher, now=now())
    compile_entries("CM-2222", [door("phone-a")], publisher=publisher, now=now())

    assert set_attested(1, at=now(), publisher=publisher, order_numbers=[ORDER]) == 1
    assert set_attested(7, at=now(), publisher=publisher) == 0


def test_an_override_written_while_entries_are_compiled_survives(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    compile_entries(ORDER, [door("phone-a")], publisher=publisher, now=now())
    until = now() + timedelta(days=2)

    sealed = entry_writes._seal

    def meanwhile(*given: Any) -> None:
        """Let somebody through after it was read that nobody is."""
        set_override(
            1, ORDER, until=until, reason="travels", by_person_id=9, publisher=publisher, now=now()
        )
        sealed(*given)

    monkeypatch.setattr(entry_writes, "_seal", meanwhile)
    facts = door("phone-a")
    changed = replace(facts, entry=replace(facts.entry, lock_accepted_at=now()))
    compile_entries(ORDER, [changed], publisher=publisher, now=now())

    assert entry_of("phone-a").override_until == until


def test_an_override_opens_survives_and_ends(publisher: Publisher) -> None:
    facts = [door("phone-a")]
    compile_entries(ORDER, facts, publisher=publisher, now=now())
    until = now() + timedelta(days=2)

    set_override(
        1, ORDER, until=until, reason="travels", by_person_id=9, publisher=publisher, now=now()
    )
    assert compile_entries(ORDER, facts, publisher=publisher, now=now()).written == 0
    assert entry_of("phone-a").override_until == until
    assert_sealed(publisher, entry_of("phone-a"))

    clear_override(1, ORDER, publisher=publisher, now=now())
    assert entry_of("phone-a").override_until is None
    assert compile_entries(ORDER, facts, publisher=publisher, now=now()).written == 0
    assert_sealed(publisher, entry_of("phone-a"))


def test_sets_of_states_are_numbered_signed_and_pruned(
    publisher: Publisher, folder: DataFolder
) -> None:
    sequences = [publish_states([order_state()], publisher=publisher) for _ in range(15)]

    assert sequences == sorted(set(sequences))
    assert PublishedState.objects.count() == 10
    states = queries.newest_states()
    assert states is not None
    assert (states.sequence, states.instance) == (sequences[-1], "of-a-test")
    assert states.orders[ORDER] == order_state()


def test_more_than_one_batch_gets_one_version_each(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("countermand.enforcement.entry_writes._BATCH", 2)
    facts = [door(f"phone-{n}", device_id=n) for n in range(5)]

    compiled = compile_entries(ORDER, facts, publisher=publisher, now=now())

    assert (compiled.written, compiled.version) == (5, 3)
    versions = DoorEntry.objects.values_list("version", flat=True)
    assert sorted(versions) == [1, 1, 2, 2, 3]
