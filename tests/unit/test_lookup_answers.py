"""A check answers what is true now: the mail was genuine, and how its notice stands."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from countermand.domain.check_code import Verdict
from countermand.notices.lookup_answers import answer_page
from countermand.notices.public_notice import PublicNotice, PublicState
from countermand.notices.wording import Signatory
from tests.order_words_samples import HOUSE, NUMBER, content

NOW = datetime(2020, 7, 10, 9, 30, tzinfo=UTC)
GENUINE_HI = "यह मेल असली है"


def told(state: PublicState, *, mode: str = "live", **facts: Any) -> tuple[str, str, str]:
    """Return how the answer looks, its text in English and its text in Hindi."""
    written = content()
    written["order"]["mode"] = mode
    notice = PublicNotice(
        number=NUMBER,
        content=written,
        app_names=("Clips",),
        state=state,
        issued_by=Signatory("R. Iyer"),
        since=NOW,
        **facts,
    )
    page = answer_page(Verdict.GENUINE, number=NUMBER, house=HOUSE, notice=notice, language="en")
    look = re.findall(r'<div class="state ([a-z_]*)"', page)[0]
    main = page[page.index("<main") :]
    english, hindi = re.findall(r'<section id="(?:en|hi)".*?</section>', main, re.DOTALL)
    return look, *(html.unescape(re.sub(r"<[^>]+>", "", text)) for text in (english, hindi))


def test_a_notice_in_force_is_genuine_and_looks_so() -> None:
    look, english, hindi = told(PublicState.IN_FORCE)

    assert look == "in_force"
    assert english.strip().startswith("This mail is genuine\n")
    assert "taken back" not in english
    assert GENUINE_HI in hindi


@pytest.mark.parametrize(
    ("state", "english", "hindi"),
    [
        (PublicState.PREPARED, "not in force yet", "अभी लागू नहीं है"),
        (PublicState.PAUSED, "mails about the notice are on hold", "मेल भेजना अभी रुका है"),
        (PublicState.WITHDRAWN, "and the notice has been taken back", "वापस ले ली गई है"),
        (PublicState.ENDED, "and the notice has ended", "समाप्त हो चुकी है"),
    ],
)
def test_the_first_line_says_how_the_notice_stands(
    state: PublicState, english: str, hindi: str
) -> None:
    look, in_english, in_hindi = told(state, changed_at=NOW)

    assert look == state.value
    first, first_hindi = (text.strip().splitlines()[0] for text in (in_english, in_hindi))
    assert first.startswith("This mail is genuine")
    assert english in first
    assert first_hindi.startswith(GENUINE_HI)
    assert hindi in first_hindi


@pytest.mark.parametrize("state", [PublicState.WITHDRAWN, PublicState.ENDED])
def test_of_a_notice_that_is_over_nothing_has_to_be_done(state: PublicState) -> None:
    _, english, hindi = told(state, changed_at=NOW)

    assert "nothing has to be done because of it" in english
    assert "कुछ नहीं करना है" in hindi


def test_after_a_take_back_the_answer_says_what_the_correction_says() -> None:
    _, english, hindi = told(PublicState.WITHDRAWN, changed_at=NOW, variant="mistake")

    assert "It was sent by mistake." in english
    assert "This notice does not pause company mail on any device." in english
    assert "यह ग़लती से भेजी गई थी।" in hindi


def test_a_replaced_notice_leads_to_the_one_in_its_place() -> None:
    _, english, hindi = told(
        PublicState.WITHDRAWN, changed_at=NOW, variant="replaced", replaced_by="CM-2222"
    )

    assert "Notice CM-2222 stands in its place." in english
    assert "CM-2222" in hindi


def test_a_mail_of_an_exercise_is_said_to_be_one_and_does_not_look_in_force() -> None:
    look, english, hindi = told(PublicState.IN_FORCE, mode="exercise")

    assert look == ""
    assert english.strip().startswith("This mail is genuine, and it is an exercise")
    assert "This is an exercise. Nothing has to be done" in english
    assert "यह एक अभ्यास है। कुछ नहीं करना है" in hindi
