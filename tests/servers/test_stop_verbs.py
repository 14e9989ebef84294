"""`pause` and `take-back` as a person at a terminal meets them, with no database at all."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from countermand.cli import stop_verbs, stop_words
from countermand.data_folder import DataFolder
from countermand.stop import fence as fences
from countermand.stop import register
from countermand.stop.register import KnownActor, KnownOrder, Register

NUMBER = "CM-7Q4K"


def token_hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    folder = DataFolder(tmp_path)
    for each in (folder.fences, folder.senders, folder.stop):
        each.mkdir(parents=True)
    tokens = {
        token_hash(f"token-of-{role}"): KnownActor(person_id=n, name=role.title(), roles=(role,))
        for n, role in enumerate(("author", "approver", "operator", "help_desk", "auditor"), 1)
    }
    tokens[token_hash("token-of-nobody")] = KnownActor(person_id=9, name="Nobody", roles=())
    orders = {
        NUMBER: KnownOrder(epoch=1, phase="sending"),
    }
    register.write(folder, Register(orders=orders, tokens=tokens))
    return folder


def run(folder: DataFolder, *arguments: str, who: str = "operator") -> int:
    environ = {"COUNTERMAND_DATA": str(folder.path), "COUNTERMAND_TOKEN": f"token-of-{who}"}
    return stop_verbs.run(list(arguments), environ)


def test_a_take_back_is_durable_with_the_database_down(
    folder: DataFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(folder, "take-back", NUMBER, "--because", "mistake", "--json")

    fence = fences.read(folder.fences, NUMBER)
    assert fence is not None
    assert (fence.withdrawn, fence.by, fence.because) == (True, 3, "mistake")
    said = json.loads(capsys.readouterr().out)
    assert (code, said["stopped"]) == (stop_words.NOT_PROVEN_YET, True)
    assert said["unfinished"]


def test_a_pause_stops_the_epoch_that_runs(folder: DataFolder) -> None:
    run(folder, "pause", NUMBER, "--because", "Looks wrong.")

    fence = fences.read(folder.fences, NUMBER)
    assert fence is not None
    assert (fence.withdrawn, fence.stopped_epoch) == (False, 1)


@pytest.mark.parametrize("role", ["author", "approver", "operator", "help_desk", "auditor"])
def test_anybody_with_a_role_may_pause(folder: DataFolder, role: str) -> None:
    run(folder, "pause", NUMBER, "--because", "Looks wrong.", who=role)

    assert fences.read(folder.fences, NUMBER) is not None


@pytest.mark.parametrize(
    ("role", "may"),
    [
        ("author", True),
        ("approver", True),
        ("operator", True),
        ("help_desk", False),
        ("auditor", False),
        ("nobody", False),
    ],
)
def test_taking_back_takes_author_approver_or_operator(
    folder: DataFolder, role: str, *, may: bool
) -> None:
    code = run(folder, "take-back", NUMBER, "--because", "mistake", who=role)

    assert (fences.read(folder.fences, NUMBER) is not None) is may
    assert (code == stop_words.NOT_ALLOWED) is not may


def test_an_unknown_token_stops_nothing(folder: DataFolder) -> None:
    code = run(folder, "take-back", NUMBER, "--because", "mistake", who="a-stranger")

    assert code == stop_words.NOT_ALLOWED
    assert fences.read(folder.fences, NUMBER) is None


def test_an_unknown_number_offers_the_nearest(
    folder: DataFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(folder, "take-back", "CM-7Q5J", "--because", "mistake")

    assert code == stop_words.NOT_FOUND
    assert NUMBER in capsys.readouterr().err


def test_a_wrong_check_character_is_recognised(
    folder: DataFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(folder, "take-back", "CM-7Q4J", "--because", "mistake")

    said = capsys.readouterr().err
    assert code == stop_words.NOT_FOUND
    assert "mistyped" in said
    assert NUMBER in said


def test_force_stops_a_number_that_is_known_nowhere(folder: DataFolder) -> None:
    register.write(folder, Register(orders={}, tokens=register.read(folder).tokens))

    run(folder, "take-back", NUMBER, "--because", "mistake", "--force")

    assert fences.read(folder.fences, NUMBER) is not None


def test_an_order_in_its_hold_is_withdrawn_by_anybody_and_not_paused(folder: DataFolder) -> None:
    known = register.read(folder)
    orders = {NUMBER: KnownOrder(epoch=0, phase="hold")}
    register.write(folder, Register(orders=orders, tokens=known.tokens))

    assert run(folder, "pause", NUMBER, "--because", "Wait.") == stop_words.REFUSED
    assert fences.read(folder.fences, NUMBER) is None
    run(folder, "take-back", NUMBER, "--because", "mistake", who="auditor")
    assert fences.read(folder.fences, NUMBER) is not None


def test_what_was_never_released_needs_no_stop(folder: DataFolder) -> None:
    known = register.read(folder)
    orders = {NUMBER: KnownOrder(epoch=0, phase="review")}
    register.write(folder, Register(orders=orders, tokens=known.tokens))

    assert run(folder, "take-back", NUMBER, "--because", "mistake") == stop_words.REFUSED
    assert fences.read(folder.fences, NUMBER) is None


def test_nothing_heavy_is_loaded_before_the_stop_is_durable() -> None:
    loaded = subprocess.run(
        [
            sys.executable,
            "-c",
            (
                "import countermand.cli.entry, countermand.cli.stop_verbs, sys;"
                "print(*sys.modules, sep='\\n')"
            ),
        ],
        check=True,
        capture_output=True,
        encoding="utf-8",
    ).stdout.split()

    assert not {"django", "typer", "rich", "psycopg", "jinja2", "http.client"} & set(loaded)


def test_it_speaks_hindi(folder: DataFolder, capsys: pytest.CaptureFixture[str]) -> None:
    run(folder, "take-back", NUMBER, "--because", "mistake", "--lang", "hi")

    assert any("\u0900" <= letter <= "\u097f" for letter in capsys.readouterr().out)
