"""Whoever reports a mail as forged is heard: reports are counted, looked at, and asked for."""

from __future__ import annotations

from datetime import timedelta

import pytest

from countermand.audit.models import Entry
from countermand.cli.exit_codes import ExitCode
from countermand.orders import checking, reports
from countermand.orders.reports import ReportsNotForYou
from countermand.project.findings import State
from countermand.project.report_checkup import LONGEST_UNSEEN, examine_reports
from tests.apps.orders.test_verbs import INSIDE, Terminal, terminal
from tests.order_world import HOUR, After, World

__all__ = ["terminal"]

KEY = b"key"
NETWORK = "203.0.113.0/24"


@pytest.fixture
def told(after: After) -> tuple[World, str]:
    return after(World.told_six)


def say(world: World, number: str, *addresses: str, network: str = NETWORK) -> None:
    for address in addresses:
        checking.report(number, address, key=KEY, now=world.now, network=network)


def test_reports_are_counted_by_notice_and_apart_where_there_is_none(
    told: tuple[World, str],
) -> None:
    world, number = told
    began = world.now
    say(world, number, "p5@example.org", "stranger@elsewhere.example")
    world.now += HOUR
    say(world, number, "p5@example.org", network="")
    world.now += HOUR
    say(world, "<script>", "p6@example.org")
    say(world, "CM-Y9Y6", "nobody@elsewhere.example")

    nameless, named = reports.listed(None, actor=world.actor("desk"))

    assert (named.number, named.reports, named.not_looked_at) == (number, 3, 3)
    assert (named.addresses, named.not_ours, named.networks) == (2, 1, 1)
    assert (named.first_at, named.last_at, named.looked_at) == (began, began + HOUR, None)
    assert (nameless.number, nameless.reports, nameless.not_ours) == ("", 2, 1)
    assert reports.listed(number, actor=world.actor("desk")) == [named]


def test_a_wrong_code_is_no_report(told: tuple[World, str]) -> None:
    world, number = told
    checking.check(number, "p5@example.org", "0000 0000", key=KEY, now=world.now)

    assert reports.listed(None, actor=world.actor("desk")) == []
    assert reports.counted(number) == (0, 0)


def test_whoever_looked_is_in_the_log_and_what_comes_later_waits_again(
    told: tuple[World, str],
) -> None:
    world, number = told
    say(world, number, "p5@example.org", "p6@example.org")
    say(world, "", "p6@example.org")

    assert reports.look(number, actor=world.actor("desk"), now=world.now) == 2
    looked_at = world.now
    world.now += HOUR
    say(world, number, "p5@example.org")

    (shown,) = reports.listed(number, actor=world.actor("desk"))
    assert (shown.reports, shown.not_looked_at, shown.looked_at) == (3, 1, looked_at)
    assert reports.counted(number) == (3, 1)
    assert checking.doubts(number) == 2
    entry = Entry.objects.get(event="reports.looked_at")
    assert (entry.order_number, entry.facts) == (number, {"reports": 2})
    assert reports.look(None, actor=world.actor("desk"), now=world.now) == 2
    assert reports.look(None, actor=world.actor("desk"), now=world.now) == 0
    assert Entry.objects.filter(event="reports.looked_at").count() == 2


def test_whoever_has_no_role_sees_and_notes_nothing(told: tuple[World, str]) -> None:
    world, number = told
    say(world, number, "p5@example.org")
    nobody = world.actor("p5")

    with pytest.raises(ReportsNotForYou):
        reports.listed(number, actor=nobody)
    with pytest.raises(ReportsNotForYou):
        reports.look(None, actor=nobody, now=world.now)
    assert reports.counted(number) == (1, 1)


def test_the_doctor_asks_for_reports_that_nobody_has_looked_at(told: tuple[World, str]) -> None:
    world, number = told

    def state() -> State:
        return examine_reports(world.settings, now=world.now).state

    assert state() is State.GOOD
    say(world, "CM-9999", "stranger@elsewhere.example")
    assert state() is State.NOTE
    world.now += LONGEST_UNSEEN - timedelta(seconds=1)
    say(world, number, "p5@example.org")
    world.now += timedelta(seconds=1)

    found = examine_reports(world.settings, now=world.now)

    assert found.state is State.BAD
    assert "looked at: 2, for more than a day: 1" in found.sentence
    assert "countermand order reports" in found.remedy
    reports.look(None, actor=world.actor("desk"), now=world.now)
    assert state() is State.GOOD


def test_the_order_leads_to_its_reports_and_the_verb_notes_that_somebody_looked(
    terminal: Terminal, world: World
) -> None:
    world.staff(2)
    number = str(world.plan())
    terminal.set("COLUMNS", "200")
    assert "reported as forged" not in terminal.give("order", "show", number)[1]
    world.now -= 2 * HOUR
    say(world, number, "p5@example.org")
    say(world, "<script>", "stranger@elsewhere.example")

    assert terminal.ask("order", "show", number)["reports"] == {"all": 1, "not_looked_at": 1}
    _, shown = terminal.give("order", "show", number)
    assert f"1, nobody has looked at 1: countermand order reports {number}" in shown
    code, said = terminal.give("order", "reports", who="desk")
    assert (code, "no such notice" in said, "script" in said) == (ExitCode.DONE, True, False)
    assert "countermand order reports --looked-at" in said
    assert not INSIDE.search(said)
    answer = terminal.ask("order", "reports", number, "--looked-at", who="desk")
    assert [(row["number"], row["not_looked_at"]) for row in answer["reports"]] == [(number, 0)]
    assert answer["looked_at_now"] == 1
    assert terminal.give("order", "reports", who="nobody")[0] == ExitCode.NOT_ALLOWED
    assert terminal.ask("order", "show", number)["reports"] == {"all": 1, "not_looked_at": 0}
