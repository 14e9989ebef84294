"""One rings and the others hear it once; what was told lies beside it."""

import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from countermand import environment
from countermand.data_folder import DataFolder, write_json
from countermand.gate import keys
from countermand.gate.answering import Answering
from countermand.gate.bell import MOST_STATES, Bell, Heard
from countermand.gate.counts import Counts
from countermand.gate.crew import Crew, Worker, add_report, report
from countermand.gate.down_logs import DownLogs
from countermand.gate.machine_time import ThisMachine
from countermand.gate.unknown_clients import UnknownClients
from countermand.stop.fence import Fence

FENCE = Fence(
    "CM-7Q4K", 3, withdrawn=False, at=datetime(2026, 7, 10, tzinfo=UTC), by=1, because="?"
)


def test_a_bell_is_heard_once_by_each_with_what_was_told() -> None:
    bell = Bell()
    others = [Bell(os.dup(bell.file)), Bell(os.dup(bell.file))]
    assert not any(each.has_rung() for each in others)

    bell.ring([FENCE])

    for each in others:
        assert each.has_rung()
        assert each.heard() == Heard((FENCE,), look=False)
        assert not each.has_rung()
        assert each.heard() == Heard((), look=False)


def test_whoever_hears_late_hears_every_stop_and_each_once() -> None:
    bell = Bell()
    prompt, late = Bell(os.dup(bell.file)), Bell(os.dup(bell.file))
    stops = [replace(FENCE, stopped_epoch=epoch) for epoch in range(1, 9)]

    heard_promptly: list[Fence] = []
    for stop in stops:
        bell.ring([stop])
        heard_promptly += prompt.heard().stops
        bell.ring()

    assert heard_promptly == stops
    assert list(late.heard().stops) == stops


def test_who_is_sent_to_the_folder_looks_there_once() -> None:
    bell = Bell()
    other = Bell(os.dup(bell.file))

    bell.ring(look=True)

    assert other.has_rung()
    assert other.heard() == Heard((), look=True)
    assert other.heard() == Heard((), look=False)


def test_where_the_memory_is_full_the_folder_is_looked_at_and_the_newest_stop_is_told() -> None:
    bell = Bell()
    other = Bell(os.dup(bell.file))
    for _ in range(20):
        bell.ring([FENCE] * 500)
    other.heard()

    newest = replace(FENCE, stopped_epoch=9)
    told = 0
    while not (heard := other.heard()).look:
        bell.ring([*[FENCE] * 499, newest])
        told += 1
        assert told < 100

    assert heard.stops[-1] == newest


def test_more_stops_than_the_memory_holds_still_ring() -> None:
    bell = Bell()
    other = Bell(os.dup(bell.file))

    bell.ring([FENCE] * 10_000)

    assert other.has_rung()
    assert other.heard() == Heard((), look=True)


def test_the_newest_list_of_orders_is_heard_once_by_each() -> None:
    bell = Bell()
    other, late = Bell(os.dup(bell.file)), Bell(os.dup(bell.file))

    bell.ring(states=b"first")
    assert other.heard() == Heard((), look=False, states=b"first")
    bell.ring([FENCE])
    assert other.heard() == Heard((FENCE,), look=False)
    bell.ring(states=b"2nd")

    assert other.heard().states == b"2nd"
    assert late.heard() == Heard((FENCE,), look=False, states=b"2nd")


def test_a_list_that_is_too_long_is_left_to_the_disk() -> None:
    bell = Bell()
    other = Bell(os.dup(bell.file))

    bell.ring(states=b"x" * (MOST_STATES + 1))

    assert other.has_rung()
    assert other.heard() == Heard((), look=False, on_disk=True)
    bell.ring([FENCE])
    assert other.heard() == Heard((FENCE,), look=False)


def test_only_a_list_that_is_on_the_disk_alone_is_read_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = DataFolder(tmp_path)
    for each in folder.folders:
        each.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_json(folder.instance, {"instance_id": "of-a-test", "kind": "production"})
    keys.make(folder.keys)
    bell, read = Bell(), list[Path]()
    further = Answering(
        environment.load(data=tmp_path), time=ThisMachine(), bell=Bell(os.dup(bell.file))
    )
    further.snapshot.write_bytes(b"{}")
    monkeypatch.setattr(further.states, "recall", read.append)

    bell.ring([FENCE], look=True, states=b"a list")
    further.hear()
    assert further.states.fences() == (FENCE,)
    assert not read

    bell.ring(states=b"x" * (MOST_STATES + 1))
    further.hear()
    assert read == [further.snapshot]
    further.table.close()


def test_what_a_process_counted_is_added_once() -> None:
    first, further, saw = Counts(), Counts(), UnknownClients()
    further.add("answers", door="webmail", answer="open")
    assert add_report(first, saw, report(further, saw, 7)) == 7
    further.add("answers", door="webmail", answer="open")
    add_report(first, saw, report(further, saw, 7))
    add_report(first, saw, report(further, saw, 7))

    assert first.get("answers", door="webmail") == 2


def test_a_process_that_cannot_be_started_ends_nothing_and_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[Worker] = []

    def no_room(self: Worker) -> None:
        tried.append(self)
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(Worker, "start", no_room)
    crew = Crew(Path("data"), Bell(), Counts(), UnknownClients())

    crew.start(2, 8481)
    crew.look_after()

    assert len(tried) == 4
    assert crew.situation() == []


def test_lines_of_a_proxy_that_met_no_gate_are_counted_also_after_the_log_is_turned_over(
    tmp_path: Path,
) -> None:
    log, counts = tmp_path / "down.log", Counts()
    watch = DownLogs([log, tmp_path / "missing.log"], counts)
    log.write_bytes(b"one\ntwo\nhalf")
    watch.look()
    watch.look()
    assert counts.get("gate_down_answers", log="down.log") == 2

    with log.open("ab") as more:
        more.write(b" a line\n")
    watch.look()
    assert counts.get("gate_down_answers") == 3

    log.rename(tmp_path / "down.log.1")
    log.write_bytes(b"four\n")
    watch.look()
    assert counts.get("gate_down_answers") == 4


def test_no_line_of_a_proxy_is_counted_again_by_the_next_gate(tmp_path: Path) -> None:
    log, kept = tmp_path / "down.log", tmp_path / "down-logs.json"
    log.write_bytes(b"one\ntwo\nhalf")
    its_counts = Counts()
    waiting = DownLogs([log], its_counts, kept)  # a second gate on the folder, which takes over
    DownLogs([log], Counts(), kept).look()
    with log.open("ab") as more:
        more.write(b" a line\n")

    again = Counts()
    DownLogs([log], again, kept).look()
    waiting.look()

    assert again.get("gate_down_answers") == 1
    assert its_counts.get("gate_down_answers") == 0


@pytest.mark.parametrize("said", [b"", b"[]", b'{"LOG": 7}', b'{"LOG": ["a", 2]}', b"\xff"])
def test_a_place_that_cannot_be_read_is_the_start(tmp_path: Path, said: bytes) -> None:
    log, kept, counts = tmp_path / "down.log", tmp_path / "down-logs.json", Counts()
    log.write_bytes(b"one\ntwo\n")
    kept.write_bytes(said.replace(b"LOG", str(log).encode()))

    DownLogs([log], counts, kept).look()

    assert counts.get("gate_down_answers") == 2


def test_a_disk_that_takes_nothing_keeps_no_line_from_being_counted(tmp_path: Path) -> None:
    log, counts = tmp_path / "down.log", Counts()
    log.write_bytes(b"one\n")

    DownLogs([log], counts, tmp_path / "no-folder" / "down-logs.json").look()

    assert counts.get("gate_down_answers") == 1


def test_a_log_that_cannot_be_read_is_told_apart_from_one_that_is_not_there(tmp_path: Path) -> None:
    no_log = tmp_path / "a-folder.log"
    no_log.mkdir()
    watch = DownLogs([no_log, tmp_path / "missing.log"], Counts())

    watch.look()
    assert watch.unreadable == 1

    no_log.rmdir()
    no_log.write_bytes(b"one\n")
    watch.look()
    assert watch.unreadable == 0


def test_numbers_are_shown_whole() -> None:
    shown = Counts().exposition({"entries": 1234567.0, "states_age_s": 0.25}).decode()

    assert "countermand_gate_entries 1234567.0" in shown.splitlines()
    assert "countermand_gate_states_age_s 0.25" in shown.splitlines()
