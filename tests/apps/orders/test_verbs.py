"""The verbs of the command line about orders: what they answer, and with which exit code."""

import json
import re
import socketserver
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from countermand.cli import entry
from countermand.cli.exit_codes import ExitCode
from countermand.devices.models import ImportRun
from countermand.domain.delivery import ReplyKind
from countermand.orders.models import WithdrawnCopy
from tests.order_world import MINUTE, World, order_text

INSIDE = re.compile(
    r"\b(permit|fence|barrier|epoch|hit list|exposure|verdict|attestation)s?\b", re.IGNORECASE
)


class Relay(socketserver.StreamRequestHandler):
    """Greets, and says yes to everything."""

    def handle(self) -> None:
        self.wfile.write(b"220 relay\r\n")
        while line := self.rfile.readline():
            is_over = line.lower().startswith(b"quit")
            self.wfile.write(b"221 bye\r\n" if is_over else b"250 yes\r\n")
            if is_over:
                return


@pytest.fixture
def relay() -> Iterator[str]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Relay) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


class Terminal:
    """Somebody at a terminal of this installation."""

    def __init__(
        self, world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.world, self._environ, self._seen = world, monkeypatch, capsys
        self._environ.setenv("COUNTERMAND_DATA", str(world.settings.data))
        self._environ.setenv("DATABASE_URL", world.settings.database_url)

    def set(self, name: str, value: str) -> None:
        self._environ.setenv(name, value)

    def give(self, *arguments: str, who: str = "author") -> tuple[int, str]:
        self._environ.setenv("COUNTERMAND_TOKEN", f"token-of-{who}")
        self._seen.readouterr()
        code = entry.main(list(arguments))
        seen = self._seen.readouterr()
        return code, seen.out + seen.err

    def ask(self, *arguments: str, who: str = "author") -> Any:
        code, said = self.give(*arguments, "--json", who=who)
        assert code == ExitCode.DONE, said
        return json.loads(said)


@pytest.fixture
def terminal(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Terminal:
    return Terminal(world, monkeypatch, capsys)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "order.yaml"
    deadline = {"at": "2099-12-10T17:00", "clock": "each-person"}
    path.write_text(order_text(deadline=deadline, review_on="2100-06-10"), encoding="utf-8")
    return path


def approved(terminal: Terminal, file: Path) -> str:
    number = str(terminal.ask("order", "plan", str(file))["number"])
    terminal.ask("order", "submit", number)
    for who in ("legal", "council"):
        terminal.ask("order", "review", number, who=who)
        terminal.ask("order", "approve", number, who=who)
    return number


def test_from_the_file_to_the_release(terminal: Terminal, file: Path, relay: str) -> None:
    terminal.world.staff(8)
    number = approved(terminal, file)
    assert terminal.ask("order", "show", number)["phase"] == "approved"

    terminal.set("COUNTERMAND_RELAY", "127.0.0.1:1")
    code, _ = terminal.give("order", "release", number, who="operator")
    assert code == ExitCode.NOT_REACHABLE
    terminal.set("COUNTERMAND_RELAY", relay)
    released = terminal.ask("order", "release", number, who="operator")

    assert released["emergency_code"]
    shown = terminal.ask("order", "show", number, "--timeline")
    assert shown["phase"] == "hold"
    assert [line["what"] for line in shown["timeline"]][-1] == "released; nothing leaves yet"
    assert (terminal.world.settings.folder.lookup / f"{number}.html").is_file()
    assert [line["number"] for line in terminal.ask("order", "list")] == [number]


def test_a_faulty_file_is_refused_with_every_fault_and_line(
    terminal: Terminal, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("countermand: order/v1\nmode: live\ndeadline: {at: 2099-01-01}\n")

    code, said = terminal.give("order", "plan", str(bad), "--json")

    faults = json.loads(said)["error"]["faults"]
    assert code == ExitCode.REFUSED
    assert {"order.deadline_hour_missing", "order.apps_missing"} <= {f["code"] for f in faults}
    assert all(fault["file"] == str(bad) for fault in faults)


def test_the_author_is_refused_by_name_and_a_stranger_by_token(
    terminal: Terminal, file: Path
) -> None:
    number = terminal.ask("order", "plan", str(file))["number"]
    terminal.ask("order", "submit", number)

    code, said = terminal.give("order", "approve", number, "--json")
    assert (code, json.loads(said)["error"]["code"]) == (ExitCode.NOT_ALLOWED, "approval.own")
    code, _ = terminal.give("order", "approve", number, who="a-stranger")
    assert code == ExitCode.NOT_ALLOWED


def test_a_mistyped_number_is_recognised_and_an_unknown_one_offers_the_nearest(
    terminal: Terminal, file: Path
) -> None:
    number = str(terminal.ask("order", "plan", str(file))["number"])
    swapped = number[:-1] + ("3" if number.endswith("2") else "2")

    code, said = terminal.give("order", "show", swapped)
    assert code == ExitCode.NOT_FOUND
    assert "mistyped" in said or number in said
    code, _ = terminal.give("order", "show", "CM-7Q4K")
    assert code == (ExitCode.NOT_FOUND if number != "CM-7Q4K" else ExitCode.DONE)


@pytest.mark.parametrize("language", ["en", "hi"])
def test_no_inside_word_reaches_a_reader(terminal: Terminal, file: Path, language: str) -> None:
    terminal.world.staff(8)
    number = approved(terminal, file)

    for verb in (
        ("order", "plan", "--number", number),
        ("order", "show", number, "--timeline"),
        ("order", "list"),
        ("order", "review", number),
        ("notice", "preview", number),
        ("rules", "--app", "tiktok", "--person", "author"),
    ):
        code, said = terminal.give("--lang", language, *verb)
        assert code == ExitCode.DONE, said
        assert INSIDE.search(said) is None, INSIDE.search(said)


def test_who_was_sent_what_is_listed_with_their_own_deadline(terminal: Terminal) -> None:
    terminal.world.staff(8)
    number = terminal.world.sent_to_first_group()

    rows = terminal.ask("notice", "list", number, "--person", "author@example.org")

    assert [row["kind"] for row in rows] == ["notice"]
    assert rows[0]["reach"] == "certain"
    assert rows[0]["own_deadline_at"] is not None
    assert terminal.ask("notice", "list", number, "--to-call") == []


def test_tables_tell_time_by_the_clock_of_the_house_and_programs_in_utc(
    terminal: Terminal,
) -> None:
    terminal.world.staff(12)
    number = terminal.world.sent_to_first_group()
    terminal.set("COUNTERMAND_ZONE", "Asia/Kolkata")
    terminal.set("COLUMNS", "200")

    _, table = terminal.give("notice", "list", number)
    _, read = terminal.give("notice", "list", number, "--json")

    told = {line["accepted_at"] for line in json.loads(read)} - {None}
    assert {datetime.fromisoformat(at).utcoffset() for at in told} == {timedelta()}
    assert f"{terminal.world.now.astimezone(ZoneInfo('Asia/Kolkata')):%Y-%m-%d %H:%M}" in table
    assert "Asia/Kolkata" in table
    assert "UTC" not in table


def test_a_table_shows_an_address_as_people_write_it_and_programs_get_it_as_it_is_kept(
    terminal: Terminal,
) -> None:
    author = terminal.world.people["author"]
    author.address = "author@xn--i1b1b4ch5i.xn--h2brj9c"
    author.save()
    terminal.world.staff(8)
    number = terminal.world.sent_to_first_group()
    terminal.set("COLUMNS", "200")
    asked = ("notice", "list", number, "--person", "author@कंपनी.भारत")

    _, table = terminal.give(*asked)

    assert "author@कंपनी.भारत" in table
    assert [line["address"] for line in terminal.ask(*asked)] == [author.address]


def test_a_mail_that_an_order_never_sends_is_not_shown_as_nothing(
    terminal: Terminal, file: Path
) -> None:
    terminal.world.staff(8)
    number = approved(terminal, file)

    code, said = terminal.give("notice", "preview", number, "--language", "fr")

    assert code == ExitCode.NOT_FOUND
    assert "en, hi" in said
    assert len(terminal.ask("notice", "preview", number, "--kind", "lock")) == 2


def test_why_an_order_was_paused_is_no_longer_told_once_it_is_taken_back(
    terminal: Terminal,
) -> None:
    terminal.world.staff(8)
    number = terminal.world.sending()
    terminal.give("pause", number, "--because", "The list looks wrong.", who="operator")
    _, said = terminal.give("order", "show", number)
    assert "The list looks wrong." in said

    terminal.give("take-back", number, "--because", "mistake", who="operator")

    _, said = terminal.give("order", "show", number)
    assert "why it is paused" not in said


def test_a_deadline_when_the_help_desk_is_away_is_told_with_the_plan(
    terminal: Terminal, file: Path
) -> None:
    terminal.world.staff(8)
    terminal.set("COUNTERMAND_HELP_DESK_HOURS", "09:00-16:30")

    plan = terminal.ask("order", "plan", str(file))["plan"]
    _, said = terminal.give("--lang", "hi", "order", "plan", str(file))

    assert plan["outside_hours"] == {"hours": "09:00-16:30", "people": plan["people"]}
    assert "09:00-16:30" in said
    terminal.set("COUNTERMAND_HELP_DESK_HOURS", "09:00-18:00")
    _, said = terminal.give("order", "plan", str(file))
    assert "help desk is not there" not in said


def test_an_inventory_that_is_held_is_told_to_whoever_relies_on_its_figures(
    terminal: Terminal, file: Path
) -> None:
    terminal.world.staff(8)
    at = terminal.world.now
    held = {"source": "csv", "as_of": at, "started_at": at, "complete": False}
    ImportRun.objects.create(**held, state="held", report={"is_whole": True})

    planned = terminal.ask("order", "plan", str(file))
    _, said = terminal.give("--lang", "hi", "order", "review", planned["number"], who="legal")
    _, shown = terminal.give("order", "show", planned["number"])

    assert [each["source"] for each in planned["held_inventories"]] == ["csv"]
    command = "countermand import devices --source csv … --confirm-mass-change"
    assert command in " ".join(said.split())
    assert command in " ".join(shown.split())

    ImportRun.objects.create(**held | {"complete": True}, state="loaded")
    assert terminal.ask("order", "show", planned["number"])["held_inventories"] == []


def test_that_no_mailbox_was_asked_is_said(terminal: Terminal) -> None:
    terminal.world.staff(8)
    number = terminal.world.sent_to_first_group()
    terminal.give("take-back", number, "--because", "mistake", who="operator")

    _, said = terminal.give("notice", "copies", number)
    assert "COUNTERMAND_WITHDRAW_COPIES" in said

    WithdrawnCopy.objects.create(
        order_number=number,
        notice_id=1,
        person_id=terminal.world.people["author"].pk,
        address="author@example.org",
        message_id="<1@example.org>",
        asked_at=terminal.world.now,
        state="already_read",
    )
    _, said = terminal.give("notice", "copies", number)
    assert "already read: 1" in said
    assert "taken away unread: 0" in said


def test_there_is_no_statement_before_staff_were_told(terminal: Terminal) -> None:
    terminal.world.staff(8)
    words = {"en": "We told {people_corrected}.", "hi": "{people_corrected} को बताया।"}
    number = terminal.world.sent_to_first_group(
        statement=dict.fromkeys(("mistake", "reason_gone", "replaced"), words)
    )
    code, _ = terminal.give("statement", "show", number)
    assert code == ExitCode.REFUSED

    terminal.give("take-back", number, "--because", "mistake", who="operator")
    code, _ = terminal.give("statement", "show", number)
    assert code == ExitCode.REFUSED
    # The terminal goes by this machine's clock, far ahead of the clock of the tests.
    terminal.world.now = datetime(2100, 1, 1, tzinfo=UTC)
    terminal.world.send(1, kind=ReplyKind.DEFERRED)
    told = len(terminal.world.send())
    terminal.world.sweep(MINUTE)

    assert terminal.world.order(number).phase == "correcting"
    said = terminal.ask("statement", "show", number)["statement"]
    assert said == f"We told {told}."


def test_a_take_back_at_the_terminal_says_who_got_it(terminal: Terminal) -> None:
    terminal.world.staff(8)
    number = terminal.world.sent_to_first_group()

    said = terminal.ask("take-back", number, "--because", "mistake", who="operator")

    assert said["phase"] == "correcting"
    assert said["got_it"] == said["corrections"] > 0
    assert said["durable_ms"] < 1000


def test_whom_no_wave_has_reached_counts_among_those_who_did_not_get_it(terminal: Terminal) -> None:
    terminal.world.staff(8)
    number = terminal.world.sent_to_first_group()
    before = terminal.ask("order", "show", number)

    said = terminal.ask("take-back", number, "--because", "mistake", who="operator")
    after = terminal.ask("order", "show", number)

    assert said["not_sent"] == before["people"] - said["got_it"] - said["may_have"] > 0
    assert before["notices"]["not_sent"] == after["notices"]["not_sent"] == said["not_sent"]


def test_of_an_order_that_was_withdrawn_in_time_nothing_is_said_that_was_not_so(
    terminal: Terminal, file: Path, relay: str
) -> None:
    terminal.world.staff(8)
    number = approved(terminal, file)
    terminal.set("COUNTERMAND_RELAY", relay)
    terminal.ask("order", "release", number, who="operator")
    _, early = terminal.give("statement", "show", number)

    _, said = terminal.give("take-back", number, "--because", "mistake", who="operator")
    _, later = terminal.give("statement", "show", number)

    assert "it was not taken back" in early
    assert "Nobody was told, so nobody needs a correction." in said
    assert "the mail relay has taken" not in said
    assert "it was withdrawn before anybody was told" in later
    for text in (early, later):
        assert "Wait until corrections" not in text


def test_a_pause_says_nothing_that_holds_for_ever(terminal: Terminal) -> None:
    terminal.world.staff(8)
    number = terminal.world.sent_to_first_group()

    _, paused = terminal.give("pause", number, "--because", "Looks wrong.", who="operator")
    _, back = terminal.give("take-back", number, "--because", "mistake", who="operator")

    assert "any more" not in paused
    assert "Until somebody lets it go on, no mail of it leaves" in paused
    assert "Not sent so far: " in paused
    assert "No notice of it leaves any more" in back
    assert "Not sent any more: " in back
