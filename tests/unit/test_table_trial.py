"""A table that lost a part is set aside before it can end a gate; a sound one is never touched.

One of another form is set aside, too, and this version's form is held here.
"""

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import lmdb
import pytest

from countermand.domain.device_key import door_key
from countermand.domain.door_record import body_of, body_of_numbers, seal
from countermand.domain.verdict import microseconds, order_bytes
from countermand.gate.table import FORM, PARTS, FeedRow, Table
from countermand.gate.table_trial import set_aside_if_unreadable
from lab.gates import all_that_shuts
from tests.table_forms import OTHER_FORMS, write_in_another_form

KEY = b"x" * 32
PAGE = 4096


def row(number: int) -> FeedRow:
    door, body = door_key("asha@amber.example", f"phone-{number}"), body_of(all_that_shuts())
    return FeedRow(door, "CM-7Q4K", body + seal(KEY, door, body))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The file of a table that was changed after it was filled."""
    folder = tmp_path_factory.mktemp("whole") / "table"
    table = Table(folder)
    table.replace_all([row(number) for number in range(2000)], version=1, row_id=1)
    table.apply([row(number) for number in range(0, 2000, 7)], version=2, row_id=1)
    table.close()
    return (folder / "data.mdb").read_bytes()


@pytest.fixture
def file(tmp_path: Path, whole: bytes) -> Path:
    path = tmp_path / "table" / "data.mdb"
    path.parent.mkdir()
    path.write_bytes(whole)
    return path


def count(folder: Path) -> int:
    table = Table(folder)
    try:
        return table.place().count
    finally:
        table.close()


def test_a_sound_table_is_not_touched(file: Path, whole: bytes) -> None:
    assert set_aside_if_unreadable(file.parent) is None

    assert file.read_bytes() == whole
    assert count(file.parent) == 2000


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda whole: whole[:-PAGE],
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[: 2 * PAGE],
        lambda whole: whole[:PAGE],
        lambda whole: whole[:100],
        lambda whole: whole[: 2 * PAGE] + bytes(len(whole) - 2 * PAGE),
        lambda whole: b"no table at all" * 1000,
    ],
    ids=["the last page", "a half", "all but the head", "a half head", "100", "zeros", "text"],
)
def test_what_is_not_whole_is_set_aside_and_begun_anew(
    file: Path, whole: bytes, spoilt: Callable[[bytes], bytes]
) -> None:
    file.write_bytes(spoilt(whole))

    assert set_aside_if_unreadable(file.parent) == "table_unreadable"

    assert count(file.parent) == 0
    assert not set_aside_if_unreadable(file.parent)


def test_what_is_short_and_lacks_nothing_is_kept(file: Path, whole: bytes) -> None:
    file.write_bytes(whole[:-1])  # the last byte of a page is nobody's here

    assert not set_aside_if_unreadable(file.parent)

    assert count(file.parent) == 2000
    assert file.stat().st_size == len(whole)


def test_where_nothing_is_yet_nothing_is_done(tmp_path: Path) -> None:
    assert not set_aside_if_unreadable(tmp_path / "table")
    (tmp_path / "table").mkdir()
    assert not set_aside_if_unreadable(tmp_path / "table")
    (tmp_path / "table" / "data.mdb").touch()  # another gate begins one
    assert not set_aside_if_unreadable(tmp_path / "table")
    assert count(tmp_path / "table") == 0


@pytest.mark.parametrize("form", OTHER_FORMS)
def test_a_table_of_another_form_is_set_aside_and_never_read_askew(file: Path, form: str) -> None:
    write_in_another_form(file.parent, form)
    another_gate = Table(file.parent)  # one that is running, and finds this file

    assert another_gate.stored(row(0).door) is None
    assert another_gate.place().version == 0
    another_gate.close()


@pytest.mark.parametrize("form", OTHER_FORMS)
def test_a_table_of_another_form_is_thrown_away_at_a_start(file: Path, form: str) -> None:
    write_in_another_form(file.parent, form)

    assert set_aside_if_unreadable(file.parent) == "table_other_form"

    assert not file.exists()
    assert count(file.parent) == 0
    assert set_aside_if_unreadable(file.parent) is None


def test_of_two_versions_that_share_a_file_each_keeps_its_own(file: Path) -> None:
    write_in_another_form(file.parent, "later")
    running = Table(file.parent)
    running.apply([row(1)], version=7, row_id=1)
    running.close()

    assert set_aside_if_unreadable(file.parent) is None

    assert count(file.parent) == 1
    with closing(lmdb.open(str(file.parent), max_dbs=1, readonly=True)) as later:
        part = later.open_db(OTHER_FORMS["later"][0], create=False)
        with later.begin() as reading:
            assert reading.stat(part)["entries"] == 2000


# Written down once for each form, so that a change of what lies in the file is one of its number.
WRITTEN = {
    1: {
        b"doors.1": {
            bytes.fromhex("de1839a0e7efc29133df5935eba04027"): (
                b"CM-7Q4K\0\0\0\0\0\x03\x01"
                + bytes.fromhex("0006475c63f7a000 0006477081cf0001 000647849fa66002")
                + bytes.fromhex("00064798bd7dc003 000647acdb552004 000647c0f92c8005")
                + bytes.fromhex("000647d51703e006")
                + b"s" * 16
            )
        },
        b"about.1": {
            b"place": b'{"version": 3, "row_id": 4, "count": 1, "folded": 8319119876378817395}'
        },
    }
}


def test_whoever_changes_what_lies_in_the_file_gives_its_form_another_number(
    tmp_path: Path,
) -> None:
    first = datetime(2026, 1, 2, tzinfo=UTC)
    instants = [first + timedelta(days=day, microseconds=day) for day in range(7)]
    body = body_of_numbers(order_bytes("CM-7Q4K"), 3, 1, map(microseconds, instants))
    door = door_key("asha@amber.example", "phone-1")
    table = Table(tmp_path / "table")

    table.apply([FeedRow(door, "CM-7Q4K", body + b"s" * 16)], version=3, row_id=4)
    table.close()

    with closing(lmdb.open(str(tmp_path / "table"), max_dbs=2, readonly=True)) as file:
        parts = {name: file.open_db(name, create=False) for name in PARTS}
        with file.begin() as reading:
            written = {name: dict(reading.cursor(part)) for name, part in parts.items()}
    assert written == WRITTEN[FORM]
