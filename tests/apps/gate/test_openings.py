"""A gate that is cut off from the database opens a device as soon as it is told of it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction

from countermand.data_folder import DataFolder
from countermand.domain.device_key import door_key
from countermand.domain.door_record import body_of, seal
from countermand.domain.verdict import EntryFacts
from countermand.enforcement import openings
from countermand.enforcement.actions import (
    clear_override,
    compile_entries,
    publish_states,
    set_attested,
    set_override,
)
from countermand.gate.openings import MOST, Opening, Openings, Outcome, read, to_json
from countermand.gate.table import FeedRow, Table
from countermand.stop.gates import GateAnswer
from tests.apps.gate.test_gate_process import database_url
from tests.gate_world import (
    ASHA,
    ORDER,
    TOKEN,
    RunningGate,
    door,
    make_folder,
    now,
    order_state,
    publisher,
    running_gate,
    shutting_facts,
)

pytestmark = pytest.mark.usefixtures("committed_doors")

HOUR = timedelta(hours=1)
PHONES = ("phone-a", "phone-b")


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    """A data folder of a gate that shuts two devices, and has no database any more."""
    made = make_folder(tmp_path / "data")
    doors = [door(name, device_id=n) for n, name in enumerate(PHONES, 1)]
    compile_entries(ORDER, doors, publisher=publisher(made), now=now())
    publish_states([order_state()], publisher=publisher(made))
    with running_gate(made, database_url=database_url()) as gate:
        gate.until("shut", lambda: all(map(gate.is_paused, PHONES)))
        gate.until("known", lambda: gate.control("GET", "/ready")[1]["follows_entries"])
    return made


def let_through(folder: DataFolder, device_id: int = 1) -> None:
    set_override(
        device_id, ORDER, until=now() + HOUR, reason="…", by_person_id=9,
        publisher=publisher(folder), now=now(),
    )  # fmt: skip


def tell(*gates: RunningGate, device_id: int = 1, token: str = TOKEN) -> list[GateAnswer]:
    urls = [f"http://127.0.0.1:{gate.control_port}" for gate in gates]
    return list(openings.tell(device_id, [ORDER], gates=urls, token=token))


@pytest.mark.parametrize("way", ["override", "removed"])
def test_without_a_database_it_opens_that_device_alone_and_knows_it_after_a_kill(
    folder: DataFolder, way: str
) -> None:
    with running_gate(folder) as gate:
        if way == "override":
            let_through(folder)
        else:
            set_attested(1, at=now(), publisher=publisher(folder))
        assert gate.is_paused("phone-a")

        [said] = tell(gate)

        assert said.acknowledged
        assert not gate.is_paused("phone-a")
        assert gate.is_paused("phone-b")
        gate.kill()
    with running_gate(folder) as again:
        assert not again.is_paused("phone-a")


@contextmanager
def frozen_feed() -> Iterator[None]:
    """Keep every follower waiting for the database, and what is written here unseen until the end.

    As one that hangs: connections stand, and nothing is answered.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "LOCK TABLE enforcement_doorentry, enforcement_feedhead IN ACCESS EXCLUSIVE MODE"
        )
        yield


def test_two_gates_on_one_folder_open_with_a_frozen_database_and_agree_with_it_later(
    folder: DataFolder,
) -> None:
    url = database_url()
    with running_gate(folder, database_url=url) as first:
        first.until("followed", lambda: first.control("GET", "/ready")[1]["follows_entries"])
        with running_gate(folder, database_url=url) as second, frozen_feed():
            let_through(folder)
            assert [first.is_paused("phone-a"), second.is_paused("phone-a")] == [True, True]

            assert [each.acknowledged for each in tell(first, second)] == [True, True]

            assert [first.is_paused("phone-a"), second.is_paused("phone-a")] == [False, False]
            assert first.is_paused("phone-b")
    with running_gate(folder, database_url=url) as again:
        again.until("followed", lambda: again.control("GET", "/ready")[1]["follows_entries"])
        assert not again.is_paused("phone-a")
        assert 'outcome="read_anew"' not in again.ask("GET", "/metrics", control=True)[1].decode()
        clear_override(1, ORDER, publisher=publisher(folder), now=now())
        again.until("shut", lambda: again.is_paused("phone-a"))


def test_one_that_knows_by_the_feed_says_yes_and_one_with_another_token_says_no(
    folder: DataFolder,
) -> None:
    with running_gate(folder, database_url=database_url()) as gate:
        let_through(folder)
        gate.until("open", lambda: not gate.is_paused("phone-a"))

        assert tell(gate)[0].acknowledged
        assert not tell(gate, token="another")[0].acknowledged


def test_what_is_none_changes_nothing(folder: DataFolder) -> None:
    with running_gate(folder) as gate:
        let_through(folder)
        [good] = openings.of_device(1, [ORDER])
        forged = replace(good, record=good.record[:-1] + bytes([good.record[-1] ^ 1]))
        elsewhere = replace(good, door=door_key(ASHA, "phone-b"))
        bodies: list[Any] = [
            json.loads(to_json(told))
            for told in ([forged], [elsewhere], [good] * (MOST + 1), [replace(good, version=0)], [])
        ]
        bodies += [{"openings": [[1, 2, 3]]}, {"openings": "x"}, [], {"pad": "x" * 20_000}]
        bodies.append({**json.loads(to_json([good])), "pad": "x" * 20_000})

        assert [gate.control("POST", "/open", each)[0] for each in bodies] == [400] * len(bodies)

        assert all(map(gate.is_paused, PHONES))


# -- what a gate takes over of a record -----------------------------------------------------------


KEY = b"k" * 32
DOOR = door_key(ASHA, "phone-a")


def record(**changed: Any) -> bytes:
    facts = shutting_facts()
    body = body_of(EntryFacts(**{**{n: getattr(facts, n) for n in facts.__slots__}, **changed}))
    return body + seal(KEY, DOOR, body)


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    opened = Table(tmp_path / "table")
    yield opened
    opened.close()


def test_what_shuts_is_not_taken_over(table: Table) -> None:
    absent = record(presence="absent")
    table.apply([FeedRow(DOOR, ORDER, absent)], version=5, row_id=1)
    told = Opening(DOOR, record(closes_at=now() - 5 * HOUR, override_until=now() + HOUR), 6)

    assert Openings(table, KEY).take([told]) is Outcome.OPEN

    stored = table.stored(DOOR) or b""
    assert stored[:30] == absent[:30]  # order, presence and evidence as they were
    place = table.place()
    assert (place.version, place.row_id, place.count) == (5, 1, 1)
    assert place.folded == int.from_bytes(stored[-16:-8], "big", signed=True)


def test_an_opening_is_never_shortened_nor_taken_over_once_the_feed_is_past_it(
    table: Table,
) -> None:
    long = record(override_until=now() + 9 * HOUR)
    table.apply([FeedRow(DOOR, ORDER, long)], version=5, row_id=1)
    taking = Openings(table, KEY)

    taking.take([Opening(DOOR, record(override_until=now() + HOUR), 6)])
    assert table.stored(DOOR) == long
    taking.take([Opening(DOOR, record(override_until=now() + 99 * HOUR), 5)])
    assert table.stored(DOOR) == long


def test_a_stored_record_that_nobody_sealed_is_not_made_genuine(table: Table) -> None:
    changed = record()[:-1] + b"x"
    table.apply([FeedRow(DOOR, ORDER, changed)], version=5, row_id=1)

    Openings(table, KEY).take([Opening(DOOR, record(override_until=now() + HOUR), 6)])

    assert table.stored(DOOR) == changed


def test_a_door_that_it_does_not_know_stays_unknown(table: Table) -> None:
    told = Opening(DOOR, record(override_until=now() + HOUR), 6)

    assert Openings(table, KEY).take([told]) is Outcome.OPEN
    assert table.stored(DOOR) is None


def test_as_many_as_fit_are_read_as_they_were_written() -> None:
    told = [Opening(DOOR, record(), n) for n in range(1, MOST + 1)]

    body = to_json(told)

    assert read(body) == told
    assert len(body) < 16 * 1024
