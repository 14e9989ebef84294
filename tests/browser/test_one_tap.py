"""Somebody who wonders whether the mail is genuine looks it up, and lets their own phone in.

The person's browser is Chromium on a phone's screen, everything behind it is what `up` starts; the
check code comes from the mail that a mail server took, the door's word from the gate.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from demo.doors import Doors, read_phones
from demo.stage import Stage, opened
from lab.ground import open_folder, until
from tests.browser.conftest import faults
from tests.office import BEGIN, Office, staff

ASHA, KAVYA = staff()["asha"], staff()["kavya"]
PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def phones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the inventory."""
    return tmp_path_factory.mktemp("inventory")


@pytest.fixture(scope="module")
def office(phones: Path) -> Iterator[Office]:
    """An order past its deadline; it is there before a browser is, whose loop Django minds."""
    with open_folder("tap") as folder:
        stage = Stage(folder / "stage", "en")
        with opened(stage, BEGIN):
            office = Office(stage)
            office.give_out_the_notice(phones)
            office.reach_the_deadline(phones)
            yield office


@pytest.fixture(scope="module")
def gate(office: Office) -> Iterator[Doors]:
    token = (office.stage.data / "keys" / "gate-token").read_text(encoding="ascii").strip()
    with closing(Doors(office.stage.running()["gate"], token)) as asked:
        yield asked


def check_code(office: Office, login: str) -> str:
    """Return the code that stands in this person's own mail, as the mail server took it."""
    lines = office.stage.record.read_text(encoding="utf-8").splitlines()
    taken = [json.loads(line) for line in lines]
    [text] = [
        each["body_text"]
        for each in taken
        if each["to"] == login and ".notice." in each["message_id"]
    ]
    found = re.search(r"\d{4} \d{4}", text)
    assert found is not None
    return found[0]


@pytest.mark.timeout(400)
@pytest.mark.parametrize("page", ["dark"], indirect=True)
def test_a_person_finds_the_mail_genuine_and_lets_their_own_phone_in(
    office: Office, phones: Path, gate: Doors, page: Page
) -> None:
    found = {phone.owner: phone for phone in read_phones(phones, "TikTok")}
    hers, another = found[ASHA], found[KAVYA]
    until("both doors", lambda: gate.is_paused(hers) and gate.is_paused(another))
    office.stage.set_clock(office.stage.now(), rate=1.0)

    # As the mail says: she types the address of the page herself, with the number in small letters.
    web = office.stage.running()["web"]
    page.goto(f"{web}/{office.number.lower()}")
    form = page.locator("section#hi form")
    form.locator("input[name=address]").fill(ASHA)
    form.locator("input[name=code]").fill("1234 5678")
    form.get_by_role("button", name="क्या यह असली है?").click()
    expect(page.locator("h1")).not_to_have_text("यह मेल असली है", timeout=PATIENCE_MS)
    assert gate.is_paused(hers)

    page.goto(f"{web}/{office.number.lower()}")
    form.locator("input[name=address]").fill(ASHA)
    form.locator("input[name=code]").fill(check_code(office, ASHA))
    form.get_by_role("button", name="क्या यह असली है?").click()
    expect(page.locator("h1")).to_have_text("यह मेल असली है", timeout=PATIENCE_MS)
    assert faults(page) == []

    page.get_by_role("button", name="मैंने ऐप हटा दिया है").click()
    expect(page.locator("section#hi [role=status]")).to_contain_text(
        "मैंने ऐप हटा दिया है", timeout=PATIENCE_MS
    )
    assert faults(page) == []
    until("mail on her phone", lambda: not gate.is_paused(hers))
    assert gate.is_paused(another)  # one's own word opens nobody else's door
    assert page.url == f"{web}/answer"  # neither code nor name stands in an address
