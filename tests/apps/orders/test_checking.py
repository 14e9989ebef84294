"""Staff check a mail: right for the right person alone, counted, noted as read, hard to guess."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import Client

from countermand.domain import causes, check_code
from countermand.domain.check_code import Verdict
from countermand.notices.models import Notice, NoticeEvidence
from countermand.orders import checking
from countermand.orders.models import StaffAnswer
from tests.order_world import World

KEY = b"key"


@pytest.fixture
def told(world: World) -> tuple[World, str]:
    world.staff(6)
    return world, world.notified()


def mail_of(number: str, uid: str) -> Notice:
    return Notice.objects.get(order_number=number, address=f"{uid}@example.org", kind="notice")


def test_the_code_of_ones_own_mail_is_genuine_and_notes_that_it_was_read(
    told: tuple[World, str],
) -> None:
    world, number = told
    mine = mail_of(number, "p5")

    for typed in (number, number.replace("-", "").lower()):
        verdict = checking.check(
            typed, "P5@Example.org ", mine.values["check_code"], key=KEY, now=world.now
        )
        assert verdict is Verdict.GENUINE

    mine.refresh_from_db()
    assert (mine.state, mine.exposure, mine.proven_at) == ("delivered", 2, world.now)
    assert list(mine.evidence.values_list("kind", "detail")) == [("check_code", "seen")]


def test_the_code_of_somebody_elses_mail_proves_nothing(told: tuple[World, str]) -> None:
    world, number = told
    mine = mail_of(number, "p5")

    for address in ("p6@example.org", "nobody@example.org", "", "x" * 5000):
        verdict = checking.check(number, address, mine.values["check_code"], key=KEY, now=world.now)
        assert verdict is Verdict.NOT_GENUINE

    assert not NoticeEvidence.objects.exists()


def test_a_code_is_not_found_by_guessing(told: tuple[World, str]) -> None:
    world, number = told
    right = mail_of(number, "p5").values["check_code"]

    def ask(code: str) -> Verdict:
        return checking.check(number, "p5@example.org", code, key=KEY, now=world.now)

    for n in range(check_code.WRONG_FOR_ONE_ADDRESS):
        assert ask(f"{n:08d}") is Verdict.NOT_GENUINE
    assert ask(right) is Verdict.TOO_OFTEN
    world.now += check_code.WITHIN + timedelta(seconds=1)
    assert ask(right) is Verdict.GENUINE


def test_what_is_typed_is_not_kept(told: tuple[World, str]) -> None:
    world, number = told
    checking.check(number, "p5@example.org", "1234 5678", key=KEY, now=world.now)

    kept = StaffAnswer.objects.get()
    assert "p5" not in kept.address_ref
    assert len(kept.address_ref) == 64


def test_only_people_of_the_house_count_as_doubting(told: tuple[World, str]) -> None:
    world, number = told

    for address in ("p5@example.org", "p6@example.org", "stranger@elsewhere.example"):
        checking.report(number, address, key=KEY, now=world.now)
        checking.report(number, address, key=KEY, now=world.now)
    assert checking.doubts(number) == 2

    right = mail_of(number, "p6").values["check_code"]
    checking.check(number, "p6@example.org", right, key=KEY, now=world.now)
    assert checking.doubts(number) == 1


def test_the_page_answers_in_both_languages_and_keeps_the_code_out_of_addresses(
    told: tuple[World, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, number = told
    monkeypatch.setenv("COUNTERMAND_DATA", str(world.settings.data))
    monkeypatch.setenv("DATABASE_URL", world.settings.database_url)
    web = Client(headers={"host": "127.0.0.1"}, enforce_csrf_checks=True)
    code = mail_of(number, "p5").values["check_code"]
    typed = {"number": number, "address": "p5@example.org", "code": code, "do": "check"}

    answer = web.post("/check", typed)
    page = answer.content.decode()

    assert answer.status_code == 200
    assert "This mail is genuine" in page
    assert "यह मेल असली है" in page
    assert code not in page
    assert answer["Cache-Control"] == "no-store"
    assert "form-action 'self'" in answer["Content-Security-Policy"]
    assert web.get("/check", typed).status_code == 405
    for language, order in (("hi", ["hi", "en"]), ("en", ["en", "hi"]), ("<script>", ["en", "hi"])):
        said = web.post("/check", typed | {"language": language}).content.decode()
        assert re.findall(r'<section id="(\w+)"', said) == order  # what one wrote in comes first
        assert f'<html lang="{order[0]}">' in said
    assert "Thank you" in web.post("/check", typed | {"do": "report"}).content.decode()
    wrong = web.post("/check", typed | {"code": "<script>"}).content.decode()
    assert "There is no such mail from us" in wrong
    assert "<script" not in wrong


def test_people_who_take_it_for_forged_pause_the_order_until_a_person_lets_it_go_on(
    world: World,
) -> None:
    world.staff(8)
    number = world.sent_to_first_group()
    for uid in ("author", "legal", "p5"):
        checking.report(number, f"{uid}@example.org", key=KEY, now=world.now)

    world.sweep()

    order = world.order(number)
    code, facts = causes.parts(order.pause_cause) or ("", {})
    assert (order.phase, code, facts["doubted"]) == ("paused", "cause.doubted", "3")
    world.resume(number)
    world.sweep()
    assert world.order(number).phase == "canary"
    assert world.order(number).known_doubts == 3
