"""The doctor names what is not well, and changes nothing."""

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from countermand import config
from countermand.data_folder import DataFolder
from countermand.project import installation, sweep_note
from countermand.project.checkup import examine
from countermand.project.findings import State


def bad(data: Path, **environ: str) -> dict[str, str]:
    """Everything that is bad, by name; the relay is nobody's business here."""
    environ = {"COUNTERMAND_DATA": str(data), "COUNTERMAND_RELAY": "127.0.0.1:1", **environ}
    found = examine(config.load(environ), environ)
    return {each.name: each.sentence for each in found if each.state is State.BAD}


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    made = DataFolder(tmp_path / "data")
    installation.make(made)
    return made


def test_without_a_data_folder_the_doctor_says_so(tmp_path: Path) -> None:
    found = bad(tmp_path / "nowhere")

    assert "nowhere" in found["folder"]
    assert not (tmp_path / "nowhere").exists()


def test_a_fresh_folder_lacks_what_only_up_brings(folder: DataFolder) -> None:
    assert set(bad(folder.path)) == {"database", "lookup", "relay"}


SPOILT: dict[str, tuple[str, Callable[[DataFolder], object]]] = {
    "a key that others may read": ("keys", lambda f: (f.keys / "log-key").chmod(0o644)),
    "a key that is missing": ("keys", lambda f: (f.keys / "publisher-key").unlink()),
    "a key that is none": ("keys", lambda f: (f.keys / "log-key").write_text("x")),
    "keys in an open folder": ("folder", lambda f: f.keys.chmod(0o755)),
    "a stop that cannot be read": (
        "stops",
        lambda f: (f.fences / "CM-7Q4K.pause.json").write_text("{"),
    ),
}


@pytest.mark.parametrize(("name", "spoil"), SPOILT.values(), ids=SPOILT.keys())
def test_what_is_spoilt_is_named(
    folder: DataFolder, name: str, spoil: Callable[[DataFolder], object]
) -> None:
    assert name not in bad(folder.path)

    spoil(folder)

    assert name in bad(folder.path)


def test_a_misspelt_setting_is_named(folder: DataFolder) -> None:
    assert "COUNTERMAND_REALY" in bad(folder.path, COUNTERMAND_REALY="x")["settings"]


def test_a_worker_that_stands_still_is_named(folder: DataFolder) -> None:
    sweep_note.write(folder, datetime(2020, 7, 10, tzinfo=UTC))
    assert "worker" not in bad(folder.path)

    long_ago = (folder.run / "worker.swept").stat().st_mtime - 3600
    os.utime(folder.run / "worker.swept", (long_ago, long_ago))

    assert "no door closes" in bad(folder.path)["worker"]
