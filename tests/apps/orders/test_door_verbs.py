"""The verbs about doors as a person or a script meets them: passwords, counts, letting through."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from countermand.cli.exit_codes import ExitCode
from countermand.clock import SystemClock
from countermand.devices.models import Device
from countermand.domain.approvals import Role
from countermand.enforcement import door_counts
from countermand.enforcement.actions import Publisher, compile_entries
from countermand.enforcement.door_counts import Said
from tests.apps.orders.test_verbs import INSIDE, Terminal, terminal
from tests.gate_world import door, now
from tests.order_world import World

__all__ = ["terminal"]


@pytest.fixture
def staffed(terminal: Terminal) -> Terminal:
    terminal.world.staff(2)
    terminal.world.person("postmaster", Role.MAIL_ADMIN)
    terminal.ask("device", "stage", "all-staff", "volunteers", who="postmaster")
    return terminal


def test_a_password_is_issued_listed_exported_and_revoked(
    staffed: Terminal, tmp_path: Path
) -> None:
    issued = staffed.ask(
        "device", "password", "issue", "--who", "p5@example.org", "--device", "d0", who="desk"
    )
    assert issued["device"].startswith("phone-")
    assert len(issued["password"]) == 24

    [row] = staffed.ask("device", "password", "list", "--who", "p5", who="desk")
    assert (row["name"], row["in_inventory"], row["revoked_at"]) == (issued["device"], True, None)

    file = tmp_path / "passwd"
    assert staffed.ask("device", "password", "export", str(file), who="desk")["count"] == 1
    assert issued["password"] not in file.read_text(encoding="utf-8")

    staffed.ask("device", "password", "revoke", issued["device"], who="desk")
    code, said = staffed.give("device", "password", "revoke", issued["device"], who="desk")
    assert (code, "There is no device password" in said) == (ExitCode.NOT_FOUND, True)


def test_an_export_where_nothing_may_be_written_says_so(staffed: Terminal, tmp_path: Path) -> None:
    (tmp_path / "in-the-way").touch()
    staffed.set("COUNTERMAND_DEVICE_PASSWORDS", str(tmp_path / "in-the-way" / "passwords"))

    code, said = staffed.give("device", "password", "export", who="desk")

    assert code == ExitCode.USAGE
    assert "in-the-way" in said
    assert "Traceback" not in said


def test_somebody_without_a_role_may_not_act_for_others(staffed: Terminal) -> None:
    words = ("device", "password", "issue", "--who", "p5@example.org")

    assert staffed.give(*words, who="author")[0] == ExitCode.NOT_ALLOWED
    assert staffed.give(*words, who="nobody")[0] == ExitCode.NOT_ALLOWED
    assert staffed.give("device", "stage", "*", "new_devices", who="desk")[0] == (
        ExitCode.NOT_ALLOWED
    )


def test_limiting_main_passwords_asks_for_a_group_with_people_and_a_yes(staffed: Terminal) -> None:
    def limit(group: str, *words: str) -> tuple[int, str]:
        typed = ("device", "stage", group, "main_password_limited", *words)
        return staffed.give(*typed, who="postmaster")

    code, said = limit("al-staff", "--yes")
    assert (code, "all-staff" in said) == (ExitCode.NOT_FOUND, True)

    code, said = limit("*")
    assert (code, "--yes" in said) == (ExitCode.REFUSED, True)
    everybody = len(staffed.world.people)
    assert f"{everybody} of {everybody}" in said
    assert staffed.ask("device", "stages")["groups"] == {"all-staff": "volunteers"}

    assert limit("*", "--yes")[0] == ExitCode.DONE


def test_who_is_let_through_is_listed_for_whoever_has_a_role(
    staffed: Terminal, world: World
) -> None:
    number = str(world.plan())
    words = ("--device", "d0", "--because", "The surgeon on call needs mail.")
    staffed.ask("override", "give", number, *words, who="desk")
    listing = ("override", "list", number)

    for who in ("author", "legal", "desk", "postmaster"):
        assert [each["by"] for each in staffed.ask(*listing, who=who)] == ["Desk"]

    code, said = staffed.give(*listing, who="nobody")
    assert code == ExitCode.NOT_ALLOWED
    assert "surgeon" not in said


def test_it_is_shown_who_stands_where(staffed: Terminal) -> None:
    counted = staffed.ask("device", "stages")
    by_stage = {each["stage"]: each for each in counted["stages"]}

    assert by_stage["volunteers"]["people"] == len(staffed.world.people)
    assert counted["groups"] == {"all-staff": "volunteers"}
    assert "volunteers: whoever asks gets one" in staffed.give("device", "stages")[1]


def test_doors_are_shown_over_time_and_beside_a_plan(staffed: Terminal, tmp_path: Path) -> None:
    _, said = staffed.give("doors")
    assert "No mail gate has been asked anything" in said

    now = SystemClock().now()
    counts = {"activesync_known": 30, "main_password": 10, "sending": 99}
    door_counts.keep(Said("http://g1", "b", counts, 1), now=now)

    answer = staffed.ask("doors", "--days", "2", "--by-hour")
    assert answer["share"] == {"known": 30, "reading": 40, "per_cent": 75}
    assert len(answer["over_time"]) == 1
    _, said = staffed.give("doors")
    assert "75 % came through a door that knows the device" in said
    assert not INSIDE.search(said)


def test_hours_and_days_begin_where_they_do_by_the_clock_of_the_house_and_in_utc_for_programs(
    staffed: Terminal,
) -> None:
    india = ZoneInfo("Asia/Kolkata")
    staffed.set("COUNTERMAND_ZONE", "Asia/Kolkata")
    staffed.set("COLUMNS", "200")
    hour = SystemClock().now().replace(minute=0, second=0, microsecond=0)
    said_there = Said("http://g1", "b", {"main_password": 10}, 1)
    door_counts.keep(said_there, now=hour + timedelta(minutes=59))

    [told] = staffed.ask("doors", "--by-hour")["over_time"]
    _, table = staffed.give("doors", "--by-hour")
    assert told["when"] == hour.isoformat()
    assert f"{hour.astimezone(india):%Y-%m-%d %H}:30" in table

    [told] = staffed.ask("doors")["over_time"]
    day = datetime.fromisoformat(told["when"])
    _, table = staffed.give("doors")
    assert (day.utcoffset(), f"{day:%H:%M}") == (timedelta(), "18:30")
    assert timedelta() <= hour - day < timedelta(days=1)
    assert f" {hour.astimezone(india):%Y-%m-%d} " in table


def test_letting_through_is_listed_and_ended(staffed: Terminal, world: World) -> None:
    number = str(world.plan())

    too_long = "You may give 4 hours, not 5."
    no_span = "10000 is the largest that it takes."
    for hours, ends_with, told in (
        ("5", ExitCode.REFUSED, too_long),
        ("1e300", ExitCode.USAGE, no_span),
        ("inf", ExitCode.USAGE, no_span),
        ("nan", ExitCode.USAGE, no_span),
    ):
        refused = staffed.give(
            "override", "give", number, "--device", "d0", "--because", "On call.",
            "--hours", hours, who="desk",
        )  # fmt: skip
        assert (refused[0], told in refused[1]) == (ends_with, True)

    words = ("--device", "d0", "--because", "The surgeon on call needs mail.")
    given = staffed.ask("override", "give", number, *words, who="desk")
    assert datetime.fromisoformat(given["until"]) > SystemClock().now()
    [listed] = staffed.ask("override", "list", number)
    assert (listed["by"], listed["because"]) == ("Desk", "The surgeon on call needs mail.")
    shown = staffed.ask("order", "show", number)
    assert [each["by"] for each in shown["let_through"]] == ["Desk"]
    assert "The surgeon on call" in staffed.give("order", "show", number)[1]

    staffed.ask("override", "end", number, *words, who="desk")
    assert staffed.ask("override", "list", number) == []
    code, _ = staffed.give("override", "end", number, *words, who="desk")
    assert code == ExitCode.NOT_FOUND


def entered(device_id: int, number: str, publisher: Publisher) -> None:
    facts = door("phone-a", device_id=device_id)
    entry = replace(facts.entry, order_number=number)
    compile_entries(number, [replace(facts, entry=entry)], publisher=publisher, now=now())


@pytest.mark.parametrize("verb", ["override", "answer"])
def test_a_gate_that_could_not_be_told_of_an_opening_is_named_with_a_time(
    staffed: Terminal, world: World, verb: str
) -> None:
    number = str(world.plan())
    device_id = Device.objects.get(source_device_id="d0").pk
    entered(device_id, number, Publisher.load(world.settings.folder))
    staffed.set("COUNTERMAND_GATES", "http://127.0.0.1:1")
    words = (
        ("override", "give", number, "--device", "d0", "--because", "On call.")
        if verb == "override"
        else ("answer", "removed", "--order", number, "--device", "d0")
    )

    code, said = staffed.give(*words, who="desk")

    assert code == ExitCode.NOT_PROVEN_YET
    assert "Mail gates that know: 0 of 1." in said
    assert "Not reached: http://127.0.0.1:1; it may still refuse this device until" in said
    code, said = staffed.give(*words, "--json", who="desk")
    assert code == ExitCode.NOT_PROVEN_YET
    told = json.loads(said)
    assert [(each["url"], each["knows"]) for each in told["gates"]] == [
        ("http://127.0.0.1:1", False)
    ]
    latest = datetime.fromisoformat(told["open_by_at_the_latest"])
    assert timedelta(minutes=14) < latest - now() < timedelta(minutes=15)
