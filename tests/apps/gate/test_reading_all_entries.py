"""Reading all entries at once says the same as reading them one change after the other."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import lmdb
import psycopg
import pytest
from django.db import connection
from pytest_django import DjangoDbBlocker

from countermand.domain.device_key import door_key
from countermand.domain.door_record import KNOWN_DEVICE, RECORD_BYTES, body_of
from countermand.domain.verdict import ORDER_BYTES, order_bytes
from countermand.enforcement.actions import DoorFacts, compile_entries
from countermand.enforcement.models import DoorEntry, FeedHead
from countermand.enforcement.queries import facts_of
from countermand.gate import feed_rows
from countermand.gate.counts import Counts
from countermand.gate.feed import Source
from countermand.gate.feed_entries import EntriesFollower
from countermand.gate.machine_time import ThisMachine
from countermand.gate.table import FeedRow, Table
from tests.apps.gate.test_gate_process import database_url
from tests.gate_world import ASHA, ORDER, door, make_folder, now, publisher
from tests.unit.test_gate_order_states import ToldTime

OTHER = "CM-2K7Q"


@pytest.fixture(autouse=True)
def committed(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Really commit, and empty these tables only."""
    with django_db_blocker.unblock():
        yield
        for each in (DoorEntry, FeedHead):
            each.objects.all().delete()
        connection.close()


@pytest.fixture
def entries(tmp_path: Path) -> None:
    """Doors of every kind: shut, excused, only known, of two orders at once, of Hindi, and gone."""
    hand = publisher(make_folder(tmp_path / "data"))
    known = DoorFacts(login=ASHA, device="only-known", device_id=9, person_id=1, entry=KNOWN_DEVICE)
    first = [
        door("phone-a"),
        door("phone-b", presence="absent", noticed_at=None, lock_accepted_at=None),
        door("phone-c", override_until=now() + timedelta(hours=4), attested_at=now()),
        door("phone-d", login="आशा@amber.example", evidence_at=None, fresh_until=None),
        door("phone-gone", may_close=False),
    ]
    compile_entries(ORDER, first, publisher=hand, now=now())
    compile_entries(ORDER, first[:-1], publisher=hand, now=now())
    compile_entries("", [known], publisher=hand, now=now())
    second = [door("phone-a", order_number=OTHER), door("phone-e", order_number=OTHER)]
    compile_entries(OTHER, second, publisher=hand, now=now())


def read(how: str) -> list[FeedRow | None]:
    with psycopg.connect(database_url()) as source:
        if how == "at once":
            return list(feed_rows.everything(source))
        return feed_rows.changed(source, 0, 0, 1000).rows


def test_both_ways_read_the_same_entries(entries: None) -> None:
    at_once, one_by_one = read("at once"), read("one by one")

    assert len(at_once) == 7
    assert None not in at_once
    standing = [each for each in _all(one_by_one) if each.record is not None]
    assert sorted(_all(at_once), key=str) == sorted(standing, key=str)


def test_the_database_writes_records_as_the_domain_does(entries: None) -> None:
    DoorEntry.objects.filter(device_key="phone-e").update(
        presence="unobservable", closes_at=datetime(1969, 12, 31, 23, 59, 59, 7, tzinfo=UTC)
    )

    standing = {(each.door, each.order_number): each.record for each in _all(read("at once"))}

    rows = list(DoorEntry.objects.filter(deleted=False))
    assert standing == {
        (door_key(row.login, row.device_key), row.order_number): (
            body_of(facts_of(row)) + bytes.fromhex(row.checksum)
        )
        for row in rows
    }
    assert {row.presence for row in rows} == {"present", "absent", "unknown", "unobservable"}


def test_both_ways_leave_the_same_table(entries: None, tmp_path: Path) -> None:
    at_once, step_by_step = Table(tmp_path / "at-once"), Table(tmp_path / "step-by-step")
    step_by_step.apply([FeedRow(b"x" * 16, ORDER, None)], version=1, row_id=1)
    at_once.replace_all(_all(read("at once")), version=9, row_id=9)
    step_by_step.apply(_all(read("one by one")), version=9, row_id=9)

    assert at_once.place() == step_by_step.place()
    for door_of, _, _ in _all(read("one by one")):
        mine, theirs = at_once.stored(door_of), step_by_step.stored(door_of)
        assert sorted(mine or b"") == sorted(theirs or b"")
    at_once.close()
    step_by_step.close()


def test_a_change_touches_the_record_of_its_own_order_alone(tmp_path: Path) -> None:
    def record(number: str, filling: bytes) -> bytes:
        return order_bytes(number) + filling * (RECORD_BYTES - ORDER_BYTES)

    # One that holds the other order's number where no number stands.
    misleading = order_bytes(OTHER) + (b"x" + order_bytes(ORDER) * 9)[: RECORD_BYTES - ORDER_BYTES]
    table, key = Table(tmp_path / "table"), b"k" * 16
    first = [FeedRow(key, "", record("", b"\0")), FeedRow(key, OTHER, misleading)]
    table.apply([*first, FeedRow(key, ORDER, record(ORDER, b"a"))], version=1, row_id=1)

    table.apply([FeedRow(key, ORDER, record(ORDER, b"b"))], version=2, row_id=1)
    changed = table.stored(key)
    table.apply([FeedRow(key, ORDER, None), FeedRow(key, OTHER, None)], version=3, row_id=1)

    assert changed == record("", b"\0") + misleading + record(ORDER, b"b")
    assert table.stored(key) == record("", b"\0")
    assert table.place().count == 1
    assert table.place().folded == 0
    table.apply([FeedRow(key, "", None)], version=4, row_id=1)
    assert table.stored(key) is None
    assert table.place().count == 0
    table.close()


def test_a_row_that_nobody_could_have_sealed_is_left_out(entries: None) -> None:
    DoorEntry.objects.filter(device_key="phone-b").update(checksum="no seal")

    rows = read("at once")

    assert rows.count(None) == 1
    assert len(rows) == 7


def test_how_many_wait_is_counted_up_to_a_bound(entries: None) -> None:
    with psycopg.connect(database_url()) as source:
        everything = feed_rows.waiting(source, 0, 0, 1000)
        assert everything == DoorEntry.objects.count()
        assert feed_rows.waiting(source, 0, 0, 3) == 3
        last: Any = DoorEntry.objects.order_by("version", "id").last()
        assert feed_rows.waiting(source, last.version, last.id, 1000) == 0


def _all(rows: list[FeedRow | None]) -> list[FeedRow]:
    return [each for each in rows if each is not None]


class SpoiltTable(Table):
    """A table whose pages the disk has spoiled: nothing can be changed in it."""

    def apply(self, rows: Iterable[FeedRow], *, version: int, row_id: int) -> None:
        del rows, version, row_id
        raise lmdb.CorruptedError("Located page was wrong type")


def test_a_damaged_table_is_read_anew_and_counted(entries: None, tmp_path: Path) -> None:
    counts, table = Counts(), SpoiltTable(tmp_path / "table")
    source = Source(url=database_url, poll_s=1.0, counts=counts)
    follower = EntriesFollower(source, table=table, time=ThisMachine())

    with psycopg.connect(database_url(), autocommit=True) as connection:
        follower.look(connection)

    assert table.place().count == 7
    assert counts.get("doubts", kind="table_damaged") == 1
    table.close()


def test_a_row_that_nobody_understands_stops_no_tally_and_is_not_read_again_and_again(
    entries: None, tmp_path: Path
) -> None:
    DoorEntry.objects.filter(device_key="phone-b").update(checksum="no seal")
    DoorEntry.objects.filter(device_key="phone-c").update(checksum="ab")
    counts, table, time = Counts(), Table(tmp_path / "table"), ToldTime()
    source = Source(url=database_url, poll_s=1.0, counts=counts)
    follower = EntriesFollower(source, table=table, time=time)

    with psycopg.connect(database_url(), autocommit=True) as connection:
        for _ in range(5):
            follower.look(connection)
            time.passes(61)
        assert table.place().count == 5
        assert counts.get("feed", outcome="read_anew") == 0

        # What is really missing is still found by it.
        DoorEntry.objects.filter(device_key="phone-b").update(checksum="0" * 32)
        follower.look(connection)

    assert table.place().count == 6
    assert counts.get("feed", outcome="read_anew") == 1
    table.close()
