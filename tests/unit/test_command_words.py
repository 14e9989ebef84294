"""What is typed wrongly is refused like every other error: a code, a sentence, a way out."""

from __future__ import annotations

import json
import re

import pytest

from countermand import i18n
from countermand.cli import app, entry, stop_verbs, stop_words
from countermand.cli.exit_codes import ExitCode


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        (["order", "show"], "cli.missing"),
        (["order", "show", "CM-7Q4K", "--loud"], "cli.no_such_option"),
        (["order", "shwo"], "cli.no_such_verb"),
        (["synth", "--people", "many"], "cli.not_taken"),
        (["notice", "list", "CM-7Q4K", "--kind", "letter"], "cli.not_among"),
    ],
)
def test_a_script_gets_one_json_value_also_when_its_command_is_not_understood(
    typed: list[str], code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = app.run([*typed, "--json"])

    said = json.loads(capsys.readouterr().out)
    assert ended == ExitCode.USAGE
    assert said["error"]["code"] == code
    assert said["error"]["remedy"]


def test_a_file_that_is_not_there_is_not_found(capsys: pytest.CaptureFixture[str]) -> None:
    typed = ["doctor", "--front", "imaps://a@b", "--password-file", "nowhere", "--json"]

    ended = app.run(typed)

    said = json.loads(capsys.readouterr().out)
    assert (ended, said["error"]["code"]) == (ExitCode.NOT_FOUND, "cli.file_not_found")


def test_a_mistyped_verb_is_answered_with_the_nearest_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    app.run(["order", "shwo"])

    assert "“show”" in capsys.readouterr().err


def test_a_word_that_an_option_does_not_take_is_answered_with_those_it_takes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    app.run(["notice", "preview", "CM-7Q4K", "--kind", "letter"])

    said = capsys.readouterr().err
    assert "“letter”" in said
    assert "--kind" in said
    assert "notice, reminder, lock, restored, closing, correction" in said


@pytest.mark.parametrize("verb", ["pause", "take-back"])
def test_a_stop_that_lacks_its_number_says_that_nothing_was_stopped(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = stop_verbs.run([verb, "--because", "mistake", "--json"], {})

    said = json.loads(capsys.readouterr().out)
    assert ended == stop_words.USAGE
    assert said["stopped"] is False
    assert said["error"]["code"] == "stop.not_understood"


def test_language_and_data_folder_may_stand_after_the_verb() -> None:
    options, rest = entry.set_apart(["order", "list", "--lang", "hi", "--data=/srv/c", "--json"])

    assert options == {"--lang": "hi", "--data": "/srv/c"}
    assert rest == ["order", "list", "--json"]


def test_what_stands_behind_two_dashes_is_left_alone() -> None:
    options, rest = entry.set_apart(["synth", "--", "--lang", "hi"])

    assert options == {}
    assert rest == ["synth", "--", "--lang", "hi"]


def test_the_help_of_a_pause_says_what_doors_do() -> None:
    # What they do: tests/apps/gate, "a pause opens and a resume in a higher epoch shuts again".
    assert "Until then it pauses mail on no device." in stop_words.help_of("pause")


@pytest.mark.parametrize(
    "typed",
    [
        ["synth", "--people", "many"],
        ["synth", "--people", "0"],
        ["notice", "list", "CM-7Q4K", "--kind"],
        ["order", "list", "sideways"],
        ["notice", "lint", "no-such-file.eml"],
        ["log", "verify", "."],
    ],
    ids=" ".join,
)
def test_a_refusal_in_hindi_has_no_english_sentence_in_it(
    typed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    i18n.use("hi")
    try:
        ended = app.run(typed)
    finally:
        i18n.use("en")

    said = capsys.readouterr().err
    assert ended != ExitCode.DONE
    words = re.findall(r"(?<![\w.-])[A-Za-z]+(?![\w.-])", said)
    ours = {"countermand", "many", "sideways", *typed}
    assert [word for word in words if word not in ours and word.upper() != word] == []
