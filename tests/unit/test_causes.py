"""Why the program paused is kept as facts, and read in the language of whoever asks."""

from __future__ import annotations

import pytest

from countermand import i18n
from countermand.domain import causes

GIVEN: dict[str, dict[str, object]] = {
    "cause.undelivered": {"undelivered": 4, "answered": 100},
    "cause.bounced": {"bounced": 4, "accepted": 100},
    "cause.uncertain": {"uncertain": 3, "mails": 90},
    "cause.doubted": {"doubted": 5, "accepted": 100},
    "cause.surge": {"joined": 9, "people": 30},
    "cause.replaced": {"newer": "CM-7Q4K"},
    "cause.copied": {},
    "cause.older": {},
    "cause.stood_still": {"minutes": 12},
}


@pytest.mark.parametrize("code", causes.CAUSES)
def test_every_cause_comes_back_as_it_went(code: str) -> None:
    line = causes.line(code, **GIVEN[code])

    assert causes.parts(line) == (code, {name: str(value) for name, value in GIVEN[code].items()})
    english, hindi = (causes.told(line, i18n.translate(language)) for language in ("en", "hi"))
    assert english != hindi
    for said in (english, hindi):
        assert "{" not in said
        assert all(str(value) in said for value in GIVEN[code].values())


@pytest.mark.parametrize(
    "text",
    [
        "The list is wrong.",
        "cause.unknown",
        "cause.bounced",
        "cause.bounced bounced=1",
        "cause.bounced accepted=1 bounced=1 more=1",
        "cause.bounced accepted={x} bounced=1",
        "cause.copied\n",
    ],
)
def test_what_a_person_wrote_stays_as_it_is(text: str) -> None:
    assert causes.parts(text) is None
    assert causes.told(text, i18n.translate("hi")) == text


def test_facts_that_do_not_fit_are_refused() -> None:
    with pytest.raises(KeyError):
        causes.line("cause.nothing")
    for facts in ({}, {"newer": "a b"}, {"newer": "x", "other": 1}):
        with pytest.raises(ValueError, match="cause"):
            causes.line("cause.replaced", **facts)
