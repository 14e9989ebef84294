"""`take-back` with the database down tells every gate that is named, and says which one knows.

Two gates run with folders of their own, as on other machines; a third is dead. Phones read mail
through the real nginx before each.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from countermand.cli import stop_words
from countermand.data_folder import DataFolder
from countermand.stop import fence as fences
from countermand.stop import register
from countermand.stop.register import KnownActor, KnownOrder, Register
from lab.gates import ORDER, Entry, RealGate, all_that_shuts, real_gate
from lab.ground import HERE, TOKEN, Server, held_port
from lab.nginx import address, nginx_that_asks
from lab.people import ASHA, PHONE
from lab.phone import Phone
from tests.servers.test_stop_verbs import token_hash

VALID_FOR = timedelta(minutes=15)


@dataclass
class Site:
    """Gates that run, an nginx before each, a gate that does not answer, and where one stops."""

    gates: list[RealGate]
    fronts: list[Server]
    dead: str
    folder: DataFolder

    def statuses(self) -> list[int]:
        return [
            Phone(address(front), ASHA.login, ASHA.password, PHONE).folder_sync().status
            for front in self.fronts
        ]

    @property
    def urls(self) -> list[str]:
        return [f"http://{HERE}:{gate.control_port}" for gate in self.gates]

    def take_back(self, *more: str, gates: bool = True, disk: bool = True) -> tuple[int, str]:
        """Take the order back in a program of its own; return its exit code and what it said.

        Without `disk` the system refuses every write of it, as a full one does.
        """
        environ = {
            **os.environ,
            "LC_ALL": "C.UTF-8",
            "COUNTERMAND_DATA": str(self.folder.path),
            "COUNTERMAND_TOKEN": "token-of-operator",
            "COUNTERMAND_GATES": ",".join([*(self.urls if gates else []), self.dead]),
            "COUNTERMAND_GATE_TOKEN": TOKEN,
            "DATABASE_URL": f"postgresql://nobody@{HERE}:1/nowhere",
        }
        done = subprocess.run(
            [
                *([] if disk else ["prlimit", "--fsize=0"]),
                *(sys.executable, "-m", "countermand.cli.entry"),
                *("take-back", ORDER, "--because", "mistake", *more),
            ],
            env=environ,
            check=False,
            stdout=subprocess.PIPE,
            stderr=None if "--json" in more else subprocess.STDOUT,
            encoding="utf-8",
        )
        return done.returncode, done.stdout


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    folder = DataFolder(tmp_path)
    for each in (folder.fences, folder.senders, folder.stop):
        each.mkdir(parents=True)
    operator = KnownActor(person_id=1, name="Operator", roles=("operator",))
    known = Register(
        orders={ORDER: KnownOrder(epoch=1, phase="enforcing")},
        tokens={token_hash("token-of-operator"): operator},
    )
    register.write(folder, known)
    with ExitStack() as stack:
        entry = Entry(ASHA.login, PHONE, all_that_shuts())
        gates = [stack.enter_context(real_gate([entry])) for _ in range(2)]
        fronts = [stack.enter_context(nginx_that_asks(gate.port)) for gate in gates]
        dead = f"http://{HERE}:{stack.enter_context(held_port())}"
        yield Site(gates, fronts, dead, folder)


def test_every_gate_is_told_and_the_rest_is_named_with_a_time(site: Site) -> None:
    assert site.statuses() == [403, 403]
    pressed_at = datetime.now(UTC)  # noqa: TID251  (the command reads the real clock)

    code, said = site.take_back()

    assert site.statuses() == [200, 200]
    assert code == stop_words.NOT_PROVEN_YET
    assert "Mail gates that know: 2 of 3." in said
    for url in site.urls:
        assert f"Knows: {url} (" in said
    [line] = [line for line in said.splitlines() if site.dead in line]
    named = re.fullmatch(rf"Not reached: {site.dead}; mail is open there by (.+) UTC at .+", line)
    assert named is not None
    latest = datetime.strptime(f"{named[1]}+0000", "%Y-%m-%d %H:%M%z")
    # Not before what the gates were last told has expired.
    assert pressed_at + VALID_FOR <= latest <= pressed_at + VALID_FOR * 2
    assert "as soon as the database answers" in said


def test_the_same_is_said_in_hindi_and_to_scripts(site: Site) -> None:
    _, said = site.take_back("--lang", "hi")

    [line] = [line for line in said.splitlines() if site.dead in line]
    assert "\u0900" <= line.strip()[0] <= "\u097f"
    answer = json.loads(site.take_back("--json")[1])
    assert {each["url"]: each["knows"] for each in answer["gates"]} == {
        **dict.fromkeys(site.urls, True),
        site.dead: False,
    }
    assert datetime.fromisoformat(answer["open_by_at_the_latest"]).tzinfo is not None


def test_a_gate_with_another_token_is_not_told_as_one_that_is_silent(site: Site) -> None:
    with real_gate([], COUNTERMAND_GATE_TOKEN="another-token") as other:
        site.gates.append(other)
        _, said = site.take_back()

    other_url, known_url = site.urls[-1], site.urls[0]
    assert f"Not reached: {other_url}; mail is open there by" in said
    assert f"{other_url} answers and does not take our token" in said
    assert f"{site.dead} answers" not in said
    assert f"{known_url} answers" not in said


def test_a_gate_that_was_dead_opens_when_it_is_back(site: Site) -> None:
    site.gates[0].kill()

    site.take_back()

    assert site.statuses() == [200, 200]


def test_a_gate_that_knows_it_and_cannot_write_it_down_is_named(site: Site) -> None:
    # Nothing can be put in its place, as on a disk that is full.
    (site.gates[0].folder.fences / f"{ORDER}.take-back.json").mkdir()

    code, said = site.take_back()

    assert code == stop_words.NOT_PROVEN_YET
    [line] = [line for line in said.splitlines() if line.startswith("Its disk takes nothing")]
    assert site.urls[0] in line
    answer = json.loads(site.take_back("--json")[1])
    durable = {each["url"]: each["durable"] for each in answer["gates"]}
    assert durable == {site.urls[0]: False, site.urls[1]: True, site.dead: False}


def test_a_full_disk_where_one_stops_keeps_no_gate_from_being_told(site: Site) -> None:
    code, said = site.take_back(disk=False)

    assert site.statuses() == [200, 200]
    assert code == stop_words.NOT_ON_DISK
    assert f"{ORDER} is NOT STOPPED on this machine: its disk refused (" in said
    assert "Mail gates that know: 2 of 3." in said
    assert f"Not reached: {site.dead}; it goes on as before." in said
    assert "mail senders that start again go on." in said
    assert "Make room on that disk, then give the same command again at once." in said
    answer = json.loads(site.take_back("--json", disk=False)[1])
    assert (answer["stopped"], answer["on_disk"]) == (False, False)
    assert answer["open_by_at_the_latest"] is None


def test_the_same_command_makes_it_durable_once_there_is_room(site: Site) -> None:
    site.take_back(disk=False)
    assert fences.read(site.folder.fences, ORDER) is None

    code, _ = site.take_back()

    assert code == stop_words.NOT_PROVEN_YET  # one gate is dead, and so is the database
    assert fences.read(site.folder.fences, ORDER) is not None


def test_where_nobody_could_be_told_either_nothing_was_stopped(site: Site) -> None:
    code, said = site.take_back(gates=False, disk=False)

    assert code == stop_words.UNAVAILABLE
    assert "Mail gates that know: 0 of 1." in said
