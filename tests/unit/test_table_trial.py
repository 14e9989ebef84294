"""A table that lost a part is set aside before it can end a gate; a sound one is never touched."""

from collections.abc import Callable
from pathlib import Path

import pytest

from countermand.domain.device_key import door_key
from countermand.domain.door_record import body_of, seal
from countermand.gate.table import FeedRow, Table
from countermand.gate.table_trial import set_aside_if_unreadable
from lab.gates import all_that_shuts

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
    assert not set_aside_if_unreadable(file.parent)

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

    assert set_aside_if_unreadable(file.parent)

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
