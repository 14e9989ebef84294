"""A correction never says a sentence that the rules in force contradict, to anybody.

Random histories with amendments, replacements, exceptions and late joiners; the correction is
rendered whole, in both languages, and judged by a reader that knows neither the words nor their
choice. What holds for the person is told to the judge by a walk through time, not by the rules.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache

from hypothesis import assume, given
from hypothesis import strategies as st

from countermand.domain.delivery import NoticeKind
from countermand.domain.order_parts import Variant
from countermand.domain.phases import Enforcement
from countermand.domain.rules_in_force import (
    CameUnder,
    PutInForce,
    RuleEvent,
    TakenBack,
    rules_before,
    rules_for_apps,
)
from countermand.domain.truth import PersonRules, TakenBackOrder, correct
from countermand.notices.preview import EXAMPLE_CHECK_CODE
from countermand.notices.wording import (
    Addressee,
    Signatory,
    TemplateText,
    correction_values,
    prepare_templates,
)
from countermand.sender.compose import filled
from countermand.testing.sentence_judge import World, untrue_sentences
from tests.order_words_samples import APP_NAMES, HOUSE, content
from tests.property.test_rules_in_force import (
    APPS,
    NUMBERS,
    PEOPLE,
    at_hour,
    histories,
    told_step_by_step,
)

BACK_AT = at_hour(18)
PERSON = Addressee(name="Asha Verma", local_name="आशा वर्मा", zone="Asia/Kolkata")
WHO = Signatory("R. Iyer", "आर. अय्यर", "Security")


@cache
def templates(number: str, enforcement: Enforcement) -> dict[tuple[str, str], TemplateText]:
    """The corrections of an order by variant and language."""
    order = content(enforcement=enforcement.value, apps=list(APPS))
    prepared = prepare_templates(order, number, house=HOUSE, app_names=list(APP_NAMES.values()))
    return {
        (template.variant, template.language): template
        for template in prepared
        if template.kind is NoticeKind.CORRECTION
    }


def deadline_of(events: list[RuleEvent], number: str, person: int) -> datetime | None:
    """The deadline that the last word to this person about an order names."""
    words = [
        e
        for e in events
        if isinstance(e, CameUnder) and (e.number, e.person_id) == (number, person)
    ]
    return max(words, key=lambda e: e.at).deadline_at if words else None


def stands(
    events: list[RuleEvent], person: int, at: datetime, without: str
) -> dict[str, dict[str, datetime | None]]:
    """What a walk through time finds for each app, by the name that people know it by."""
    return {
        APP_NAMES[app]: {
            number: deadline_of(events, number, person)
            for number in told_step_by_step(events, app, person, at)
            if number != without
        }
        for app in APPS
    }


def enforcement_of(events: list[RuleEvent], number: str) -> Enforcement | None:
    puts = [e for e in events if isinstance(e, PutInForce) and e.number == number]
    return min(puts, key=lambda e: e.at).enforcement if puts else None


def before_it(events: list[RuleEvent], number: str) -> list[RuleEvent]:
    put_at = min(e.at for e in events if isinstance(e, PutInForce) and e.number == number)
    return [event for event in events if event.at < put_at]


def began(events: list[RuleEvent], number: str, person: int) -> datetime:
    """The instant at which an order began for a person: put in force, or joined later."""
    put = min(e.at for e in events if isinstance(e, PutInForce) and e.number == number)
    joined = [
        e.at
        for e in events
        if isinstance(e, CameUnder) and (e.number, e.person_id) == (number, person)
    ]
    return max([put, *sorted(joined)[:1]])


@dataclass(frozen=True)
class Case:
    """One person's correction of one order that was taken back."""

    history: list[RuleEvent]
    number: str
    person: int
    enforcement: Enforcement
    variant: Variant
    replacement: str | None
    own_deadline: datetime | None

    def text(self, language: str) -> str:
        rules = PersonRules(
            now=rules_for_apps(self.history, apps=APPS, person_id=self.person, at=BACK_AT),
            before=rules_before(self.history, number=self.number, apps=APPS, person_id=self.person),
            own_deadline_at=self.own_deadline,
        )
        order = TakenBackOrder(
            number=self.number,
            apps=APPS,
            enforcement=self.enforcement,
            variant=self.variant,
            taken_back_at=BACK_AT,
            replacement=self.replacement,
        )
        values = correction_values(
            PERSON,
            correct(order, rules),
            order,
            content=content(),
            responsible=WHO,
            app_names=APP_NAMES,
            language=language,
        )
        template = templates(self.number, self.enforcement)[self.variant.value, language]
        return filled(template.text, {"check_code": EXAMPLE_CHECK_CODE, **values})

    def world(self, language: str) -> World:
        instant = began(self.history, self.number, self.person)
        earlier = [event for event in self.history if event.at < instant]
        now = stands(self.history, self.person, BACK_AT, self.number)
        standing = {number for rules in now.values() for number in rules}
        what_happened = content()["order"]["corrections"][self.variant.value][language]
        return World(
            number=self.number,
            name=PERSON.local_name if language == "hi" else PERSON.name,
            zone=PERSON.zone,
            variant=self.variant.value,
            taken_back_at=BACK_AT,
            in_force=now,
            before=stands(earlier, self.person, instant, self.number),
            door=self.enforcement.value,
            deadline_at=self.own_deadline,
            pausing=frozenset(
                n for n in standing if enforcement_of(self.history, n) is not Enforcement.NONE
            ),
            replacement=self.replacement,
            lookup_address=HOUSE.lookup_address,
            own_texts=frozenset(
                {what_happened, HOUSE.help_desk, "R. Iyer (Security)", "आर. अय्यर (Security)"}
            ),
        )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    history = draw(histories())
    put = sorted({event.number for event in history if isinstance(event, PutInForce)})
    assume(put)
    number = draw(st.sampled_from(put))
    enforcement = enforcement_of(history, number)
    variant = draw(st.sampled_from(Variant))
    others = [other for other in NUMBERS if other != number]
    replacement = draw(st.sampled_from([None, *others])) if variant is Variant.REPLACED else None
    own_hour = draw(st.one_of(st.none(), st.integers(1, 40)))
    assert enforcement is not None
    return Case(
        history=[*history, TakenBack(number, BACK_AT)],
        number=number,
        person=draw(st.sampled_from(PEOPLE)),
        enforcement=enforcement,
        variant=variant,
        replacement=replacement,
        own_deadline=at_hour(own_hour) if own_hour is not None else None,
    )


@given(case=cases())
def test_no_correction_says_what_is_not_so(case: Case) -> None:
    for language in ("en", "hi"):
        assert untrue_sentences(case.text(language), language, case.world(language)) == []


@given(case=cases())
def test_both_languages_say_equally_much(case: Case) -> None:
    lines = {
        language: [line[:2] for line in case.text(language).splitlines() if line]
        for language in ("en", "hi")
    }

    assert [line == "- " for line in lines["en"]] == [line == "- " for line in lines["hi"]]


@given(case=cases())
def test_nobody_under_an_older_order_is_told_that_the_app_may_come_back(case: Case) -> None:
    world = case.world("en")
    ruled = {app for app, numbers in world.in_force.items() if numbers}
    text = case.text("en")

    for line in text.splitlines():
        if "you may install" in line:
            named = line.split(" for ", 1)[1].split(". ", 1)[0].split(" and ")
            assert not ruled & set(named)
    if ruled:
        assert text.startswith("WITHDRAWN. ")
        assert "You do not need to do anything" not in text
