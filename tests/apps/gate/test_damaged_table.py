"""Pages that the disk spoilt open doors, are counted, and are healed while the gate answers.

So it is with a table that another version of the gate wrote in another form.
"""

import re
import shutil
from contextlib import closing
from pathlib import Path

import lmdb
import pytest

from countermand.data_folder import DataFolder
from countermand.enforcement.actions import compile_entries, publish_states, set_attested
from tests.apps.gate.test_gate_process import database_url
from tests.apps.gate.test_gate_workers import PHONE, a_line_to_each, status
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
from tests.table_forms import OTHER_FORMS, write_in_another_form

PAGE = 4096
BRANCH, LEAF = 1, 2


pytestmark = pytest.mark.usefixtures("committed_doors")


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    """A folder with so many doors that the table's pages lie in two levels."""
    folder = make_folder(tmp_path / "data")
    doors = [door(PHONE), *(door(f"phone-{number}") for number in range(300))]
    compile_entries(ORDER, doors, publisher=publisher(folder), now=now())
    publish_states([order_state()], publisher=publisher(folder))
    with running_gate(folder, database_url=database_url()) as gate:
        gate.until("shut", lambda: gate.active_sync(PHONE) == 403)
    return folder


def spoil(folder: DataFolder, kind: int) -> None:
    """Write noughts over every page of one kind that holds entries; the length stays."""
    path = folder.gate / "table" / "data.mdb"
    content = bytearray(path.read_bytes())
    spoilt = 0
    for start in range(2 * PAGE, len(content), PAGE):
        is_full = int.from_bytes(content[start + 12 : start + 14], "little") > 40
        if content[start + 10] == kind and (kind == BRANCH or is_full):
            content[start : start + PAGE] = bytes(PAGE)
            spoilt += 1
    assert spoilt
    with path.open("r+b") as file:  # in its place: a gate may have it open
        file.write(content)


def spoil_place(table: Path, how: str) -> None:
    """Spoil, in its place, what says how far a table has come: the page of it, or its text."""
    path = table / "data.mdb"
    content = bytearray(path.read_bytes())
    spoilt = 0
    for start in range(2 * PAGE, len(content), PAGE):
        found = content.find(b'place{"version"', start, start + PAGE)
        if found < 0:
            continue
        spoilt += 1
        if how == "page":
            content[start : start + PAGE] = bytes(PAGE)
        else:
            content[found : found + 6] = b"place["
    assert spoilt
    with path.open("r+b") as file:
        file.write(content)


def damage_counted(gate: RunningGate) -> int:
    shown = gate.ask("GET", "/metrics", control=True)[1].decode()
    return sum(map(int, re.findall(r'doubts_total{kind="table_damaged"} (\d+)', shown)))


@pytest.mark.parametrize("kind", [BRANCH, LEAF], ids=["branch", "leaf"])
def test_a_table_that_was_damaged_while_nobody_read_it_is_filled_anew_without_a_hand(
    folder: DataFolder, kind: int
) -> None:
    spoil(folder, kind)

    with running_gate(folder) as cut_off:
        assert cut_off.active_sync(PHONE) == 204
        assert damage_counted(cut_off) == 1
    with running_gate(folder, database_url=database_url()) as gate:
        gate.until("shut", lambda: gate.active_sync(PHONE) == 403)
        assert gate.control("GET", "/ready")[1]["entries"] == 301
    with running_gate(folder) as again:
        assert again.active_sync(PHONE) == 403
        assert damage_counted(again) == 0


@pytest.mark.parametrize("kind", [BRANCH, LEAF], ids=["branch", "leaf"])
def test_every_process_reads_what_is_put_in_the_place_of_a_damaged_table(
    folder: DataFolder, kind: int
) -> None:
    with (
        running_gate(folder, database_url=database_url(), workers=2) as gate,
        a_line_to_each(gate, 2) as lines,
    ):
        gate.until("all shut", lambda: {status(each) for each in lines} == {403})
        spoil(folder, kind)
        gate.until("counted", lambda: {status(each) for each in lines} and damage_counted(gate))
        gate.until("all shut again", lambda: {status(each) for each in lines} == {403})


def test_damage_that_only_a_second_gate_on_the_folder_meets_is_healed_by_the_first(
    folder: DataFolder,
) -> None:
    with (
        running_gate(folder, database_url=database_url()) as first,
        running_gate(folder, database_url=database_url()) as second,
    ):
        second.until("shut", lambda: second.active_sync(PHONE) == 403)
        assert second.control("GET", "/ready")[1]["is_follower"] is False
        first.until("follows", lambda: first.control("GET", "/ready")[1]["follows_entries"])
        spoil(folder, LEAF)

        second.until("met", lambda: second.active_sync(PHONE) == 204 and damage_counted(second))
        second.until("shut again", lambda: second.active_sync(PHONE) == 403)


@pytest.mark.parametrize("how", ["page", "text"])
def test_who_has_removed_the_app_is_let_in_where_nobody_knows_how_far_the_table_has_come(
    folder: DataFolder, how: str
) -> None:
    with running_gate(folder, database_url=database_url()) as gate:
        gate.until("shut", lambda: gate.active_sync(PHONE) == 403)
        gate.until("follows", lambda: gate.control("GET", "/ready")[1]["follows_entries"])
        spoil_place(folder.gate / "table", how)

        set_attested(1, at=now(), publisher=publisher(folder))

        gate.until("open", lambda: gate.active_sync(PHONE) == 204)
        gate.until("read", lambda: gate.control("GET", "/ready")[1]["entries"] == 301)
        assert damage_counted(gate) >= 1


@pytest.mark.parametrize("gone", ["file", "folder"])
def test_a_damaged_table_whose_file_is_gone_is_filled_anew(folder: DataFolder, gone: str) -> None:
    table = folder.gate / "table"
    with running_gate(folder, database_url=database_url()) as gate:
        gate.until("shut", lambda: gate.active_sync(PHONE) == 403)
        gate.until("follows", lambda: gate.control("GET", "/ready")[1]["follows_entries"])
        spoil(folder, BRANCH)
        if gone == "file":
            (table / "data.mdb").unlink()
        else:
            shutil.rmtree(table)

        gate.until("met", lambda: gate.active_sync(PHONE) == 204 and damage_counted(gate))
        gate.until("shut again", lambda: gate.active_sync(PHONE) == 403)

        assert (table / "data.mdb").exists()


@pytest.mark.parametrize("form", OTHER_FORMS)
def test_a_table_of_another_form_shuts_nothing_is_counted_and_is_filled_anew(
    folder: DataFolder, form: str
) -> None:
    write_in_another_form(folder.gate / "table", form)

    with running_gate(folder, workers=2) as cut_off, a_line_to_each(cut_off, 2) as lines:
        assert {status(each) for each in lines} == {204}
        shown = cut_off.ask("GET", "/metrics", control=True)[1].decode()
        assert 'doubts_total{kind="table_other_form"} 1' in shown
        assert cut_off.control("GET", "/ready")[1]["entries"] == 0
    assert "table.other_form" in cut_off.log.read_text()
    with running_gate(folder, database_url=database_url()) as gate:
        gate.until("shut", lambda: gate.active_sync(PHONE) == 403)
        assert gate.control("GET", "/ready")[1]["entries"] == 301


def test_a_table_of_another_form_that_is_put_in_place_of_ours_shuts_nothing(
    folder: DataFolder,
) -> None:
    table = folder.gate / "table"
    with running_gate(folder) as cut_off:
        assert cut_off.active_sync(PHONE) == 403
        write_in_another_form(table, "later")
        cut_off.until("open", lambda: cut_off.active_sync(PHONE) == 204)


def test_whoever_follows_fills_a_table_of_another_form_that_is_put_in_place_of_ours(
    folder: DataFolder,
) -> None:
    table = folder.gate / "table"
    with running_gate(folder, database_url=database_url()) as gate:
        gate.until("follows", lambda: gate.control("GET", "/ready")[1]["follows_entries"])
        write_in_another_form(table, "later")
        gate.until("filled", lambda: parts_of(table) > set(OTHER_FORMS["later"]))
        gate.until("shut again", lambda: gate.active_sync(PHONE) == 403)
        gate.until("whole", lambda: gate.control("GET", "/ready")[1]["entries"] == 301)


def parts_of(table: Path) -> set[bytes]:
    with closing(lmdb.open(str(table), max_dbs=4, readonly=True)) as file, file.begin() as reading:
        return {bytes(name) for name, _ in reading.cursor()}
