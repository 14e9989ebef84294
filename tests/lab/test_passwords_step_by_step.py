"""Device passwords from the first volunteer to the last stage, and a revoked one, on real servers.

Countermand as `up` starts it writes what a real Dovecot reads, and asks it to end sessions.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from demo.stage import Stage, opened, patched_environment
from lab import mailbox
from lab.dovecot import ADMIN_KEY, PASSWORDS, WEBMAIL, Dovecot, dovecot_that_asks
from lab.dovecot24 import dovecot24_that_asks
from lab.ground import HERE, TOKEN, held_port, open_folder, until
from lab.people import Person

EXAMPLES = Path(__file__).parents[2] / "examples" / "july-2020"
BEGIN = datetime(2020, 7, 13, 3, 0, tzinfo=UTC)
# Of the group `it`, and of `all-staff` alone.
IT = Person("lena.brandt@example.org", "main-of-lena", {})
OTHER = Person("kavya.iyer@example.org", "main-of-kavya", {})
OPERATOR = IT.login


@dataclass
class Site:
    """Countermand, and the Dovecot that reads what it writes."""

    stage: Stage
    dovecot: Dovecot
    knows_devices: bool
    logins: int = 0

    def step(self, group: str, stage: str, *words: str) -> None:
        self.stage.countermand("device", "stage", group, stage, *words, actor=OPERATOR)

    def issue(self, person: Person) -> dict[str, str]:
        words = ("device", "password", "issue", "--who", person.login)
        given: dict[str, str] = self.stage.countermand(*words, actor=OPERATOR).json
        return given

    def standing(self) -> dict[str, tuple[int, int]]:
        said = self.stage.countermand("device", "stages", actor=OPERATOR).json
        return {each["stage"]: (each["people"], each["with_password"]) for each in said["stages"]}

    def logs_in(self, person: Person, password: str, come_from: str = "") -> bool:
        # Each time from an address of its own: wrong passwords make the next login there wait.
        self.logins += 1
        come_from = come_from or f"127.0.3.{self.logins}"
        said = mailbox.login(self.dovecot.port, person.login, password, come_from=come_from)
        return said == "OK"


DOVECOTS = {"2.3": dovecot_that_asks, "2.4": dovecot24_that_asks}


# One in a process: the command line stays with the database that it saw first.
WHICH = "COUNTERMAND_LAB_DOVECOT"


@pytest.fixture(params=[os.environ.get(WHICH, "2.4")])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    with ExitStack() as stack:
        nobody = stack.enter_context(held_port())
        start = DOVECOTS[request.param]
        dovecot = stack.enter_context(start(nobody, people=(IT, OTHER), keyed=True))
        settings = {
            "COUNTERMAND_GATE_TOKEN": TOKEN,
            "COUNTERMAND_DEVICE_PASSWORDS": str(dovecot.folder / PASSWORDS),
            "COUNTERMAND_DOVEADM": f"http://{HERE}:{dovecot.admin}",
            "COUNTERMAND_DOVEADM_KEY": ADMIN_KEY,
        }
        stack.enter_context(patched_environment({**os.environ, **settings}))
        stage = Stage(stack.enter_context(open_folder("steps")) / "stage", "en")
        stack.enter_context(opened(stage, BEGIN))
        # Dovecot is known before the gate's port is: it learns of that as an administrator would.
        port = stage.running()["gate"].rpartition(":")[2]
        dovecot.change("95-countermand.conf", f"{HERE}:{nobody}", f"{HERE}:{port}")
        stage.countermand("import", "people", str(EXAMPLES / "people.csv"))
        stage.countermand("staff", "grant", OPERATOR, "operator")
        stage.tokens[OPERATOR] = stage.countermand("staff", "token", OPERATOR).json["token"]
        yield Site(stage, dovecot, knows_devices=request.param == "2.4")


@pytest.mark.timeout(900)  # `up` starts slowly on a busy machine
def test_nobody_is_locked_out_on_the_way_and_a_revoked_password_ends_its_sessions(
    site: Site,
) -> None:
    # At first nobody is given one, and everything is as it was.
    issue = ("device", "password", "issue", "--who", IT.login)
    site.stage.countermand(*issue, actor=OPERATOR, expect=(1,))
    assert site.logs_in(IT, IT.password)

    # Volunteers: whoever asks has one; the main password is good as before.
    site.step("it", "volunteers")
    phone, laptop = site.issue(IT), site.issue(IT)
    everybody = sum(people for people, _ in site.standing().values())
    assert site.standing()["volunteers"] == (2, 1)
    assert site.standing()["activesync_only"] == (everybody - 2, 0)
    assert site.logs_in(IT, phone["password"])
    assert site.logs_in(IT, IT.password)

    # New devices: nothing else changes.
    site.step("it", "new_devices")
    assert site.standing()["new_devices"] == (2, 1)
    assert site.logs_in(IT, IT.password)

    # The main password limited, for this group alone.
    site.step("it", "main_password_limited", "--yes")  # one of the two has no other
    assert site.standing()["main_password_limited"] == (2, 1)
    assert not site.logs_in(IT, IT.password)
    assert site.logs_in(IT, IT.password, WEBMAIL)
    assert site.logs_in(IT, phone["password"])
    assert site.logs_in(OTHER, OTHER.password)

    # One step back, and it is good again.
    site.step("it", "new_devices")
    assert site.logs_in(IT, IT.password)

    # Revoked: no new session, and the open one ends; a colleague notices nothing.
    with (
        mailbox.session(site.dovecot.port, IT.login, phone["password"]) as lost,
        mailbox.session(site.dovecot.port, IT.login, laptop["password"]) as kept,
        mailbox.session(site.dovecot.port, OTHER.login, OTHER.password) as colleague,
    ):
        site.stage.countermand("device", "password", "revoke", phone["device"], actor=OPERATOR)
        assert not site.logs_in(IT, phone["password"])
        until("the end of the session", lambda: not mailbox.is_open(lost))
        assert mailbox.is_open(colleague)
        # 2.3 knows no devices: the person's other one is ended, too, and comes back by itself.
        if site.knows_devices:
            assert mailbox.is_open(kept)
        else:
            until("the end of the other one", lambda: not mailbox.is_open(kept))
        assert site.logs_in(IT, laptop["password"])

        # Asked a second time when the files are surely there, and never again.
        site.stage.set_clock(site.stage.now() + timedelta(minutes=3), rate=1.0)
        site.stage.await_sweep()
        site.stage.set_clock(site.stage.now() + timedelta(minutes=3), rate=1.0)
        site.stage.await_sweep()
        with mailbox.session(site.dovecot.port, IT.login, laptop["password"]) as later:
            site.stage.await_sweep()
            site.stage.await_sweep()
            assert mailbox.is_open(later)
        assert mailbox.is_open(colleague)


@pytest.mark.timeout(900)
@pytest.mark.skipif(WHICH in os.environ, reason="this is the other process")
def test_the_same_holds_under_dovecot_23() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:django", "--timeout=900", __file__]
    ended = subprocess.run(
        command,
        check=False,
        cwd=Path(__file__).parents[2],
        env={**os.environ, WHICH: "2.3"},
        capture_output=True,
        encoding="utf-8",
    )

    assert ended.returncode == 0, ended.stdout[-3000:]
