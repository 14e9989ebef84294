"""`pause` and `take-back` as a person at a terminal meets them, with no database at all."""

import hashlib
import json
import os
import socket
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
MOST_OF_A_GATE = 16 * 1024  # what a gate reads of a question


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


def run(folder: DataFolder, *arguments: str, who: str = "operator", **settings: str) -> int:
    environ = {"COUNTERMAND_DATA": str(folder.path), "COUNTERMAND_TOKEN": f"token-of-{who}"}
    environ |= settings
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


@pytest.mark.parametrize("word", ["\udcfc", "\u091f\u094b\u0915\u0928"])
def test_a_token_or_a_code_that_is_no_text_is_a_wrong_one(folder: DataFolder, word: str) -> None:
    take_back = ("take-back", NUMBER, "--because", "mistake")

    assert run(folder, *take_back, who=word) == stop_words.NOT_ALLOWED
    assert run(folder, *take_back, "--code", word) == stop_words.NOT_ALLOWED
    assert fences.read(folder.fences, NUMBER) is None


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


@pytest.mark.parametrize("words", ["M\udcfcller has seen it", "long " * 40_000])
def test_no_words_of_a_reason_keep_an_order_from_being_stopped(
    folder: DataFolder, words: str
) -> None:
    """A terminal may not be in UTF-8, and somebody may paste a whole mail."""
    run(folder, "take-back", NUMBER, "--because", "mistake", "--note", words)

    fence = fences.read(folder.fences, NUMBER)
    assert fence is not None
    assert fence.withdrawn
    assert fence.because.startswith(("mistake: M\N{REPLACEMENT CHARACTER}ller", "mistake: long"))
    assert len(fence.to_json()) < MOST_OF_A_GATE


def test_a_gate_token_in_any_script_keeps_nobody_from_stopping(folder: DataFolder) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        stopped = run(
            folder,
            "take-back",
            NUMBER,
            "--because",
            "mistake",
            COUNTERMAND_GATES=f"http://127.0.0.1:{server.getsockname()[1]}",
            COUNTERMAND_GATE_TOKEN="\u091f\u094b\u0915\u0928",
        )

    assert stopped == stop_words.NOT_PROVEN_YET
    assert fences.read(folder.fences, NUMBER) is not None


@pytest.mark.parametrize(
    "wrong",
    [
        {"COUNTERMAND_ZONE": "Mars/Phobos"},
        {"COUNTERMAND_CONNECTIONS": "many"},
        {"COUNTERMAND_RELAY_PASSWORD_FILE": "/nonexistent"},
        {"COUNTERMAND_GATE_TOKEN_FILE": "/nonexistent"},
    ],
)
def test_a_setting_that_cannot_be_read_keeps_nobody_from_stopping(
    folder: DataFolder, capsys: pytest.CaptureFixture[str], wrong: dict[str, str]
) -> None:
    run(folder, "take-back", NUMBER, "--because", "mistake", **wrong)

    assert fences.read(folder.fences, NUMBER) is not None
    assert all(name in capsys.readouterr().err for name in wrong)


def test_a_folder_that_is_not_named_is_not_guessed(tmp_path: Path) -> None:
    environ = {"COUNTERMAND_DATA_FILE": str(tmp_path / "missing"), "COUNTERMAND_TOKEN": "any"}

    assert stop_verbs.run(["take-back", NUMBER, "--because", "mistake"], environ) == (
        stop_words.REFUSED
    )


@pytest.mark.parametrize("reads", ["nobody", "closed", "full disk", "Latin-1"])
def test_a_stop_is_no_failure_for_nobody_can_read_what_it_says(
    folder: DataFolder, reads: str
) -> None:
    away, output = os.pipe()
    os.close(away)
    if reads == "full disk":
        os.close(output)
        output = os.open("/dev/full", os.O_WRONLY)
    shell = "exec 1>&-;" if reads == "closed" else ""
    stopping = subprocess.run(
        [
            "/bin/sh",
            "-c",
            f'{shell} exec "$0" -m countermand.cli.entry "$@"',
            sys.executable,
            *("--lang", "hi", "take-back", NUMBER, "--because", "mistake"),
        ],
        check=False,
        env={
            "COUNTERMAND_DATA": str(folder.path),
            "COUNTERMAND_TOKEN": "token-of-operator",
            "PYTHONIOENCODING": "latin-1" if reads == "Latin-1" else "utf-8",
        },
        stdout=subprocess.PIPE if reads == "Latin-1" else output,
        stderr=subprocess.PIPE,
    )
    os.close(output)

    fence = fences.read(folder.fences, NUMBER)
    assert fence is not None
    assert fence.withdrawn
    # The rest was done as well, as far as there is a database.
    assert (stopping.returncode, stopping.stderr) == (stop_words.NOT_PROVEN_YET, b"")


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


def test_a_machine_where_no_orders_are_made_says_that_it_tells_nobody_else(
    folder: DataFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    folder.instance.write_text('{"instance_id": "x", "kind": "production"}', encoding="ascii")
    code = "0011223344556677"
    known = KnownOrder(epoch=1, phase="", stop_hash=token_hash(code))
    register.write(folder, Register(orders={NUMBER: known}))

    status = run(folder, "take-back", NUMBER, "--because", "mistake", "--code", code)

    said = capsys.readouterr().out
    assert status == stop_words.NOT_PROVEN_YET
    assert fences.read(folder.fences, NUMBER) is not None
    assert "stop it where they are, too" in said
    assert "as soon as the database answers" not in said
