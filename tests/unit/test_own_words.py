"""An author's own words are said whole or by the sentence, never by half a sentence."""

from __future__ import annotations

import pytest

from countermand.notices import own_words

OURS = "It was taken back."


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Notice {replaced_by} counts.", OURS),
        ("It was wrong. Notice {replaced_by} counts.", f"It was wrong. {OURS}"),
        ("{replaced_by} counts. We are sorry.", f"{OURS} We are sorry."),
        ("{replaced_by} counts! Look for {replaced_by}. So it is.", f"{OURS} So it is."),
        ("Dr. Iyer asks for {replaced_by}. Thank you.", f"{OURS} Thank you."),
        ("Ask R. Iyer, e.g. about {replaced_by}.", OURS),
        (
            "It ended on {taken_back_at}. See {replaced_by}.",
            f"It ended on {{taken_back_at}}. {OURS}",
        ),
        ("वह ग़लत थी। डॉ. ख़ान के अनुसार {replaced_by} मान्य है।", f"वह ग़लत थी। {OURS}"),
        ("(It was wrong.) See {replaced_by}.", f"(It was wrong.) {OURS}"),
        ("Nothing names another. So it stays.", "Nothing names another. So it stays."),
    ],
)
def test_sentences_that_name_another_order_go_whole_while_none_stands(text: str, said: str) -> None:
    assert own_words.naming(text, None, instead=OURS) == said


def test_all_words_stay_where_another_order_stands() -> None:
    text = "Dr. Iyer asks for {replaced_by}. Look for {replaced_by}."

    said = own_words.naming(text, "CM-2X9M", instead=OURS)

    assert said == "Dr. Iyer asks for CM-2X9M. Look for CM-2X9M."


def test_nothing_is_said_where_nothing_is_left_and_the_page_says_why_itself() -> None:
    assert own_words.naming("See {replaced_by}.", "", instead="") == ""
