"""The keys of every answer that scripts read are those that the reference page lists."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.apps.orders.test_verbs import Terminal, file, relay, terminal

__all__ = ["file", "relay", "terminal"]

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "json.md"
ROW = re.compile(r"\| `countermand ([^`]+)` \| (one|list) \| (.+) \|")


def rows() -> dict[str, tuple[str, set[str]]]:
    found = (ROW.fullmatch(line) for line in PAGE.read_text(encoding="utf-8").splitlines())
    return {row[1]: (row[2], set(re.findall(r"`([^`]+)`", row[3]))) for row in found if row}


def keys(answer: Any) -> tuple[str, set[str]]:
    if isinstance(answer, list):
        assert answer, "an empty list shows no keys"
        return "list", set(answer[0])
    assert isinstance(answer, Mapping)
    return "one", set(answer)


def test_an_order_on_its_way_answers_with_the_keys_that_are_listed(
    terminal: Terminal, file: Path, relay: str
) -> None:
    world = terminal.world
    world.staff(3)
    terminal.set("COUNTERMAND_RELAY", relay)
    steps = (
        ("order plan FILE", "author"),
        ("order submit NUMBER", "author"),
        ("order review NUMBER", "legal"),
        ("order approve NUMBER", "legal"),
        ("order review NUMBER", "council"),
        ("order approve NUMBER", "council"),
        ("order release NUMBER", "operator"),
    )
    number = ""
    found = {}
    for words, who in steps:
        given = words.replace("FILE", str(file)).replace("NUMBER", number).split()
        answer = terminal.ask(*given, who=who)
        number = answer["number"]
        found[words] = keys(answer)

    assert found == {words: rows()[words] for words in found}


def test_an_order_that_was_told_answers_with_the_keys_that_are_listed(terminal: Terminal) -> None:
    world = terminal.world
    world.staff(3)
    number = world.notified()
    device = world.devices()[0].source_device_id
    told = {"NUMBER": number, "DEVICE": device, "APP": "tiktok", "WHO": "p5@example.org"}
    verbs = (
        "answer cannot --device DEVICE",
        "answer list NUMBER",
        "override give NUMBER --device DEVICE --because SENTENCE",
        "override list NUMBER",
        "override end NUMBER --device DEVICE --because SENTENCE",
        "order list",
        "order show NUMBER",
        "order reports",
        "notice list NUMBER",
        "notice story WHO",
        "notice copies NUMBER",
        "notice preview NUMBER",
        "rules --app APP --person WHO",
        "doors",
        "device show DEVICE",
        "device stages",
        "staff list",
        "log verify --database",
    )
    found = {
        verb: keys(
            terminal.ask(*(told.get(word, word.lower()) for word in verb.split()), who="desk")
        )
        for verb in verbs
    }

    assert found == {verb: rows()[verb] for verb in verbs}


@pytest.mark.parametrize("words", [["order", "show", "CM-7Q4K"], ["order", "nosuch"]])
def test_an_error_answers_with_the_keys_that_are_listed(
    terminal: Terminal, words: list[str]
) -> None:
    code, said = terminal.give(*words, "--json")

    assert code
    error = json.loads(said)["error"]
    text = PAGE.read_text(encoding="utf-8")
    assert all(f"`{key}`" in text for key in error)
