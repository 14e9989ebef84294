"""The log of a whole life proves itself: to a stranger with the file, and where it lies."""

import json
from pathlib import Path
from typing import Any

import pytest

from countermand import wiring
from countermand.audit import exporting
from countermand.audit.verifying import verify
from countermand.cli import entry
from countermand.domain.delivery import StopKind
from countermand.notices.models import Notice
from countermand.orders import actions as orders
from countermand.project import installation
from tests.order_world import HOUR, MINUTE, World


def paused_resumed_and_taken_back(world: World) -> str:
    world.staff(30)
    number = world.sending()
    world.send(5)
    world.press(number, StopKind.PAUSE)
    world.now += HOUR
    desk = world.desk
    orders.resume(
        number,
        actor=world.actor("legal"),
        now=world.now,
        because="It was fine.",
        context=desk.context,
        fence=desk.fence(number),
        register=desk.register,
    )
    world.sweep(MINUTE)
    world.send(5)
    world.press(number, StopKind.TAKE_BACK)
    world.send()
    world.sweep(MINUTE)
    assert world.order(number).phase == "corrected"
    return number


def test_every_step_approval_and_mail_of_a_life_is_proven(world: World) -> None:
    paused_resumed_and_taken_back(world)
    permitted = Notice.objects.filter(exposure__gt=0).count()

    wiring.number_log(world.settings, world.now)
    report = exporting.verify_database(installation.log_verifier(world.settings.folder))

    assert report.fault is None
    assert report.orders == 1
    assert report.permits == permitted > 10


def test_the_log_names_nobody(world: World) -> None:
    paused_resumed_and_taken_back(world)
    wiring.number_log(world.settings, world.now)
    verifier = installation.log_verifier(world.settings.folder)

    log = b"".join(exporting.lines(verifier)).decode()

    people = Notice.objects.values_list("address", flat=True)
    assert people
    assert not [address for address in people if address in log]


@pytest.fixture
def run(world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.setenv("COUNTERMAND_DATA", str(world.settings.data))
    monkeypatch.setenv("DATABASE_URL", world.settings.database_url)

    def run(*arguments: str) -> tuple[int, Any]:
        status = entry.main(["log", *arguments, "--json"])
        return status, json.loads(capsys.readouterr().out)

    return run


def test_an_exported_log_is_verified_by_the_command_and_one_byte_spoils_it(
    world: World, run: Any, tmp_path: Path
) -> None:
    paused_resumed_and_taken_back(world)
    file = tmp_path / "log.jsonl"

    assert run("export", str(file))[0] == 0
    sound = run("verify", str(file))
    where_it_lies = run("verify", "--database")
    spoilt = file.read_bytes().replace(b'"after":"canary"', b'"after":"notice"', 1)
    file.write_bytes(spoilt)
    found = run("verify", str(file))

    assert (sound[0], where_it_lies[0], found[0]) == (0, 0, 1)
    assert sound[1] == where_it_lies[1]
    line = spoilt[: spoilt.index(b'"after":"notice"')].count(b"\n") + 1
    assert found[1]["fault"]["line"] == line
    assert not verify(spoilt.splitlines(keepends=True), pinned=None).is_sound
