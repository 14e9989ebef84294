import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from countermand.stop import fence as fences
from countermand.stop.fence import TAKEN_BACK_EPOCH, Fence, FenceUnreadable, FenceView

NOW = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
OWNER = 65_123  # nobody of this machine


def a_fence(epoch: int = 1, *, withdrawn: bool = False, at: datetime = NOW) -> Fence:
    return Fence("CM-7Q4K", TAKEN_BACK_EPOCH if withdrawn else epoch, withdrawn, at, 1, "because")


def test_a_fence_reads_back(tmp_path: Path) -> None:
    fences.write(tmp_path, a_fence())

    assert fences.read(tmp_path, "CM-7Q4K") == a_fence()
    assert fences.read_all(tmp_path) == {"CM-7Q4K": a_fence()}


def test_a_pause_never_weakens_a_take_back(tmp_path: Path) -> None:
    fences.write(tmp_path, a_fence(withdrawn=True))

    standing = fences.write(tmp_path, a_fence(5))

    assert standing.withdrawn
    assert fences.read(tmp_path, "CM-7Q4K") == standing


def test_an_earlier_pause_never_weakens_a_later_one(tmp_path: Path) -> None:
    fences.write(tmp_path, a_fence(5))

    assert fences.write(tmp_path, a_fence(4)).stopped_epoch == 5


def test_pressing_again_keeps_the_first_time(tmp_path: Path) -> None:
    fences.write(tmp_path, a_fence(withdrawn=True))

    again = fences.write(tmp_path, a_fence(withdrawn=True, at=NOW + timedelta(hours=1)))

    assert again.at == NOW


def test_what_was_started_in_the_stopped_epoch_is_stopped_and_what_comes_later_is_not(
    tmp_path: Path,
) -> None:
    fences.write(tmp_path, a_fence(3))
    view = FenceView(tmp_path)

    assert view.stops("CM-7Q4K", 3)
    assert not view.stops("CM-7Q4K", 4)
    assert not view.stops("CM-AAAA", 1)


@pytest.mark.parametrize("withdrawn", [False, True])
def test_a_pause_and_a_take_back_each_stop_by_themselves(tmp_path: Path, withdrawn: bool) -> None:
    fences.write(tmp_path, a_fence(withdrawn=withdrawn))

    assert [path.suffixes for path in tmp_path.glob("CM-*.json")] == [
        [".take-back" if withdrawn else ".pause", ".json"]
    ]
    assert FenceView(tmp_path).stops("CM-7Q4K", a_fence(withdrawn=withdrawn).stopped_epoch)


def test_two_stops_within_one_tick_of_the_clock_are_both_seen(tmp_path: Path) -> None:
    view = FenceView(tmp_path)
    for epoch in range(1, 200):
        fences.write(tmp_path, a_fence(epoch))
        assert view.stops("CM-7Q4K", epoch)


ITS_TIME_HAS_NO_ZONE = json.dumps(
    {
        "number": "CM-7Q4K",
        "stopped_epoch": 9,
        "withdrawn": False,
        "at": "2026-07-07T10:05:00",
        "by": "p-1",
        "because": "",
    }
).encode()


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"number": 1}', b"\xff", ITS_TIME_HAS_NO_ZONE]
)
def test_a_spoiled_fence_is_no_permission(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "CM-7Q4K.pause.json").write_bytes(content)

    with pytest.raises(FenceUnreadable):
        FenceView(tmp_path).stops("CM-7Q4K", 9)
    with pytest.raises(FenceUnreadable):
        fences.read_all(tmp_path)


def test_a_spoiled_fence_does_not_keep_anybody_from_stopping(tmp_path: Path) -> None:
    (tmp_path / "CM-7Q4K.take-back.json").write_bytes(b"{")

    assert fences.write(tmp_path, a_fence(withdrawn=True)).withdrawn


def test_a_name_that_cannot_be_looked_at_is_not_a_missing_one(tmp_path: Path) -> None:
    (tmp_path / "CM-7Q4K.pause.json").symlink_to("CM-7Q4K.pause.json")  # ELOOP, also for root

    with pytest.raises(FenceUnreadable):
        FenceView(tmp_path).stops("CM-7Q4K", 9)


def test_a_take_back_stands_though_a_spoiled_pause_lies_beside_it(tmp_path: Path) -> None:
    (tmp_path / "CM-7Q4K.pause.json").write_bytes(b"{")
    final = fences.write(tmp_path, a_fence(withdrawn=True))

    assert fences.read_all(tmp_path) == {"CM-7Q4K": final}
    assert FenceView(tmp_path).stops("CM-7Q4K", 9)


def test_a_missing_folder_is_no_permission(tmp_path: Path) -> None:
    with pytest.raises(FenceUnreadable):
        FenceView(tmp_path / "gone").stops("CM-7Q4K", 1)


def test_half_written_files_are_not_believed(tmp_path: Path) -> None:
    (tmp_path / ".CM-7Q4K.pause.json.1.ab").write_bytes(b"{")

    assert fences.read_all(tmp_path) == {}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files in others' folders")
def test_a_stop_by_root_can_be_read_by_whoever_the_folder_belongs_to(tmp_path: Path) -> None:
    """`sudo countermand take-back` kept all mails of all orders back, corrections too."""
    os.chown(tmp_path, OWNER, OWNER)

    fences.write(tmp_path, a_fence(withdrawn=True))

    made = {path.name: path.stat().st_uid for path in tmp_path.iterdir()}
    assert made == {"CM-7Q4K.take-back.json": OWNER, ".CM-7Q4K.lock": OWNER}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_lock_that_leads_elsewhere_gives_nothing_away_and_keeps_nobody_from_stopping(
    tmp_path: Path,
) -> None:
    """Whoever owns the folder may put a link there, and wait for root."""
    folder, elsewhere = tmp_path / "fences", tmp_path / "of-root"
    folder.mkdir()
    os.chown(folder, OWNER, OWNER)
    elsewhere.touch()
    (folder / ".CM-7Q4K.lock").symlink_to(elsewhere)

    fences.write(folder, a_fence(withdrawn=True))

    assert fences.read(folder, "CM-7Q4K") is not None
    assert elsewhere.stat().st_uid == 0
