from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from countermand.domain.order_parts import Variant
from countermand.notices.order_words import House
from countermand.notices.statement import StatementFigures, StatementNotReleased, fill
from tests.order_words_samples import HOUSE, NUMBER, content

AT = datetime(2020, 7, 10, 9, 30, tzinfo=UTC)


def statement(language: str, began_at: datetime | None, house: House = HOUSE) -> str:
    figures = StatementFigures(
        certain=412,
        possible=3,
        corrected=415,
        first_notice_at=AT,
        taken_back_at=AT,
        corrections_began_at=began_at,
    )
    return fill(
        content(),
        NUMBER,
        variant=Variant.MISTAKE,
        figures=figures,
        house=house,
        language=language,
    )


def test_the_statement_carries_the_figures_of_the_ledger_in_both_languages() -> None:
    assert statement("en", AT) == (
        "Example Organisation took notice CM-7Q4K back on Friday 10 July 2020, 09:30 "
        "(Coordinated Universal Time). 412 people got it, 3 may have got it, 415 were told."
    )
    assert "412 लोगों को मिली, 3 को मिली हो सकती है, 415 को बताया गया।" in statement("hi", AT)


def test_the_statement_tells_time_by_the_clock_of_the_house() -> None:
    house = replace(HOUSE, zone="Asia/Kolkata")

    assert "Friday 10 July 2020, 15:00 (India Standard Time)" in statement("en", AT, house)
    assert "दोपहर 3:00 बजे (भारतीय मानक समय)" in statement("hi", AT, house)


def test_press_and_maker_are_told_nothing_before_staff() -> None:
    with pytest.raises(StatementNotReleased):
        statement("en", None)
