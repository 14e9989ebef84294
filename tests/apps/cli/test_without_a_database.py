"""What the command line does where nothing runs: it says so, and what needs nothing works."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from countermand.cli.entry import main


@dataclass(frozen=True)
class Answer:
    """What one command line answered."""

    code: int
    out: str
    err: str


Run = Callable[..., Answer]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    for name in ("DATABASE_URL", "LANG", "LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COUNTERMAND_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, **environ: str) -> Answer:
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        code = main(arguments)
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return run


def test_an_organisation_is_invented_without_a_database_and_the_same_again(
    run: Run, tmp_path: Path
) -> None:
    wish = ("synth", "--people", "60", "--seed", "7", "--as-of", "2026-11-23T06:00:00Z")
    more = ("--after-removal", "50%", "--late-joiners", "3", "--json")

    first = run(*wish, *more, "--out", "a")
    second = run(*wish, *more, "--out", "b")

    assert first.code == second.code == 0, first.err
    assert json.loads(first.out)["people"] == 60
    for name in ("people.csv", "devices.csv", "apps.csv", "after-removal/devices.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    joined = (tmp_path / "a" / "late-joiners" / "people.csv").read_text(encoding="utf-8")
    assert joined.count("\n") == 64


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (("staff", "list"), 5, "session.not_running"),
        (("synth", "--app", "tik-tok"), 3, "app.unknown"),
        (("synth", "--spread", "lots"), 2, "cli.not_understood"),
        (("synth", "--language-mix", "hi"), 2, "cli.not_understood"),
    ],
)
def test_an_error_is_one_problem_document_for_scripts(
    run: Run, arguments: tuple[str, ...], code: int, error: str
) -> None:
    answer = run(*arguments, "--json")

    assert answer.code == code
    problem = json.loads(answer.out)["error"]
    assert problem["code"] == error
    assert problem["sentence"]
    assert problem["remedy"]
    assert answer.err == ""


def test_an_error_is_a_sentence_and_a_way_out_for_people(run: Run) -> None:
    answer = run("staff", "list")

    assert answer.code == 5
    assert answer.out == ""
    assert "countermand up" in answer.err


@pytest.mark.parametrize("arguments", [("nonsense",), ("staff", "grant"), ("--nonsense",)])
def test_what_is_no_command_ends_with_two(run: Run, arguments: tuple[str, ...]) -> None:
    assert run(*arguments).code == 2


def test_the_help_lists_the_verbs_that_stop_beside_all_others(run: Run) -> None:
    listed = run("--help").out

    for verb in ("pause", "take-back", "import", "staff", "synth", "up"):
        assert f" {verb} " in listed


@pytest.mark.parametrize("verb", [("import", "people"), ("import", "devices"), ("staff", "grant")])
def test_the_help_of_a_verb_teaches_by_an_example(run: Run, verb: tuple[str, ...]) -> None:
    assert "countermand " + " ".join(verb) in run(*verb, "--help").out


def test_completion_works_for_the_verbs_that_stop_too(run: Run) -> None:
    answer = run(
        _COUNTERMAND_COMPLETE="complete_bash",
        COMP_WORDS="countermand ta",
        COMP_CWORD="1",
    )

    assert "take-back" in answer.out


@pytest.mark.parametrize(
    "words",
    [
        ("import", "people", "gone.csv"),
        ("import", "devices", "--source", "csv", "gone.csv"),
        ("log", "verify", "gone.csv"),
        ("notice", "lint", "gone.csv"),
    ],
)
def test_a_file_that_is_not_there_is_not_found_whichever_verb_names_it(
    run: Run, words: tuple[str, ...]
) -> None:
    english = run(*words)
    assert (english.code, "gone.csv cannot be opened" in english.err) == (3, True)

    hindi = run("--lang", "hi", *words)
    assert "No such file" not in hindi.err
