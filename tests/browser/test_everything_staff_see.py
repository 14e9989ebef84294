"""Every page and every mail can be read by everybody: small screen, night, keyboard, screen reader.

What is looked at here is what leaves: the pages as they are written, the mails as they are sent.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from playwright.sync_api import Page

from countermand.domain.check_code import Verdict
from countermand.domain.presence import Answer
from countermand.notices.lookup import write
from countermand.notices.lookup_answers import Asked, AskedDevice, Noted, answer_page
from countermand.notices.preview import PreviewMail, Signed, previews
from countermand.notices.public_notice import PublicNotice, PublicState
from countermand.notices.wording import Signatory
from tests.browser.conftest import faults
from tests.order_words_samples import APP_NAMES, HOUSE, NUMBER, content

NOW = datetime(2020, 7, 10, 9, 30, tzinfo=UTC)
ISSUER = Signatory("R. Iyer", "आर. अय्यर", "Security")
PHONE = AskedDevice(id=7, name="आशा का Android", short_id="A5ED", can_look=True)
LOOKS = {Verdict.LOOK_ASKED, Verdict.LOOK_WAITS, Verdict.CANNOT_LOOK}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The look-up page with a notice in every state."""
    notices = [
        PublicNotice(
            number=f"CM-{place}{place}{place}{place}",
            content=content(),
            app_names=("Clips",),
            state=state,
            issued_by=ISSUER,
            approved_by=(Signatory("M. Khan"),),
            since=NOW,
            changed_at=NOW if state in {PublicState.WITHDRAWN, PublicState.ENDED} else None,
            variant="mistake" if state is PublicState.WITHDRAWN else "",
        )
        for place, state in enumerate(PublicState, 2)
    ]
    write(tmp_path, notices, house=HOUSE, now=NOW)
    return tmp_path


def test_every_page_can_be_read_by_everybody(page: Page, folder: Path) -> None:
    names = sorted(path.name for path in folder.glob("*.html"))
    assert len(names) == len(PublicState) + 2

    for name in names:
        page.goto((folder / name).as_uri())
        assert faults(page) == [], name


def test_the_keyboard_reaches_the_content_first_and_then_every_field(
    page: Page, folder: Path
) -> None:
    page.goto((folder / "CM-2222.html").as_uri())
    page.keyboard.press("Tab")
    jump = page.locator("a.jump")
    assert jump.evaluate("link => link === document.activeElement")
    assert jump.bounding_box() is not None
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"

    page.keyboard.press("Enter")
    reached = []
    for _ in range(8):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.name || document.activeElement.href"))
    assert reached[:5] == ["number", "address", "code", "do", "do"]


@pytest.mark.parametrize("verdict", Verdict)
def test_every_answer_can_be_read_by_everybody(page: Page, folder: Path, verdict: Verdict) -> None:
    asked = Asked(NUMBER, "proof", (PHONE, AskedDevice(8, "", "", said=Answer.REMOVED)))
    text = answer_page(
        verdict,
        number=NUMBER,
        house=HOUSE,
        asked=asked if verdict in {Verdict.GENUINE, Verdict.NOTED, *LOOKS} else None,
        noted={Verdict.NOTED: Noted(PHONE, Answer.REMOVED)}.get(verdict)
        or (Noted(PHONE) if verdict in LOOKS else None),
        language="hi",
    )
    (folder / "answer.html").write_text(text, encoding="utf-8")

    page.goto((folder / "answer.html").as_uri())

    assert faults(page) == []
    assert page.locator("h1").evaluate("title => title.closest('section').lang") == "hi"


@pytest.mark.parametrize("state", PublicState)
@pytest.mark.parametrize("mode", ["live", "exercise"])
def test_how_a_genuine_mails_notice_stands_can_be_read_by_everybody(
    page: Page, folder: Path, state: PublicState, mode: str
) -> None:
    written = content()
    written["order"]["mode"] = mode
    notice = PublicNotice(
        number=NUMBER,
        content=written,
        app_names=("Clips",),
        state=state,
        issued_by=ISSUER,
        since=NOW,
        changed_at=NOW,
        variant="replaced",
        replaced_by="CM-2222",
    )
    text = answer_page(Verdict.GENUINE, number=NUMBER, house=HOUSE, notice=notice)
    (folder / "answer.html").write_text(text, encoding="utf-8")
    page.goto((folder / "answer.html").as_uri())

    assert faults(page) == []
    green = "rgb(0, 0, 0)"
    page.add_style_tag(content=f":root {{ --in-force: {green} !important }}")
    seen = page.locator(".state").first.evaluate("it => getComputedStyle(it).borderLeftColor")
    stands = state in {PublicState.IN_FORCE, PublicState.PAUSED} and mode == "live"
    assert (seen == green) is stands


def test_the_button_for_a_look_is_reached_by_keyboard_and_says_what_it_does(
    page: Page, folder: Path
) -> None:
    asked = Asked(NUMBER, "proof", (PHONE,))
    text = answer_page(Verdict.GENUINE, number=NUMBER, house=HOUSE, asked=asked, language="en")
    (folder / "answer.html").write_text(text, encoding="utf-8")
    page.goto((folder / "answer.html").as_uri())
    look = page.locator("section#en").get_by_role("button", name="Check this device again now")

    look.focus()
    page.keyboard.press("Shift+Tab")
    assert page.evaluate("document.activeElement.value") == list(Answer)[-1].value
    page.keyboard.press("Tab")
    assert look.evaluate("button => button === document.activeElement")
    described = look.evaluate(
        "button => document.getElementById(button.getAttribute('aria-describedby')).innerText"
    )
    assert "within a few minutes" in described


def mails() -> list[PreviewMail]:
    signed = Signed(issued_by=ISSUER, approved_by=(Signatory("M. Khan"),))
    return previews(content(), NUMBER, house=HOUSE, app_names=APP_NAMES, signed=signed, now=NOW)


def test_every_mail_can_be_read_by_everybody(page: Page) -> None:
    found = mails()
    assert {mail.language for mail in found} == {"en", "hi"}

    for mail in found:
        page.set_content(mail.html)
        assert faults(page) == [], f"{mail.kind} {mail.variant} {mail.language}"
        # What a person reads is what the plain part says, word by word.
        assert words(page.inner_text("body")) == words(mail.text), f"{mail.kind} {mail.variant}"


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text)


def test_hindi_is_shown_in_letters_and_not_in_boxes(page: Page) -> None:
    page.set_content(
        "<canvas id=c width=300 height=60></canvas><script>"
        "function ink(text){const d=document.getElementById('c').getContext('2d',"
        "{willReadFrequently:true});d.clearRect(0,0,300,60);d.font='32px sans-serif';"
        "d.fillText(text,0,40);return Array.from(d.getImageData(0,0,300,60).data).join()}"
        "</script>"
    )

    # Letters that no font has are drawn as one and the same box.
    assert page.evaluate("ink('क')") != page.evaluate("ink('म')")
    assert page.evaluate("ink('\U000e0fff')") != page.evaluate("ink('क')")
