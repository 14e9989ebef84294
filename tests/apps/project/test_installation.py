"""A data folder is made once, private from the start, and never made anew over another."""

import os
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from countermand.data_folder import DataFolder
from countermand.project import installation, ports
from countermand.project.folder_lock import AlreadyRunning, FolderLock, is_held
from countermand.project.installation import FolderInUse, FolderNotWritable, Kind, OtherKind

NOW = datetime(2026, 12, 4, 9, 0, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return DataFolder(tmp_path / "data folder")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def content(folder: DataFolder) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in installation.secret_files(folder)}


def test_keys_and_folders_are_private_whatever_the_umask(folder: DataFolder) -> None:
    before = os.umask(0)
    try:
        installation.make(folder)
    finally:
        os.umask(before)

    assert {mode(path) for path in installation.secret_files(folder)} == {0o600}
    assert {mode(path) for path in folder.folders} == {0o700}
    assert mode(folder.path) == (0o711 if os.geteuid() == 0 else 0o700)


def test_a_second_time_changes_nothing(folder: DataFolder) -> None:
    assert installation.make(folder, Kind.DEMONSTRATION)
    before = content(folder), folder.instance_id

    assert not installation.make(folder)
    assert (content(folder), folder.instance_id) == before
    assert folder.is_demonstration


def test_no_two_installations_share_a_secret(folder: DataFolder, tmp_path: Path) -> None:
    other = DataFolder(tmp_path / "other")
    installation.make(folder)
    installation.make(other)

    secrets = content(folder).values()
    assert len(set(secrets)) == len(secrets)
    assert not set(secrets) & set(content(other).values())


def test_a_broken_first_try_is_completed(folder: DataFolder) -> None:
    installation.make(folder)
    (folder.keys / "gate-token").unlink()
    folder.instance.unlink()

    assert installation.make(folder)
    assert folder.secret("gate-token")


def test_the_two_halves_of_the_log_s_key_belong_together(folder: DataFolder) -> None:
    installation.make(folder)

    signer, verifier = installation.log_signer(folder), installation.log_verifier(folder)
    assert signer.verifier.encode() == verifier.encode()
    assert folder.instance_id in verifier.name


def test_a_folder_with_something_else_in_it_is_left_alone(folder: DataFolder) -> None:
    folder.path.mkdir()
    (folder.path / "thesis.tex").touch()

    with pytest.raises(FolderInUse, match=r"thesis\.tex"):
        installation.make(folder)
    assert [path.name for path in folder.path.iterdir()] == ["thesis.tex"]


def test_a_demonstration_never_becomes_real_nor_the_other_way_round(folder: DataFolder) -> None:
    installation.make(folder, Kind.DEMONSTRATION)

    with pytest.raises(OtherKind):
        installation.make(folder, Kind.PRODUCTION)


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(FolderNotWritable):
        installation.make(DataFolder(tmp_path / "file" / "data"))


HOLD = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from countermand.project.folder_lock import FolderLock

FolderLock.take(Path(sys.argv[1]), now=datetime(2026, 12, 4, 9, 0, tzinfo=UTC))
print("held", flush=True)
sys.stdin.read()
"""


def test_whoever_holds_a_folder_is_named_and_its_death_frees_it(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert is_held(lock)
        with pytest.raises(AlreadyRunning) as refused:
            FolderLock.take(lock, now=NOW)
        holder.kill()

    assert refused.value.pid == holder.pid
    assert refused.value.since == "2026-12-04T09:00:00+00:00"
    assert not is_held(lock)
    FolderLock.take(lock, now=NOW).release()


def test_a_taken_port_gives_way_to_the_next_free_one() -> None:
    with ports.listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with ports.listen("127.0.0.1", port) as other:
            assert other.getsockname()[1] != port


def test_an_address_of_another_machine_cannot_be_listened_on() -> None:
    with pytest.raises(ports.NoFreePort):
        ports.listen("192.0.2.1", 8480)
