"""Who got it: one person's story, the export, and the list of people to call."""

import csv
import json
from pathlib import Path

import pytest

from countermand import i18n
from countermand.cli import entry, mail_story
from countermand.cli.exit_codes import ExitCode
from countermand.domain.delivery import (
    FAULT,
    EvidenceKind,
    NoticeState,
    Reply,
    ReplyKind,
    StopKind,
)
from countermand.domain.findings import Finding
from countermand.domain.notice_life import MOST_ATTEMPTS
from countermand.notices import evidence
from countermand.notices import queries as ledger
from countermand.notices.mail_story import unreached
from countermand.notices.models import Notice
from countermand.orders.doors import closed_devices
from countermand.orders.models import Affected
from countermand.orders.reach import NoMail
from countermand.people.models import Person
from countermand.project.findings import State
from countermand.project.order_checkup import examine_orders
from tests.order_world import DAY, HOUR, MINUTE, World


@pytest.fixture
def number(world: World, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COUNTERMAND_DATA", str(world.settings.data))
    monkeypatch.setenv("DATABASE_URL", world.settings.database_url)
    monkeypatch.setenv("COUNTERMAND_TOKEN", "token-of-author")
    world.staff(6)
    made = world.released()
    world.sweep(11 * MINUTE)
    world.send()
    return made


def heard(world: World, kind: EvidenceKind, detail: str) -> Notice:
    one = Notice.objects.filter(kind="notice", state="sent").order_by("pk")[0]
    finding = Finding(kind, world.now + HOUR, detail, message_id=one.message_id)
    evidence.take([finding], ledger=world.ledger, now=world.now + HOUR)
    return one


def given(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert entry.main(list(arguments)) == 0
    return capsys.readouterr().out


def test_what_is_no_text_is_said_to_be_none(
    number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A terminal in another encoding hands on bytes that no database takes."""
    ended = entry.main(["notice", "story", "M\udcfcller", "--json"])

    assert ended == ExitCode.REFUSED
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "cli.not_text"


def test_one_persons_story_says_what_happened_and_how_it_is_known(
    world: World, number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    one = heard(world, EvidenceKind.DSN_FAILED, "5.2.2 mailbox full")

    shown = given(capsys, "notice", "story", one.address)
    [mail] = json.loads(given(capsys, "notice", "story", one.address, "--json"))["mails"]

    assert "taken by the mail server" in shown
    assert "it came back 5.2.2 mailbox full" in shown
    assert (mail["order"], mail["state"]) == (number, "bounced")
    assert [each["kind"] for each in mail["heard"]] == ["dsn_failed"]


def test_an_export_has_a_line_for_every_mail_and_no_cell_that_computes(
    world: World, number: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    one = heard(world, EvidenceKind.DSN_FAILED, "=HYPERLINK(1)")
    world.people["author"].name = "=cmd|x"
    world.people["author"].save()
    file = tmp_path / "mails.csv"

    given(capsys, "notice", "export", number, "--to", str(file))
    as_json = json.loads(given(capsys, "notice", "export", number, "--format", "json"))

    with file.open(encoding="utf-8-sig", newline="") as text:
        rows = list(csv.DictReader(text))
    assert len(rows) == len(as_json) == Affected.objects.filter(order=number).count()
    assert {row["address"]: row["the mail"] for row in rows}[one.address] == "came back"
    assert not any(cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())
    assert file.stat().st_mode & 0o077 == 0


def test_an_export_for_people_is_in_their_language_to_the_head_of_every_column(
    number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    head = given(capsys, "--lang", "hi", "notice", "export", number).splitlines()[0]
    i18n.use("en")

    assert [each for each in head.split(",") if each.isascii()] == ["Message-ID"]


def test_a_file_that_cannot_be_taken_is_named_with_what_is_wrong_with_it(
    number: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    there = tmp_path / "mails.csv"
    there.write_text("mine", encoding="utf-8")
    said = {}
    for arguments in (
        ("notice", "export", number, "--to", str(there)),
        ("notice", "export", number, "--to", str(tmp_path / "no" / "mails.csv")),
        ("order", "plan", str(tmp_path / "no.yaml")),
    ):
        code = entry.main(list(arguments))
        said[arguments[-1].removeprefix(str(tmp_path))] = (code, capsys.readouterr().err)

    assert "exists already" in said["/mails.csv"][1]
    assert "cannot be written (No such file or directory)" in said["/no/mails.csv"][1]
    assert "cannot be opened (No such file or directory)" in said["/no.yaml"][1]
    assert [code for code, _ in said.values()] == [1, 1, 3]


def test_an_exercise_that_nobody_sends_says_so(
    world: World, number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    exercise = world.released(mode="exercise")
    world.sweep(11 * MINUTE)
    world.send()  # a sender of live orders

    shown = " ".join(given(capsys, "order", "show", exercise).split())
    live = given(capsys, "order", "show", number)
    found = examine_orders(world.settings, now=world.now)
    world.ledger.lease(sender="exercise-1", mode="exercise", host="h", pid=1, seconds=60)

    assert "Start: countermand up --exercises" in shown
    assert "exercises" not in live
    assert (found.state, exercise in found.sentence) == (State.BAD, True)
    assert examine_orders(world.settings, now=world.now).state is State.GOOD
    assert "exercises" not in given(capsys, "order", "show", exercise)


@pytest.mark.parametrize("verb", ["notice", "log"])
def test_an_export_never_writes_over_a_file_and_is_for_its_owner_alone(
    number: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, verb: str
) -> None:
    file, fresh = tmp_path / "there", tmp_path / "fresh"
    file.write_text("mine", encoding="utf-8")
    to = {"notice": [number, "--to"], "log": []}[verb]

    assert entry.main([verb, "export", *to, str(file)]) != 0
    assert "exists already" in capsys.readouterr().err
    assert entry.main([verb, "export", *to, str(fresh)]) == 0

    assert file.read_text(encoding="utf-8") == "mine"
    assert fresh.stat().st_mode & 0o077 == 0
    assert fresh.read_bytes().count(b"\n") > 1


def test_whom_no_mail_could_reach_is_to_be_called(
    world: World, number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    one = heard(world, EvidenceKind.DSN_FAILED, "5.1.1 no such mailbox")

    listed = json.loads(given(capsys, "notice", "list", number, "--to-call", "--json"))
    shown = given(capsys, "notice", "list", number, "--to-call")

    assert [each["address"] for each in listed] == [one.address]
    assert (listed[0]["kind"], listed[0]["detail"]) == ("notice", "5.1.1 no such mailbox")
    assert "came back 5.1.1" in " ".join(shown.split())


def test_who_may_have_got_it_is_called_and_keeps_mail_until_evidence_comes(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COUNTERMAND_DATA", str(world.settings.data))
    monkeypatch.setenv("DATABASE_URL", world.settings.database_url)
    monkeypatch.setenv("COUNTERMAND_TOKEN", "token-of-author")
    world.staff(6)
    world.device("author")  # the first small group begins with them
    number = world.released()
    world.sweep(11 * MINUTE)
    world.send(1, kind=ReplyKind.LOST)
    one = Notice.objects.get(state="maybe")
    assert unreached(number) == ()  # it is tried again by itself
    for _ in range(MOST_ATTEMPTS):
        Notice.objects.filter(pk=one.pk).update(due_at=world.now)
        world.send(1, kind=ReplyKind.LOST)
    for _ in range(8):
        world.sweep(31 * MINUTE)
        world.send()
    for before in (DAY, 40 * MINUTE, MINUTE):
        world.now = world.last_deadline(number) - before
        world.import_run()
        for device in world.devices():
            world.observe(device, "present")
        world.sweep()
        world.send()
    world.sweep(2 * MINUTE)

    listed = json.loads(given(capsys, "notice", "list", number, "--to-call", "--json"))
    shown = " ".join(given(capsys, "notice", "list", number, "--to-call").split())
    kinds = set(Notice.objects.filter(person_id=one.person_id).values_list("kind", flat=True))

    assert [(each["address"], each["state"]) for each in listed] == [(one.address, "maybe")]
    assert "it is not certain" in shown
    assert kinds == {"notice"}
    closed = closed_devices(number, now=world.now)
    assert {each.person_id for each in world.devices() if each.pk not in closed} == {one.person_id}

    finding = Finding(EvidenceKind.DSN_DELIVERED, world.now, "", message_id=one.message_id)
    evidence.take([finding], ledger=world.ledger, now=world.now)
    assert unreached(number) == ()


def test_after_a_take_back_nobody_is_called_who_never_heard_of_the_notice(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COUNTERMAND_DATA", str(world.settings.data))
    monkeypatch.setenv("DATABASE_URL", world.settings.database_url)
    monkeypatch.setenv("COUNTERMAND_TOKEN", "token-of-author")
    world.staff(6)
    number = world.released()
    world.sweep(11 * MINUTE)
    world.send(1, kind=ReplyKind.REFUSED)
    world.send()
    world.press(number, StopKind.TAKE_BACK)
    [refused] = world.send(1, kind=ReplyKind.REFUSED)
    world.send()
    world.sweep(MINUTE)

    listed = json.loads(given(capsys, "notice", "list", number, "--to-call", "--json"))
    shown = given(capsys, "order", "show", number)

    assert [(each["address"], each["kind"]) for each in listed] == [(refused, "correction")]
    assert f"countermand notice list {number} --to-call" in " ".join(shown.split())
    assert "mail has stopped by" not in shown


def test_a_code_that_was_entered_is_told_in_words(
    world: World, number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    one = heard(world, EvidenceKind.CHECK_CODE, "seen")

    shown = given(capsys, "notice", "story", one.address)

    assert "its check code was entered" in shown
    assert "seen" not in shown


def test_every_state_and_every_kind_of_evidence_has_words_of_its_own() -> None:
    assert set(mail_story.MAIL_STATES) == {each.value for each in NoticeState}
    assert set(mail_story.NO_MAIL) == {each.value for each in NoMail}
    assert set(mail_story.HEARD) == {each.value for each in EvidenceKind}
    assert len(set(mail_story.MAIL_STATES.values())) == len(NoticeState)


def test_a_mail_that_came_back_is_nowhere_said_to_have_been_got(
    world: World, number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = ledger.reach(number)
    one = heard(world, EvidenceKind.DSN_FAILED, "5.1.1 no such mailbox")

    listed = json.loads(given(capsys, "notice", "list", number, "--json"))
    exported = json.loads(given(capsys, "notice", "export", number, "--format", "json"))
    after = ledger.reach(number)

    assert {each["reach"] for each in listed if each["address"] == one.address} == {"possible"}
    assert {each["reach"] for each in exported if each["address"] == one.address} == {"possible"}
    assert (after.got_it, after.may_have) == (before.got_it - 1, before.may_have + 1)
    assert after.not_sent == before.not_sent
    # Somebody may have read it before it came back, so the correction stays owed.
    world.press(number, StopKind.TAKE_BACK)
    assert Notice.objects.filter(kind="correction", person_id=one.person_id).exists()


def test_a_mail_that_was_given_up_unsent_keeps_nobody_from_being_called(world: World) -> None:
    world.staff(40)
    number = world.sending()
    world.press(number, StopKind.PAUSE)
    world.now += 6 * DAY
    world.resume(number)  # what waited is given up, and written anew with a later deadline
    for _ in range(8):
        world.sweep(31 * MINUTE)
        refused = world.send(1, kind=ReplyKind.REFUSED)
        if refused:
            break

    [person] = Notice.objects.filter(state="refused").values_list("person_id", flat=True)
    assert Notice.objects.filter(person_id=person, state="skipped").exists()
    assert unreached(number) == (person,)


def test_everybody_on_the_list_is_named_in_list_and_export_whom_no_wave_has_reached_too(
    world: World, number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    people = Affected.objects.filter(order=number).count()
    written = Notice.objects.count()
    shown = " ".join(given(capsys, "notice", "list", number).split())
    listed = json.loads(given(capsys, "notice", "list", number, "--json"))
    exported = json.loads(given(capsys, "notice", "export", number, "--format", "json"))
    table = list(csv.DictReader(given(capsys, "notice", "export", number).splitlines()))
    order = json.loads(given(capsys, "order", "show", number, "--json"))

    assert len(listed) == len(exported) == len(table) == people > written
    assert len({tuple(each) for each in listed}) == len({tuple(each) for each in exported}) == 1
    waiting = [each for each in listed if each["state"] == "wave_not_begun"]
    assert len(waiting) == people - written == order["notices"]["not_sent"]
    assert {each["reach"] for each in waiting} == {"none"}
    assert all(each["name"] and each["address"] for each in waiting)
    assert "their wave has not" in shown
    said = {row["address"]: row["the mail"] for row in table}
    assert said[waiting[0]["address"]] == "no mail yet: their wave has not begun"
    assert json.loads(given(capsys, "notice", "list", number, "--to-call", "--json")) == []
    only = given(capsys, "notice", "list", number, "--person", waiting[0]["address"], "--json")
    assert [each["state"] for each in json.loads(only)] == ["wave_not_begun"]
    assert json.loads(given(capsys, "notice", "list", number, "--kind", "lock", "--json")) == []


def states(capsys: pytest.CaptureFixture[str], number: str) -> dict[str, str]:
    listed = json.loads(given(capsys, "notice", "list", number, "--json"))
    return {each["address"]: each["state"] for each in listed if each["kind"] == "notice"}


def test_who_had_left_before_their_wave_is_named_as_such(
    world: World, number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    waiting = next(at for at, state in states(capsys, number).items() if state == "wave_not_begun")
    Person.objects.filter(address=waiting).update(left_on=world.now.date())
    assert states(capsys, number)[waiting] == "wave_not_begun"
    world.sweep(31 * MINUTE)

    found = states(capsys, number)

    assert found[waiting] == "had_left"
    assert "wave_not_begun" not in found.values()


def test_who_was_spared_by_a_take_back_is_named_as_such(
    world: World, number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    waiting = {at for at, state in states(capsys, number).items() if state == "wave_not_begun"}
    world.press(number, StopKind.TAKE_BACK)

    found = states(capsys, number)

    assert {at for at, state in found.items() if state == "ended_first"} == waiting
    assert json.loads(given(capsys, "notice", "list", number, "--to-call", "--json")) == []


def test_whose_mails_were_forgotten_counts_as_nobody_who_was_spared(
    number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = states(capsys, number)
    Notice.objects.all().delete()

    after = states(capsys, number)
    order = json.loads(given(capsys, "order", "show", number, "--json"))

    assert set(before) == set(after)
    assert {after[at] for at, state in before.items() if state == "sent"} == {"forgotten"}
    assert order["notices"]["not_sent"] == sum(s == "wave_not_begun" for s in before.values())


def test_a_mail_at_which_something_failed_here_is_seen_by_whoever_looks(
    world: World, number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = json.loads(given(capsys, "order", "show", number, "--json"))["at_fault"]
    world.sweep(31 * MINUTE)
    [one] = world.claim(1, sender="sender-1")
    reply = Reply(one.holding, ReplyKind.REFUSED, after_dot=False, text=FAULT, queue_id=None)
    world.ledger.acknowledge(sender="sender-1", replies=[reply], now=world.now)

    listed = " ".join(given(capsys, "notice", "list", number, "--person", one.address).split())
    called = " ".join(given(capsys, "notice", "list", number, "--to-call").split())
    shown = " ".join(given(capsys, "order", "show", number).split())
    story = given(capsys, "notice", "story", one.address)
    table = given(capsys, "notice", "export", number)
    found = examine_orders(world.settings, now=world.now)

    assert before == 0
    assert "something failed" in listed
    assert one.address.partition("@")[0] in called
    assert "something failed" in called
    assert f"1: countermand notice list {number} --to-call" in shown
    assert "something failed here" in story
    assert "not sent: something failed here" in table
    assert not any(FAULT in each for each in (listed, called, shown, story, table))
    assert (found.state, number in found.sentence) == (State.BAD, True)
