"""A mail that looks forged is not released: each rule of copy, broken once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from countermand.domain.delivery import NoticeKind
from countermand.domain.phases import Enforcement
from countermand.notices.copy_lint import example_of, lint, lint_order
from countermand.notices.preview import PreviewMail, Signed, preview
from countermand.notices.wording import Signatory
from tests.order_words_samples import APP_NAMES, HOUSE, NUMBER, content

NOW = datetime(2020, 7, 7, 4, 30, tzinfo=UTC)
SIGNED = Signed(Signatory("R. Iyer", "आर. अय्यर", "Security"))


def mail(language: str = "en", kind: NoticeKind = NoticeKind.NOTICE) -> PreviewMail:
    return preview(
        content(),
        NUMBER,
        house=HOUSE,
        app_names=APP_NAMES,
        signed=SIGNED,
        now=NOW,
        language=language,
        kind=kind,
    )


def broken_rules(seen: PreviewMail) -> set[str]:
    faults = lint(seen, number=NUMBER, house=HOUSE, example=example_of(seen.language))
    return {fault.code.removeprefix("copy.") for fault in faults}


def with_text(seen: PreviewMail, old: str, new: str) -> PreviewMail:
    assert old in seen.text
    return replace(seen, text=seen.text.replace(old, new), html=seen.html.replace(old, new))


@pytest.mark.parametrize("enforcement", Enforcement)
@pytest.mark.parametrize("mode", ["live", "exercise"])
def test_our_own_words_break_no_rule(enforcement: Enforcement, mode: str) -> None:
    faults = lint_order(
        content(enforcement=enforcement.value, mode=mode),
        NUMBER,
        house=HOUSE,
        app_names=APP_NAMES,
        signed=SIGNED,
        now=NOW,
    )

    assert faults == ()


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("Robin Example", "Dear colleague", "name_missing"),
        ("4821", "", "known_fact_missing"),
        ("Ordered by", "From", "issuer_missing"),
        ("Friday 17 July 2020, 17:00 (British Summer Time)", "17 July", "deadline_incomplete"),
        ("erased", "lost", "mail_not_bounded"),
        ("maker of the app", "vendor", "hearing_missing"),
        ("orders.example/CM-7Q4K", "our page", "check_missing"),
        ("never ask for a password", "ask for nothing", "never_ask_missing"),
        ("exception", "favour", "exceptions_missing"),
        ("report it", "keep it", "report_missing"),
        ("Either way is fine.", "Act now!", "pressing"),
        ("Either way is fine.", "This is urgent.", "pressing"),
        ("Either way is fine.", "LAST WARNING", "pressing"),
        ("Either way is fine.", "This is not phishing.", "claims_not_forged"),
        ("Either way is fine.", "See https://x.example/", "link"),
        ("Either way is fine.", "{name}", "slot_left"),
    ],
)
def test_a_broken_rule_is_found(old: str, new: str, rule: str) -> None:
    found = broken_rules(with_text(mail(), old, new))

    assert found == {rule}


def test_a_deadline_without_a_zone_is_found() -> None:
    seen = mail()
    bare = replace(
        seen,
        text=seen.text.replace(" (British Summer Time)", ""),
        html=seen.html.replace(" (British Summer Time)", ""),
    )

    assert broken_rules(bare) == {"deadline_incomplete"}


def test_a_hindi_mail_that_presses_is_found() -> None:
    assert broken_rules(with_text(mail("hi"), "दोनों तरीक़े ठीक हैं।", "तुरंत हटाएँ।")) == {"pressing"}


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("<p>", '<p><a href="x"></a>', "link"),
        ("<p>", "<p><img src=x>", "image_or_table"),
        ('lang="en"', "", "language_not_marked"),
        ("</main>", "<p>And more.</p></main>", "parts_differ"),
    ],
)
def test_a_form_that_hides_something_is_found(old: str, new: str, rule: str) -> None:
    seen = mail()

    assert broken_rules(replace(seen, html=seen.html.replace(old, new))) == {rule}


def test_a_bracket_at_the_head_of_the_subject_is_found() -> None:
    seen = mail()

    assert broken_rules(replace(seen, subject=f"[{seen.subject}]")) == {"subject_like_a_shop"}


def test_a_correction_that_begins_with_anything_else_is_found() -> None:
    seen = mail(kind=NoticeKind.CORRECTION)

    assert broken_rules(with_text(seen, "WITHDRAWN. ", "")) == {"first_line"}


def test_a_name_in_capitals_is_no_shouting() -> None:
    loud = Signed(Signatory("JOHN SMITH", role="LEGAL DEPARTMENT"))

    faults = lint_order(content(), NUMBER, house=HOUSE, app_names=APP_NAMES, signed=loud, now=NOW)

    assert faults == ()


def test_a_fault_says_which_mail_is_meant() -> None:
    seen = with_text(mail(kind=NoticeKind.CORRECTION), "WITHDRAWN. ", "")

    (fault,) = lint(seen, number=NUMBER, house=HOUSE, example=example_of("en"))

    assert fault.key == "correction.mistake.en"
    assert "WITHDRAWN" in str(fault)
