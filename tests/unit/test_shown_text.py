"""What a pipe gets of a long text: the line as it is, for whoever looks for words in it."""

import io

import pytest
from rich.console import Console

from countermand.cli import output


def test_no_line_is_broken_where_no_terminal_shows_it(capsys: pytest.CaptureFixture[str]) -> None:
    long = "word " * 100 + "end"

    output.say(output.stdout(), "{text}", text=long)

    assert capsys.readouterr().out == f"{long}\n"


def test_a_terminal_breaks_lines_between_words() -> None:
    drawn = io.StringIO()

    output.say(Console(file=drawn, force_terminal=True, width=20), "{text}", text="a word " * 10)

    assert max(map(len, drawn.getvalue().splitlines())) <= 20
