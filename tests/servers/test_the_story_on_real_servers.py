"""One notice from the first mail to the last, on the servers that people read mail from.

Countermand as `up` starts it sends through Postfix; Dovecot and SOGo keep the mail; a phone reads
over ActiveSync behind nginx, mail programs read over IMAP. The words come from the order's own
texts, the doors from the gate that `up` runs.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from demo.stage import WALKING, Stage, opened
from demo.story import HELP_DESK, OPERATOR
from lab import mailbox
from lab.dovecot import Dovecot, dovecot_that_asks
from lab.ground import TOKEN, Server, held_port, open_folder, until
from lab.nginx import address, nginx_that_asks
from lab.people import Person
from lab.phone import Phone
from lab.postfix import postfix_that_asks
from lab.sogo import sogo
from tests.office import BEGIN, Office, staff

OFFICE: Final = "127.0.0.9"  # the address that everybody in the office comes from
STAFF = {
    name: Person(login, f"main-of-{name}", {f"password-{name}": f"of-the-device-of-{name}"})
    for name, login in staff().items()
}
ASHA, KAVYA, RAVI = STAFF["asha"], STAFF["kavya"], STAFF["ravi"]


@dataclass
class Site:
    """The office, and the servers around it."""

    office: Office
    dovecot: Dovecot
    nginx: Server

    @property
    def stage(self) -> Stage:
        return self.office.stage

    @property
    def number(self) -> str:
        return self.office.number

    def phone(self, person: Person, *, packed: bool = False) -> Phone:
        device = f"phone0of{person.name.partition('.')[0]}"
        return Phone(address(self.nginx), person.login, person.password, device, packed=packed)

    def over_imap(self, person: Person) -> str:
        [password] = person.devices.values()
        return mailbox.login(self.dovecot.port, person.login, password, come_from=OFFICE)


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
        yield Site(Office(stage), dovecot, nginx)


def mails(phone: Phone) -> list[str]:
    """Everything that came to the phone so far."""
    return [body for said in phone.seen for body in said.bodies]


@pytest.mark.timeout(400)
def test_a_notice_comes_to_the_phone_shuts_its_door_and_opens_it_again(
    site: Site, tmp_path: Path
) -> None:
    phone, colleague, packed = site.phone(ASHA), site.phone(RAVI), site.phone(KAVYA, packed=True)
    site.office.give_out_the_notice(tmp_path)

    def notice_is_on_the_phone() -> bool:
        assert phone.sync().status == 200
        return any(site.number in body for body in mails(phone))

    until("the notice on the phone", notice_is_on_the_phone)
    assert any("TikTok" in body for body in mails(phone))
    assert any(
        "\u0900" <= letter <= "\u097f" for letter in "".join(mails(phone))
    )  # she reads Hindi
    assert packed.sync().status == 200

    site.office.reach_the_deadline(tmp_path)
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

    def pay_slip_is_on_the_phone() -> bool:
        assert phone.sync().status == 200
        return "वेतन-पर्ची" in [subject for said in phone.seen for subject in said.subjects]

    until("the pay slip", pay_slip_is_on_the_phone)
    until("mail over IMAP", lambda: site.over_imap(ASHA) == "OK")
    assert packed.sync().status == 403  # somebody else's word opens nobody else's door

    # Taken back: everybody is in again, and told why.
    site.stage.set_clock(site.stage.now(), rate=WALKING)
    took = ("take-back", site.number, "--because", "mistake")
    site.stage.countermand(*took, actor=OPERATOR, expect=(0, 6))
    until("mail after the take-back", lambda: packed.sync().status == 200)
    assert site.over_imap(KAVYA) == "OK"
    site.office.wait_for_phase("corrected")

    def correction_is_on_the_phone() -> bool:
        assert packed.sync().status == 200
        return sum(site.number in body for body in mails(packed)) > 1

    until("the correction", correction_is_on_the_phone)
    assert any("ग़लती" in body for body in mails(packed))
