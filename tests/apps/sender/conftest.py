import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from countermand.testing.mail_record import MailServerProcess
from tests.fresh_database import FreshDatabase
from tests.sender_world import SenderWorld, make_world

PEOPLE = 80


@pytest.fixture
def short_folder() -> Iterator[Path]:
    # A path short enough for the double's control socket.
    folder = Path(tempfile.mkdtemp(prefix="cm-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def make(database: FreshDatabase, short_folder: Path) -> Iterator[Callable[..., SenderWorld]]:
    with contextlib.ExitStack() as all_of_them:

        def make_one(*, people: int = PEOPLE, options: tuple[str, ...] = ()) -> SenderWorld:
            double = all_of_them.enter_context(MailServerProcess(short_folder, options=options))
            made = make_world(database, double, short_folder / "data", people=people)
            all_of_them.callback(made.close)
            return made

        yield make_one


@pytest.fixture
def world(make: Callable[..., SenderWorld]) -> SenderWorld:
    return make()
