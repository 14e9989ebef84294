"""Whoever is started early begins when it is their turn, and not before."""

from pathlib import Path
from threading import Thread

from countermand.project import turn


def test_whoever_was_not_told_to_wait_begins_at_once() -> None:
    turn.await_it(None)


def test_whoever_was_told_to_wait_begins_once_the_file_is_there(tmp_path: Path) -> None:
    tables = tmp_path / "tables.ready"
    waiting = Thread(target=turn.await_it, args=(tables,), daemon=True)

    waiting.start()
    waits = waiting.is_alive()
    tables.touch()
    waiting.join()

    assert waits
