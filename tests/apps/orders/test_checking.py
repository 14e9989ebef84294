"""Staff check a mail: right for the right person alone, counted, noted as read, hard to guess."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from countermand import clock
from countermand.domain import causes, check_code
from countermand.domain.check_code import Verdict
from countermand.domain.delivery import StopKind
from countermand.notices.models import Notice, NoticeEvidence
from countermand.orders import checking
from countermand.orders.checking import Checked
from countermand.orders.models import Order, StaffAnswer
from countermand.people.models import Person
from tests.order_world import After, World

KEY = b"key"


@pytest.fixture
def told(after: After) -> tuple[World, str]:
    return after(World.told_six)


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
        ).verdict
        assert verdict is Verdict.GENUINE

    mine.refresh_from_db()
    assert (mine.state, mine.exposure, mine.proven_at) == ("delivered", 2, world.now)
    assert list(mine.evidence.values_list("kind", "detail")) == [("check_code", "seen")]


def test_the_code_of_somebody_elses_mail_proves_nothing(told: tuple[World, str]) -> None:
    world, number = told
    mine = mail_of(number, "p5")

    for address in ("p6@example.org", "nobody@example.org", "", "x" * 5000):
        verdict = checking.check(
            number, address, mine.values["check_code"], key=KEY, now=world.now
        ).verdict
        assert verdict is Verdict.NOT_GENUINE

    assert not NoticeEvidence.objects.exists()


def moves(world: World, uid: str, address: str) -> None:
    person = world.people[uid]
    person.address = address
    person.save()


def test_whoever_changed_address_checks_at_the_old_one_and_at_the_new_one(
    told: tuple[World, str],
) -> None:
    world, number = told
    mine, others = mail_of(number, "p5"), mail_of(number, "p6")
    moves(world, "p5", "married@example.org")

    for address in ("P5@Example.org ", "married@example.org"):
        right = checking.check(number, address, mine.values["check_code"], key=KEY, now=world.now)
        wrong = checking.check(number, address, others.values["check_code"], key=KEY, now=world.now)

        assert right == Checked(Verdict.GENUINE, world.people["p5"].pk)
        assert wrong == Checked(Verdict.NOT_GENUINE)

    mine.refresh_from_db()
    assert mine.proven_at == world.now
    assert checking.doubts(number) == 0


def test_an_address_that_is_somebody_elses_by_now_is_theirs_alone(told: tuple[World, str]) -> None:
    world, number = told
    one, other = mail_of(number, "p5"), mail_of(number, "p6")
    moves(world, "p5", "between@example.org")
    moves(world, "p6", "p5@example.org")
    moves(world, "p5", "p6@example.org")

    def ask(address: str, mail: Notice) -> Verdict:
        code = mail.values["check_code"]
        return checking.check(number, address, code, key=KEY, now=world.now).verdict

    assert (ask("p6@example.org", one), ask("p5@example.org", other)) == (Verdict.GENUINE,) * 2
    assert (ask("p5@example.org", one), ask("p6@example.org", other)) == (Verdict.NOT_GENUINE,) * 2


def test_a_report_at_the_address_that_the_mail_went_to_is_the_doubt_of_its_person(
    told: tuple[World, str],
) -> None:
    world, number = told
    moves(world, "p5", "married@example.org")

    for address in ("p5@example.org", "married@example.org"):
        checking.report(number, address, key=KEY, now=world.now)

    assert checking.doubts(number) == 1


@pytest.mark.parametrize(
    "address",
    ["p6@example.org", "p7@example.org", "old@example.org", "stranger@elsewhere.example", ""],
)
def test_of_every_address_the_same_is_asked_where_the_code_is_wrong(
    told: tuple[World, str], address: str
) -> None:
    world, number = told
    Person.objects.filter(uid="p6").update(other_addresses=["old@example.org"])
    moves(world, "p7", "married@example.org")  # so that a mail went to nobody's address

    with CaptureQueriesContext(connection) as wrong:
        checking.check(number, address, "0000 0000", key=KEY, now=world.now)
    with CaptureQueriesContext(connection) as reported:
        checking.report(number, address, key=KEY, now=world.now)

    for asked in (wrong, reported):
        rooms = [
            table
            for query in asked.captured_queries
            for table in ("people_person", "notices_notice")
            if f'FROM "{table}"' in query["sql"]
        ]
        people, mails = "people_person", "notices_notice"
        assert rooms == [people, mails, people, mails, mails]


def test_the_code_of_test_mails_is_said_to_be_one_and_is_nobodys_doubt(
    told: tuple[World, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, number = told

    def ask() -> Verdict:
        return checking.check(
            number, "p5@example.org", check_code.OF_TESTS, key=KEY, now=world.now
        ).verdict

    assert {ask() for _ in range(check_code.WRONG_FOR_ONE_ADDRESS + 1)} == {Verdict.TEST_MAIL}
    assert checking.doubts(number) == 0

    monkeypatch.setattr(check_code, "OF_TESTS", mail_of(number, "p5").values["check_code"])
    assert ask() is Verdict.GENUINE  # as one in a hundred million mails carries it


def test_a_code_is_not_found_by_guessing(told: tuple[World, str]) -> None:
    world, number = told
    right = mail_of(number, "p5").values["check_code"]

    def ask(code: str) -> Verdict:
        return checking.check(number, "p5@example.org", code, key=KEY, now=world.now).verdict

    for n in range(check_code.WRONG_FOR_ONE_ADDRESS):
        assert ask(f"{n:08d}") is Verdict.NOT_GENUINE
    assert ask(right) is Verdict.TOO_OFTEN
    world.now += check_code.WITHIN + timedelta(seconds=1)
    assert ask(right) is Verdict.GENUINE


def test_a_stranger_who_guesses_at_a_code_does_not_keep_its_person_from_checking(
    told: tuple[World, str],
) -> None:
    world, number = told
    right = mail_of(number, "p5").values["check_code"]

    def ask(code: str, network: str) -> Verdict:
        return checking.check(
            number, "p5@example.org", code, key=KEY, now=world.now, network=network
        ).verdict

    for n in range(check_code.WRONG_FOR_ONE_ADDRESS):
        assert ask(f"{n:08d}", "203.0.113.0/24") is Verdict.NOT_GENUINE
    assert ask(right, "203.0.113.0/24") is Verdict.TOO_OFTEN
    assert ask(right, "198.51.100.0/24") is Verdict.GENUINE


def test_of_one_code_few_guesses_are_heard_from_however_many_networks(
    told: tuple[World, str],
) -> None:
    world, number = told

    heard = [
        checking.check(
            number, "p5@example.org", f"{n:08d}", key=KEY, now=world.now, network=f"10.0.{n}.0/24"
        ).verdict
        for n in range(40)
    ]

    assert heard.count(Verdict.NOT_GENUINE) == check_code.WRONG_FOR_ONE_ADDRESS_IN_ALL
    a_day = timedelta(days=1) / check_code.WITHIN * check_code.WRONG_FOR_ONE_ADDRESS_IN_ALL
    assert 10**check_code.DIGITS / a_day > 69_000  # one chance in so many that it is found in a day


def wrong_tries(number: str, count: int, world: World, network: str = "") -> None:
    """Let so many strangers' tries have been wrong, a second ago."""
    StaffAnswer.objects.bulk_create(
        StaffAnswer(
            order_number=number,
            kind="not_genuine",
            address_ref=f"{n:064d}",
            network_ref=network or f"{n:063d}x",
            at=world.now - timedelta(seconds=5),
        )
        for n in range(count)
    )


def test_a_thousand_wrong_codes_keep_nobody_from_checking(told: tuple[World, str]) -> None:
    world, number = told
    wrong_tries(number, 1000, world)

    for uid in ("p5", "p6"):
        right = mail_of(number, uid).values["check_code"]
        address = f"{uid}@example.org"
        verdict = checking.check(
            number, address, right, key=KEY, now=world.now, network="192.0.2.0/24"
        ).verdict
        assert verdict is Verdict.GENUINE


def test_under_a_flood_of_guesses_from_everywhere_few_are_heard(told: tuple[World, str]) -> None:
    world, number = told
    wrong_tries(number, check_code.WRONG_FOR_ONE_ORDER, world)
    seconds = 60

    heard = 0
    for n in range(seconds * 4):  # four a second, each from a network and an address of its own
        world.now += timedelta(milliseconds=250)
        verdict = checking.check(
            number, f"x{n}@example.org", "0000 0000", key=KEY, now=world.now, network=f"net {n}"
        ).verdict
        assert verdict in {Verdict.NOT_GENUINE, Verdict.SLOWED}
        heard += verdict is Verdict.NOT_GENUINE

    per_second = check_code.WRONG_FOR_ONE_ORDER / check_code.WITHIN.total_seconds()
    assert 0 < heard <= seconds * per_second
    a_day = 2 * check_code.WRONG_FOR_ONE_ORDER * (timedelta(days=1) / check_code.WITHIN)
    assert 10**check_code.DIGITS / a_day > 1_000  # one in a thousand that any code is found


def test_while_an_order_is_slowed_a_network_that_errs_is_not_heard_but_an_office_is(
    told: tuple[World, str],
) -> None:
    world, number = told

    def ask(uid: str, code: str, network: str) -> Verdict:
        world.now += timedelta(seconds=2)
        address = f"{uid}@example.org"
        return checking.check(
            number, address, code, key=KEY, now=world.now, network=network
        ).verdict

    for uid in ("p5", "p6"):
        mine = mail_of(number, uid).values["check_code"]
        assert ask(uid, mine, "the office") is Verdict.GENUINE
    wrong_tries(number, check_code.WRONG_FOR_ONE_ORDER, world)
    strange = [ask(f"x{n}", "0000 0000", "elsewhere") for n in range(5)]
    office = [ask(f"y{n}", "0000 0000", "the office") for n in range(5)]

    newcomer = check_code.WRONG_OF_A_NEWCOMER
    assert strange == [Verdict.NOT_GENUINE] * newcomer + [Verdict.SLOWED] * (5 - newcomer)
    assert office == [Verdict.NOT_GENUINE] * (newcomer + 2)


def test_one_network_is_slowed_and_the_others_are_not(told: tuple[World, str]) -> None:
    world, number = told
    for n in range(check_code.WRONG_FROM_ONE_NETWORK):
        checking.check(
            number, f"x{n}@example.org", "0000 0000", key=KEY, now=world.now, network="mad"
        )

    def ask(network: str) -> Verdict:
        right = mail_of(number, "p5").values["check_code"]
        return checking.check(
            number, "p5@example.org", right, key=KEY, now=world.now, network=network
        ).verdict

    assert ask("mad") is Verdict.SLOWED
    assert ask("another") is Verdict.GENUINE
    world.now += timedelta(seconds=10)
    assert ask("mad") is Verdict.GENUINE


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


def test_reports_of_one_network_are_slowed_and_those_of_others_are_not(
    told: tuple[World, str],
) -> None:
    world, number = told

    def reports(address: str, network: str) -> Verdict:
        return checking.report(number, address, key=KEY, now=world.now, network=network)

    for n in range(check_code.REPORTS_FROM_ONE_NETWORK):
        assert reports(f"x{n}@example.org", "mad") is Verdict.REPORTED
    assert reports("p5@example.org", "mad") is Verdict.REPORTS_SLOWED
    assert checking.doubts(number) == 0
    assert reports("p5@example.org", "another") is Verdict.REPORTED
    assert checking.doubts(number) == 1
    world.now += timedelta(seconds=10)
    assert reports("p6@example.org", "mad") is Verdict.REPORTED
    assert reports("p6@example.org", "mad") is Verdict.REPORTED  # noted a moment ago
    assert reports("p7@example.org", "mad") is Verdict.REPORTS_SLOWED
    assert checking.doubts(number) == 2
    right = mail_of(number, "p7").values["check_code"]
    looked = checking.check(number, "p7@example.org", right, key=KEY, now=world.now, network="mad")
    assert looked.verdict is Verdict.GENUINE  # an office that reports a lot goes on checking


def test_whose_report_is_not_noted_is_told_so_and_how_to_go_on(
    told: tuple[World, str], client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, number = told
    monkeypatch.setenv("COUNTERMAND_DATA", str(world.settings.data))
    monkeypatch.setenv("COUNTERMAND_OWN_PROXIES", "127.0.0.0/8")
    key = world.settings.folder.secret("message-id-key").encode()
    for n in range(check_code.REPORTS_FROM_ONE_NETWORK):
        checking.report(
            number,
            f"x{n}@example.org",
            key=key,
            now=clock.SystemClock().now(),
            network="203.0.113.0/24",
        )

    typed = {"number": number, "address": "p5@example.org", "do": "report"}
    answer = client.post("/check", typed, headers={"x-forwarded-for": "203.0.113.9"})
    elsewhere = client.post("/check", typed, headers={"x-forwarded-for": "198.51.100.9"})

    page = answer.content.decode()
    assert (answer.status_code, elsewhere.status_code) == (429, 200)
    assert "Try again in a minute, or tell a person" in page
    assert "एक मिनट बाद फिर कोशिश करें, या किसी व्यक्ति को बताएँ" in page
    assert "Thank you for telling us" in elsewhere.content.decode()


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
    led_on = web.get("/check", typed)
    assert (led_on.status_code, led_on["Location"]) == (303, "./")
    for language, order in (("hi", ["hi", "en"]), ("en", ["en", "hi"]), ("<script>", ["en", "hi"])):
        said = web.post("/check", typed | {"language": language}).content.decode()
        assert re.findall(r'<section id="(\w+)"', said) == order  # what one wrote in comes first
        assert f'<html lang="{order[0]}">' in said
    assert "Thank you" in web.post("/check", typed | {"do": "report"}).content.decode()
    wrong = web.post("/check", typed | {"code": "<script>"}).content.decode()
    assert "No such mail went from us to whoever has this address" in wrong
    assert "<script" not in wrong


@pytest.fixture
def asks(
    told: tuple[World, str], client: Client, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], str]:
    """Let somebody check the notice they had, as often as wanted; returns the whole page."""
    world, number = told
    monkeypatch.setenv("COUNTERMAND_DATA", str(world.settings.data))
    monkeypatch.setenv("DATABASE_URL", world.settings.database_url)
    code = mail_of(number, "p5").values["check_code"]
    typed = {"number": number, "address": "p5@example.org", "code": code, "do": "check"}

    def ask() -> str:
        return client.post("/check", typed).content.decode()

    return ask


def test_an_old_notice_is_said_to_be_genuine_and_taken_back_from_the_press_on(
    told: tuple[World, str], asks: Callable[[], str]
) -> None:
    world, number = told
    before = asks()
    world.stops_on_disk(number, "operator")  # and the database has not heard of it
    at_once = asks()
    world.press(number, StopKind.TAKE_BACK)
    corrected = asks()

    assert 'class="state in_force"' in before
    assert "I removed the app" in before
    for page in (at_once, corrected):
        assert "This mail is genuine, and the notice has been taken back" in page
        assert "यह मेल असली है, पर सूचना वापस ले ली गई है" in page
        assert 'class="state withdrawn"' in page
        assert 'class="state in_force"' not in page
        assert "I removed the app" not in page  # nothing is asked any more
    assert "It was sent by mistake." in corrected


def test_how_a_notice_stands_is_said_after_a_pause_and_after_its_end(
    told: tuple[World, str], asks: Callable[[], str]
) -> None:
    world, number = told
    world.press(number, StopKind.PAUSE)
    assert "This mail is genuine; mails about the notice are on hold" in asks()

    Order.objects.filter(number=number).update(phase="closed", paused_from="", ended_at=world.now)
    assert "This mail is genuine, and the notice has ended" in asks()


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


def test_doubters_who_were_let_pass_and_then_found_theirs_genuine_hide_no_new_ones(
    world: World,
) -> None:
    world.staff(9)
    number = world.sent_to_first_group()
    for uid in ("author", "legal", "p5"):
        checking.report(number, f"{uid}@example.org", key=KEY, now=world.now)
    world.sweep()
    world.resume(number)
    for doubt in list(StaffAnswer.objects.filter(order_number=number)):
        doubt.pk, doubt.kind = None, "genuine"
        doubt.save()

    for uid in ("p6", "p7", "p8"):
        checking.report(number, f"{uid}@example.org", key=KEY, now=world.now)
    world.sweep()

    assert world.order(number).phase == "paused"


def test_whoever_forgets_to_type_a_code_is_asked_for_it_and_counted_nowhere(
    told: tuple[World, str],
) -> None:
    world, number = told

    for typed in ("", "  ", "\t"):
        verdict = checking.check(number, "p5@example.org", typed, key=KEY, now=world.now).verdict
        assert verdict is Verdict.NO_CODE

    assert not StaffAnswer.objects.exists()
    assert checking.doubts(number) == 0


def test_whoever_was_passed_a_genuine_mail_on_is_not_told_that_there_is_none(
    told: tuple[World, str], client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, number = told
    monkeypatch.setenv("COUNTERMAND_DATA", str(world.settings.data))
    code = mail_of(number, "p5").values["check_code"]

    typed = {"number": number, "address": "p6@example.org", "code": code, "do": "check"}
    page = client.post("/check", typed).content.decode()

    assert "no such mail from us<" not in page
    assert "its code fits their address alone" in page
    assert "सिर्फ़ उन्हीं के पते के साथ सही है" in page
