"""A disk that takes nothing keeps no door shut longer than a gate that is cut off would."""

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import lmdb
import psycopg
import pytest

from countermand.data_folder import DataFolder, FileDamaged
from countermand.enforcement.actions import compile_entries, publish_states, set_attested
from countermand.gate import keys
from countermand.gate.counts import Counts
from countermand.gate.damage_note import DamageNote
from countermand.gate.feed import Source, StatesFollower
from countermand.gate.feed_entries import EntriesFollower
from countermand.gate.order_states import OrderStates
from countermand.gate.table import Table
from countermand.stop.fence import TAKEN_BACK_EPOCH, Fence
from lab.ground import until
from tests.apps.gate.test_damaged_table import spoil_place
from tests.apps.gate.test_gate_process import database_url, shown
from tests.apps.gate.test_gate_workers import PHONE, a_line_to_each, crew_of, status
from tests.gate_world import (
    ORDER,
    RunningGate,
    door,
    make_folder,
    now,
    order_state,
    publisher,
    running_gate,
)
from tests.unit.test_gate_order_states import ToldTime

pytestmark = pytest.mark.usefixtures("committed_doors")
INFINITE = resource.RLIM_INFINITY


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    folder = make_folder(tmp_path / "data")
    compile_entries(ORDER, [door(PHONE)], publisher=publisher(folder), now=now())
    publish_states([order_state()], publisher=publisher(folder))
    return folder


@contextmanager
def nothing_can_be_written(*gates: RunningGate) -> Iterator[None]:
    """Let the system refuse every write of these gates, the log included, as a full disk does."""
    pids = [each.process.pid for each in gates]
    pids += [worker["pid"] for each in gates for worker in crew_of(each)]
    with nothing_is_written_by(*pids):
        yield


@contextmanager
def nothing_is_written_by(*pids: int) -> Iterator[None]:
    for pid in pids:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, INFINITE))
    try:
        yield
    finally:
        for pid in pids:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (INFINITE, INFINITE))


def test_a_new_list_of_orders_reaches_every_process_of_every_gate(folder: DataFolder) -> None:
    with (
        running_gate(folder, database_url=database_url(), workers=2) as gate,
        running_gate(folder, database_url=database_url()) as second,
        a_line_to_each(gate, 2) as lines,
    ):
        gate.until("all shut", lambda: {status(each) for each in lines} == {403})
        second.until("shut", lambda: second.active_sync(PHONE) == 403)
        second.until("follows", lambda: second.control("GET", "/ready")[1]["follows_states"])
        with nothing_can_be_written(gate, second):
            publish_states([order_state(withdrawn=True)], publisher=publisher(folder))

            gate.until("all open", lambda: {status(each) for each in lines} == {204})
            second.until("open", lambda: second.active_sync(PHONE) == 204)
            gate.until("shown", lambda: gate.control("GET", "/ready")[1]["disk_refuses"])
            assert 'disk_refusals_total{what="orders"}' in shown(gate)


def test_a_stop_is_heard_and_acknowledged_as_one_that_is_not_written_down(
    folder: DataFolder,
) -> None:
    fence = Fence(ORDER, TAKEN_BACK_EPOCH, withdrawn=True, at=now(), by=1, because="a mistake")
    with running_gate(folder, database_url=database_url()) as gate:
        gate.until("shut", lambda: gate.active_sync(PHONE) == 403)
        with nothing_can_be_written(gate):
            status, said = gate.ask("POST", "/stop", body=fence.to_json(), control=True)

        assert status == 200
        assert b'"durable": false' in said
        assert gate.active_sync(PHONE) == 204


def test_a_change_of_doors_for_which_there_is_no_room_is_counted_and_is_no_damage(
    folder: DataFolder,
) -> None:
    with running_gate(folder, database_url=database_url()) as gate:
        gate.until("shut", lambda: gate.active_sync(PHONE) == 403)
        with nothing_can_be_written(gate):
            set_attested(1, at=now(), publisher=publisher(folder))
            gate.until("counted", lambda: 'disk_refusals_total{what="entries"}' in shown(gate))
            assert gate.active_sync(PHONE) == 403
            # Nothing is set aside, and all is not read again and again.
            assert "table_damaged" not in shown(gate)
            assert 'outcome="read_anew"' not in shown(gate)


def test_what_is_known_of_doors_is_taken_over_once_there_is_room_again(
    folder: DataFolder, tmp_path: Path
) -> None:
    time, table = ToldTime(), Table(tmp_path / "table")
    source = Source(url=database_url, poll_s=1.0, counts=Counts())
    follower = EntriesFollower(source, table=table, time=time)
    with psycopg.connect(database_url(), autocommit=True) as connection:
        follower.look(connection)
        before = table.place()
        with nothing_is_written_by(os.getpid()):
            set_attested(1, at=now(), publisher=publisher(folder))
            follower.look(connection)
        assert follower.disk_refuses
        assert table.place() == before

        time.passes(9)
        follower.look(connection)
        assert table.place() == before  # it is not tried again at each look
        time.passes(1)
        follower.look(connection)

        assert table.place().version > before.version
        assert not follower.disk_refuses
    table.close()


class TableOnAFullDisk(Table):
    """A table whose disk has no room."""

    def require_room(self, size: int | None = None) -> None:
        raise OSError(28, "No space left on device")


def test_who_cannot_write_reads_nothing_in_vain(folder: DataFolder, tmp_path: Path) -> None:
    time, table = ToldTime(), TableOnAFullDisk(tmp_path / "table")
    counts = Counts()
    source = Source(url=database_url, poll_s=1.0, counts=counts)
    follower = EntriesFollower(source, table=table, time=time)
    reads = []

    def refuse(*args: object, **kwargs: object) -> None:
        reads.append(args)
        raise lmdb.Error("mdb_txn_commit: Input/output error")

    table.apply = refuse  # type: ignore[method-assign]
    with psycopg.connect(database_url(), autocommit=True) as connection:
        for _ in range(60):
            follower.look(connection)
            time.passes(1)

    assert len(reads) == 1
    assert counts.get("disk_refusals", what="entries") == 6
    assert counts.get("doubts") == 0
    table.close()


@pytest.mark.parametrize(
    ("number", "refused"),
    [
        (errno.ENOSPC, True),
        (errno.EDQUOT, True),
        (errno.EROFS, True),
        (errno.EIO, True),
        (errno.EFBIG, True),
        (errno.EMFILE, False),
        (errno.ENOENT, False),
    ],
)
def test_only_a_disk_that_takes_nothing_is_called_one_and_spared(
    folder: DataFolder, tmp_path: Path, number: int, *, refused: bool
) -> None:
    table, counts = Table(tmp_path / "table"), Counts()
    source = Source(url=database_url, poll_s=1.0, counts=counts)
    follower = EntriesFollower(source, table=table, time=ToldTime())

    def fail(*args: object, **kwargs: object) -> None:
        raise OSError(number, os.strerror(number))

    table.apply = fail  # type: ignore[method-assign]
    with psycopg.connect(database_url(), autocommit=True) as connection:
        if refused:
            follower.look(connection)
        else:
            with pytest.raises(OSError, match=os.strerror(number)):
                follower.look(connection)

    assert follower.disk_refuses is refused
    assert counts.get("disk_refusals", what="entries") == int(refused)
    table.close()


@pytest.mark.parametrize(("number", "refused"), [(errno.ENOSPC, True), (errno.EMFILE, False)])
def test_a_list_of_orders_that_is_not_written_for_another_reason_is_no_full_disk(
    folder: DataFolder, tmp_path: Path, number: int, *, refused: bool
) -> None:
    time, counts, table = ToldTime(now_ms=now_ms()), Counts(), Table(tmp_path / "table")
    states = OrderStates(
        keys=keys.GateKeys.load(folder.keys), instance=folder.instance_id, time=time
    )

    def fail(*args: object, **kwargs: object) -> None:
        raise OSError(number, os.strerror(number))

    states.remember = fail  # type: ignore[method-assign]
    follower = StatesFollower(
        Source(url=database_url, poll_s=1.0, counts=counts),
        states=states,
        table=table,
        time=time,
        snapshot=tmp_path / "states.json",
        writes=lambda: True,
        ring=lambda told: None,
    )
    with psycopg.connect(database_url(), autocommit=True) as connection:
        follower.look(connection)

    assert states.facts()
    assert follower.disk_refuses is refused
    assert counts.get("disk_refusals", what="orders") == int(refused)
    table.close()


@pytest.mark.parametrize("spoilt", ["", "page", "text"], ids=["sound", "page", "text"])
def test_doors_that_learn_nothing_for_as_long_as_a_list_is_good_open(
    folder: DataFolder, tmp_path: Path, spoilt: str
) -> None:
    time, table = ToldTime(now_ms=0), Table(tmp_path / "table")
    table.apply((), version=0, row_id=0)
    if spoilt:  # it cannot be read how far it has come
        spoil_place(tmp_path / "table", spoilt)
    states = OrderStates(
        keys=keys.GateKeys.load(folder.keys), instance=folder.instance_id, time=time
    )
    rung: list[bytes] = []
    counts = Counts()
    follower = StatesFollower(
        Source(url=database_url, poll_s=1.0, counts=counts),
        states=states,
        table=table,
        time=time,
        snapshot=tmp_path / "states.json",
        writes=lambda: True,
        ring=rung.append,
    )
    with psycopg.connect(database_url(), autocommit=True) as connection:

        def look() -> bool:
            """Look right after a new list was published, as the worker does each half minute."""
            publish_states([order_state()], publisher=publisher(folder))
            time.now_ms = now_ms()
            follower.look(connection)
            return bool(states.facts())

        follower.look(connection)
        assert look()
        time.boot_ms += 899_000
        assert look()
        time.boot_ms += 1_000
        assert not look()
        assert counts.get("doubts", kind="entries_too_old") == 1
        assert b'"entries_too_old": true' in rung[-1]

        table.replace_file((), version=99, row_id=1)
        assert look()
        assert b'"entries_too_old": false' in rung[-1]
    table.close()


def test_damage_that_another_gate_met_is_known_until_it_is_healed(
    folder: DataFolder, tmp_path: Path
) -> None:
    time, table, counts = ToldTime(), Table(tmp_path / "table"), Counts()
    note = DamageNote(tmp_path / "damage-met")
    note.tell(1)
    source = Source(url=database_url, poll_s=1.0, counts=counts)
    follower = EntriesFollower(source, table=table, time=time, met_elsewhere=note)
    replace_all = table.replace_all

    def fail(*args: object, **kwargs: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with psycopg.connect(database_url(), autocommit=True) as connection:
        table.replace_all = fail  # type: ignore[method-assign]
        follower.look(connection)
        assert note.is_there()

        table.replace_all = replace_all  # type: ignore[method-assign]
        time.passes(10)
        follower.look(connection)
        assert not note.is_there()
        assert table.place().count == 1
    assert counts.get("feed", outcome="read_anew") == 2
    table.close()


def now_ms() -> int:
    return int(now().timestamp() * 1000)


def test_a_follower_outlives_an_address_that_cannot_be_read(
    folder: DataFolder, tmp_path: Path
) -> None:
    given = [FileDamaged(path="up.json", why="it is being written"), OSError(24, "Too many files")]
    counts, table = Counts(), Table(tmp_path / "table")

    def url() -> str:
        if given:
            raise given.pop()
        return database_url()

    source = Source(url=url, poll_s=0.01, counts=counts)
    follower = EntriesFollower(source, table=table, time=ToldTime())
    follower.start()
    try:
        until("it follows", lambda: follower.follows)
    finally:
        follower.stop()
    assert counts.get("feed", outcome="lost") == 2
    table.close()
