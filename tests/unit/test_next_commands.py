"""What comes next is told as a command that works as it is written."""

import re
import shlex

import pytest

from countermand.cli import order_words
from countermand.cli.order_words import _NEXT
from countermand.cli.stop_words import VERBS, parse

FACTS = dict.fromkeys(("hold_until", "soak_until", "first_deadline_at", "review_on"), "soon")
_COMMAND = re.compile(r"countermand ((?:pause|take-back|resume) .*?)(?=, |\. |$)")


def commands(phase: str) -> list[list[str]]:
    said = order_words.what_comes_next(phase, number="CM-7Q4K", **FACTS)
    return [shlex.split(words) for words in _COMMAND.findall(said)]


@pytest.mark.parametrize("phase", sorted(_NEXT))
def test_each_command_has_the_reason_that_it_asks_for(phase: str) -> None:
    for words in commands(phase):
        assert "--because" in words
        if words[0] in VERBS:
            assert parse(words).number == "CM-7Q4K"


def test_a_paused_order_names_both_ways() -> None:
    assert [words[0] for words in commands("paused")] == ["resume", "take-back"]
