"""A mail server whose users log in by something else than their address: the order holds there too.

Countermand runs as `up` starts it; the passwords of devices are those that it issues, and Dovecot
finds them where it writes them. The people of the office log in by a name that a second import says
of them.
"""

import csv
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from demo.stage import Answer, Stage, opened
from demo.story import HELP_DESK, OPERATOR
from lab import mailbox
from lab.dovecot import ADMIN_KEY, ASKS_GATE, PASSWORDS, TOKEN_FILE, Dovecot, dovecot_that_asks
from lab.ground import HERE, TOKEN, held_port, open_folder, until
from lab.people import Person
from tests import verb_server
from tests.office import BEGIN, EXAMPLES, Office, staff
from tests.verb_server import VerbServer

UIDS: Final = {name: f"u-{name}" for name in staff()}
PAUSED: Final = "[ALERT] Mail is paused on this device."


@dataclass
class _Apart(Stage):
    """Commands in a program of their own: another test keeps this one, and its database, for all.

    Started once and forked for each command: forty starts of Python would take a minute.
    """

    verbs: VerbServer | None = None

    def countermand(
        self, *arguments: str, actor: str | None = None, expect: Sequence[int] = (0,)
    ) -> Answer:
        if self.verbs is None:  # before there is a database
            return self.shell(*arguments, actor=actor, expect=expect)
        environment = self._environment(actor) | {"DATABASE_URL": self.running()["database_url"]}
        asked = [[*arguments, "--json"]]
        [(code, out, err)] = self.verbs.ask(asked, before="", environment=environment)
        assert code in expect, f"{arguments} ended with {code}: {out}{err}"
        return Answer(code, json.loads(out) if out.strip() else None, out + err, 0.0)


@dataclass
class Site:
    """The office, and a Dovecot that knows its people by their uid alone."""

    office: Office
    dovecot: Dovecot
    passwords: dict[str, str] = field(default_factory=dict)

    def tell_logins(self, folder: Path) -> None:
        """Import the same people again, with a column for their logins."""
        path = folder / "with-logins.csv"
        with (
            (EXAMPLES / "people.csv").open(encoding="utf-8") as known,
            path.open("w", encoding="utf-8", newline="") as told,
        ):
            rows = csv.DictReader(known)
            writer = csv.DictWriter(told, [*(rows.fieldnames or ()), "logins"])
            writer.writeheader()
            for row in rows:
                writer.writerow({**row, "logins": UIDS[row["email"].partition(".")[0]].upper()})
        self.office.stage.countermand("import", "people", str(path))

    def issue(self, name: str) -> None:
        issuing = ("device", "password", "issue", "--who", staff()[name], "--device", f"d-{name}")
        issued: Any = self.office.stage.countermand(*issuing, actor=HELP_DESK).json
        self.passwords[name] = issued["password"]

    def login(self, name: str) -> str:
        return mailbox.login(self.dovecot.port, UIDS[name], self.passwords[name])


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    with ExitStack() as stack:
        folder = stack.enter_context(open_folder("logins"))
        nobody = stack.enter_context(held_port())
        people = [Person(uid, f"main-of-{name}", {}) for name, uid in UIDS.items()]
        dovecot = stack.enter_context(dovecot_that_asks(nobody, people=people, keyed=True))
        monkeypatch.setenv("COUNTERMAND_DOVEADM", f"http://{HERE}:{dovecot.admin}")
        monkeypatch.setenv("COUNTERMAND_DOVEADM_KEY", ADMIN_KEY)
        monkeypatch.setenv("COUNTERMAND_DEVICE_PASSWORDS", str(dovecot.folder / PASSWORDS))
        stage = _Apart(folder / "stage", "en")
        stack.enter_context(opened(stage, BEGIN))
        stage.verbs = stack.enter_context(verb_server.running())
        gate_port = stage.running()["gate"].rpartition(":")[2]
        token = (stage.data / "keys" / "gate-token").read_text(encoding="ascii").strip()
        dovecot.change(TOKEN_FILE, TOKEN, token)
        dovecot.change(ASKS_GATE, f":{nobody}/", f":{gate_port}/")
        yield Site(Office(stage), dovecot)


@pytest.mark.timeout(400)
def test_whoever_logs_in_by_a_uid_is_refused_ended_and_let_in_again(
    site: Site, tmp_path: Path
) -> None:
    stage = site.office.stage
    site.office.give_out_the_notice(tmp_path)
    stage.countermand("device", "stage", "*", "volunteers", actor=OPERATOR)
    for name in ("asha", "ravi"):
        site.issue(name)
    assert site.login("asha") != "OK"  # nobody has said whose the uid is
    site.tell_logins(tmp_path)
    until("passwords under the uid", lambda: site.login("asha") == site.login("ravi") == "OK")

    with (
        mailbox.session(site.dovecot.port, UIDS["asha"], site.passwords["asha"]) as phone,
        mailbox.session(site.dovecot.port, UIDS["ravi"], site.passwords["ravi"]) as colleague,
    ):
        assert mailbox.is_open(phone)
        site.office.reach_the_deadline(tmp_path)
        until("the door", lambda: site.login("asha").startswith(PAUSED))
        until("the end of the session", lambda: not mailbox.is_open(phone))
        assert mailbox.is_open(colleague)
    assert site.login("ravi") == "OK"
    assert site.office.number in site.login("asha")

    took = ("take-back", site.office.number, "--because", "mistake")
    stage.countermand(*took, actor=OPERATOR, expect=(0, 6))
    until("mail after the take-back", lambda: site.login("asha") == "OK")
