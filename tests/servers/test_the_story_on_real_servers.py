"""One notice from the first mail to the last, on the servers that people read mail from.

Countermand as `up` starts it sends through Postfix; Dovecot and SOGo keep the mail; a phone reads
over ActiveSync behind nginx, mail programs read over IMAP. The words come from the order's own
texts, the doors from the gate that `up` runs.
"""

import csv
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from demo.stage import WALKING, Stage, opened
from demo.story import AUDITOR, HELP_DESK, OPERATOR, ROLES
from lab import mailbox
from lab.dovecot import Dovecot, dovecot_that_asks
from lab.ground import TOKEN, Server, held_port, open_folder, until
from lab.nginx import address, nginx_that_asks
from lab.people import Person
from lab.phone import Phone
from lab.postfix import postfix_that_asks
from lab.sogo import sogo

EXAMPLES = Path(__file__).parents[2] / "examples" / "july-2020"
BEGIN = datetime(2020, 7, 13, 3, 0, tzinfo=UTC)
EVE = datetime(2020, 7, 23, 1, 0, tzinfo=UTC)
LOCK = datetime(2020, 7, 23, 10, 40, tzinfo=UTC)  # five minutes before the last notice in India
DEADLINE = datetime(2020, 7, 23, 11, 30, tzinfo=UTC)  # 17:00 in India
OFFICE: Final = "127.0.0.9"  # the address that everybody in the office comes from
APPROVERS = ("siobhan.oneil@example.org", "kavya.iyer@example.org")
AUTHOR = "lena.brandt@example.org"


def staff() -> dict[str, Person]:
    with (EXAMPLES / "people.csv").open(encoding="utf-8") as rows:
        logins = [row["email"] for row in csv.DictReader(rows)]
    people = {login.partition(".")[0]: login for login in logins}
    return {
        name: Person(login, f"main-of-{name}", {f"password-{name}": f"of-the-device-of-{name}"})
        for name, login in people.items()
    }


STAFF = staff()
ASHA, KAVYA, RAVI = STAFF["asha"], STAFF["kavya"], STAFF["ravi"]


@dataclass
class Site:
    """Countermand, and the servers around it."""

    stage: Stage
    dovecot: Dovecot
    nginx: Server
    number: str = ""

    def phone(self, person: Person, *, packed: bool = False) -> Phone:
        device = f"phone0of{person.name.partition('.')[0]}"
        return Phone(address(self.nginx), person.login, person.password, device, packed=packed)

    def over_imap(self, person: Person) -> str:
        [password] = person.devices.values()
        return mailbox.login(self.dovecot.port, person.login, password, come_from=OFFICE)

    def walk_to(self, told: datetime) -> None:
        stretch_s = (told - self.stage.now()).total_seconds()
        self.stage.run_clock_to(told, rate=max(14_400.0, stretch_s / 2.0))

    def phase(self) -> str:
        shown = self.stage.countermand("order", "show", self.number, actor=AUDITOR).json
        return str(shown["phase"])

    def wait_for_phase(self, *phases: str) -> None:
        self.stage.wait_until(str(phases), lambda: self.phase() in phases, every_s=0.3)

    def import_devices(self, folder: Path, as_of: datetime) -> None:
        devices, apps = folder / "devices.csv", folder / "apps.csv"
        seen = as_of.isoformat()
        with devices.open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            names = "device_id owner_email platform ownership last_seen eas_device_id"
            rows.writerow([*names.split(), "device_password_id", "inventory_at", "coverage"])
            for name, person in STAFF.items():
                ids = (f"d-{name}", person.login, "android", "corporate", seen, f"phone0of{name}")
                rows.writerow([*ids, f"password-{name}", seen, "full"])
        with apps.open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["device_id", "app_id", "app_name", "version", "seen_at"])
            for name in ("asha", "kavya"):
                tiktok = ("com.zhiliaoapp.musically", "TikTok", "16.6.4")
                rows.writerow([f"d-{name}", *tiktok, seen])
            for name in set(STAFF) - {"asha", "kavya"}:
                rows.writerow([f"d-{name}", "org.example.payroll", "Payroll", "1.0", seen])
        words = ("--source", "csv", "--as-of", seen)
        self.stage.countermand("import", "devices", *words, str(devices), str(apps))


@pytest.fixture
def site() -> Iterator[Site]:
    with ExitStack() as stack:
        folder = stack.enter_context(open_folder("story"))
        relay = stack.enter_context(held_port())
        stage = Stage(folder / "stage", "en", relay=f"127.0.0.1:{relay}")
        stack.enter_context(opened(stage, BEGIN))
        gate_port = int(stage.running()["gate"].rpartition(":")[2])
        token = (stage.data / "keys" / "gate-token").read_text(encoding="ascii").strip()
        dovecot = stack.enter_context(
            dovecot_that_asks(
                gate_port,
                relay=relay,
                people=STAFF.values(),
                everything=True,
                changes={TOKEN: token},
            )
        )
        stack.enter_context(postfix_that_asks(dovecot, relay))
        groupware = stack.enter_context(sogo(dovecot.port, relay, STAFF.values()))
        nginx = stack.enter_context(
            nginx_that_asks(gate_port, groupware=groupware.port, changes={TOKEN: token})
        )
        for each in (ASHA, KAVYA, RAVI):
            mailbox.make_ready(dovecot.port, each.login, each.password)
        yield Site(stage, dovecot, nginx)


def give_out_the_notice(site: Site, folder: Path) -> None:
    """From the file of the order to mail in every mailbox, as the people in charge do it."""
    stage = site.stage
    stage.countermand("import", "people", str(EXAMPLES / "people.csv"))
    for person, role, options in ROLES:
        stage.countermand("staff", "grant", person, role, *options)
        stage.tokens[person] = stage.countermand("staff", "token", person).json["token"]
    plan = ("order", "plan", str(EXAMPLES / "order-done-rightly.yaml"))
    site.number = str(stage.countermand(*plan, actor=AUTHOR).json["number"])
    site.import_devices(folder, BEGIN - timedelta(hours=1))
    stage.countermand(*plan, "--number", site.number, actor=AUTHOR)
    stage.countermand("order", "submit", site.number, actor=AUTHOR)
    for approver in APPROVERS:
        stage.countermand("order", "review", site.number, actor=approver)
        stage.countermand("order", "approve", site.number, actor=approver)
    stage.countermand("order", "release", site.number, actor=OPERATOR)
    for _ in range(8):
        site.walk_to(stage.now() + timedelta(hours=2))
        if site.phase() in {"notified", "enforcing"}:
            break
    site.wait_for_phase("notified", "enforcing")


def mails(phone: Phone) -> list[str]:
    """Everything that came to the phone so far."""
    return [body for said in phone.seen for body in said.bodies]


@pytest.mark.timeout(400)
def test_a_notice_comes_to_the_phone_shuts_its_door_and_opens_it_again(
    site: Site, tmp_path: Path
) -> None:
    phone, colleague, packed = site.phone(ASHA), site.phone(RAVI), site.phone(KAVYA, packed=True)
    give_out_the_notice(site, tmp_path)

    def notice_is_on_the_phone() -> bool:
        assert phone.sync().status == 200
        return any(site.number in body for body in mails(phone))

    until("the notice on the phone", notice_is_on_the_phone)
    assert any("TikTok" in body for body in mails(phone))
    assert any(
        "\u0900" <= letter <= "\u097f" for letter in "".join(mails(phone))
    )  # she reads Hindi
    assert packed.sync().status == 200

    site.walk_to(EVE)
    site.import_devices(tmp_path, EVE)
    site.walk_to(LOCK)
    site.walk_to(DEADLINE + timedelta(minutes=20))
    site.wait_for_phase("enforcing")
    # Each door shuts some told minutes after its own last notice was taken.
    until("the door", lambda: phone.sync().status == 403)
    until("the other door", lambda: packed.sync().status == 403)
    # Real time from here on: on a busy machine the evidence would grow old in a hurrying clock.
    site.stage.set_clock(site.stage.now(), rate=1.0)

    # Every form in which the phone asks is refused, in words; nobody else is.
    assert phone.folder_sync().status == 403
    assert packed.sync().status == 403
    assert "इस डिवाइस पर मेल रुकी है।" in phone.seen[-1].words
    assert "Mail is paused on this device." in phone.seen[-1].words
    for _ in range(5):
        refusal = site.over_imap(ASHA)
        assert refusal.startswith("[ALERT] Mail is paused on this device. इस डिवाइस पर मेल रुकी है।")
        assert site.number in refusal
    assert site.over_imap(RAVI) == "OK"
    assert colleague.sync().status == 200
    penalties: Any = site.dovecot.doveadm(["penalty", {}, "p"])
    assert penalties == [["doveadmResponse", [], "p"]]  # nobody in the office is kept waiting

    # "I removed it": mail on the next request, also what came meanwhile.
    mailbox.deliver(site.dovecot.lmtp, ASHA.login, "वेतन-पर्ची")
    said = ("answer", "removed", "--order", site.number, "--device", "d-asha")
    site.stage.countermand(*said, actor=HELP_DESK)
    until("mail after “I removed it”", lambda: phone.sync().status == 200)
    until(
        "the pay slip",
        lambda: (
            "वेतन-पर्ची" in [s for said in phone.seen for s in said.subjects]
            or phone.sync().status != 200
        ),
    )
    until("mail over IMAP", lambda: site.over_imap(ASHA) == "OK")
    assert packed.sync().status == 403  # somebody else's word opens nobody else's door

    # Taken back: everybody is in again, and told why.
    site.stage.set_clock(site.stage.now(), rate=WALKING)
    took = ("take-back", site.number, "--because", "mistake")
    site.stage.countermand(*took, actor=OPERATOR, expect=(0, 6))
    until("mail after the take-back", lambda: packed.sync().status == 200)
    assert site.over_imap(KAVYA) == "OK"
    site.wait_for_phase("corrected")

    def correction_is_on_the_phone() -> bool:
        assert packed.sync().status == 200
        return sum(site.number in body for body in mails(packed)) > 1

    until("the correction", correction_is_on_the_phone)
    assert any("ग़लती" in body for body in mails(packed))
