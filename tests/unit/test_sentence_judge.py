"""The judge of sentences: a false sentence is found, and an unknown one counts as false."""

from __future__ import annotations

import ast
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from countermand.testing import judge_grammar, sentence_judge
from countermand.testing.sentence_judge import World, untrue_sentences

BACK_AT = datetime(2020, 7, 10, 9, 30, tzinfo=UTC)
DEADLINE = datetime(2020, 7, 17, 11, 30, tzinfo=UTC)
FREE = World(
    number="CM-7Q4K",
    name="Asha Verma",
    zone="Asia/Kolkata",
    variant="mistake",
    taken_back_at=BACK_AT,
    in_force={"Clips": {}},
    before={"Clips": {}},
    door="gate",
    deadline_at=DEADLINE,
    lookup_address="orders.example",
    own_texts=frozenset({"The notice left on {taken_back_at}.", "R. Iyer"}),
)
RULED = replace(
    FREE,
    in_force={"Clips": {"CM-2X9M": DEADLINE}},
    before={"Clips": {"CM-2X9M": DEADLINE}},
    pausing=frozenset({"CM-2X9M"}),
)
AT = "Friday 10 July 2020, 15:00 (India Standard Time)"
BY = "Friday 17 July 2020, 17:00 (India Standard Time)"


@pytest.mark.parametrize(
    ("sentence", "world"),
    [
        ("WITHDRAWN. You do not need to do anything.", FREE),
        ("WITHDRAWN. Another notice still applies to you: CM-2X9M.", RULED),
        ("Asha Verma, Company notice CM-7Q4K was sent by mistake.", FREE),
        (f"It has not applied since {AT}.", FREE),
        (
            (
                "No company notice applies to you for Clips. "
                "If you removed it, you may install it again."
            ),
            FREE,
        ),
        (f"Notice CM-2X9M still applies to you for Clips, with its own time: {BY}.", RULED),
        (
            "No company mail was paused on your devices because of this notice, and none will be.",
            FREE,
        ),
        (
            (
                "Notice CM-2X9M can still pause mail on a device that has the app after this time: "
                f"{BY}."
            ),
            RULED,
        ),
        ("Type orders.example/CM-7Q4K into your browser yourself.", FREE),
        (f"The notice left on {AT}.", FREE),
        ("R. Iyer", FREE),
        ("It goes to everybody who got the notice or may have got it.", FREE),
    ],
)
def test_what_is_so_passes_and_its_contrary_does_not(sentence: str, world: World) -> None:
    other = replace(
        RULED if world is FREE else FREE,
        name="Ravi",
        variant="replaced",
        taken_back_at=DEADLINE,
        deadline_at=BACK_AT,
        number="CM-3AAB",
        was_reached=False,
        own_texts=frozenset(),
    )

    assert untrue_sentences(sentence, "en", world) == []
    assert untrue_sentences(sentence, "en", other) != []


@pytest.mark.parametrize(
    "sentence",
    [
        "You may keep the app.",
        "WITHDRAWN. You do not need to do anything. Or do you?",
        f"It has not applied since {AT.replace('Friday', 'Monday')}.",
        f"It has not applied since {AT.replace('15:00', '15:01')}.",
        "Type evil.example/CM-7Q4K into your browser yourself.",
    ],
)
def test_what_is_unknown_or_slightly_wrong_counts_as_untrue(sentence: str) -> None:
    assert untrue_sentences(sentence, "en", FREE) != []


@pytest.mark.parametrize(
    ("hour", "said"),
    [
        *((0, "रात 12"), (3, "रात 3"), (4, "सुबह 4"), (11, "सुबह 11"), (12, "दोपहर 12")),
        *((15, "दोपहर 3"), (16, "शाम 4"), (19, "शाम 7"), (20, "रात 8"), (23, "रात 11")),
    ],
)
def test_hours_are_read_in_hindi(hour: int, said: str) -> None:
    world = replace(FREE, zone="UTC", taken_back_at=BACK_AT.replace(hour=hour))

    moment = f"शुक्रवार, 10 जुलाई 2020, {said}:30 बजे (समन्वित वैश्विक समय)"
    sentence = (
        "Asha Verma जी, कंपनी सूचना CM-7Q4K अब लागू नहीं है: "
        f"उसे ग़लती से भेजा गया था, और {moment} को वापस ले लिया गया।"
    )

    assert untrue_sentences(sentence, "hi", world) == []
    assert untrue_sentences(sentence.replace(":30", ":31"), "hi", world) == [
        sentence.replace(":30", ":31")
    ]


@pytest.mark.parametrize("module", [sentence_judge, judge_grammar])
def test_the_judge_knows_neither_the_words_nor_their_choice(module: object) -> None:
    path = Path(str(getattr(module, "__file__", "")))
    tree = ast.parse(path.read_text(encoding="utf-8"))

    imported = {
        node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module
    }

    ours = {name for name in imported if name.startswith("countermand")}
    assert ours <= {"countermand.testing.judge_grammar"}
