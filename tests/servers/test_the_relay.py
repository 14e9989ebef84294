"""The sender into a real Postfix that wants TLS and asks Dovecot for the password."""

import asyncio
import contextlib
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from countermand.domain.delivery import NoticeState, Template
from countermand.sender.committer import Committer
from countermand.sender.compose import Writer
from countermand.sender.courier import Courier
from countermand.sender.ledger_line import ThreadLine
from countermand.sender.relay import Login, Relay, RelayTls
from countermand.sender.supply import Supply
from countermand.stop.fence import FenceView
from countermand.testing.certificates import CertificateFiles, for_loopback
from countermand.testing.ledger_house import NOW, SENDER
from countermand.testing.private_postfix import PrivatePostfix, private_postfix
from lab.ground import need, open_folder
from tests.ledger_houses import MemoryHouse

WRITER: Final = Writer("orders@example.org", "Example", "help@example.org")
SECRET: Final = "s3cret-word"
_DOVECOT: Final = """
protocols =
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.log
ssl = no
default_internal_user = nobody
default_internal_group = nogroup
default_login_user = nobody
auth_mechanisms = plain login
disable_plaintext_auth = no
passdb {{
  driver = static
  args = password={secret}
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home=/nonexistent
}}
service auth {{
  unix_listener {folder}/sasl {{
    mode = 0666
  }}
}}
service anvil {{
  chroot =
}}
"""


@dataclass
class Relays:
    """Postfix, its certificates, and the sender's way to it."""

    postfix: PrivatePostfix
    files: CertificateFiles
    fences: Path

    def relay(self, password: str = SECRET, *, implicit: bool = False) -> Relay:
        return Relay(
            "127.0.0.1",
            self.postfix.tls_port if implicit else self.postfix.port,
            tls=RelayTls.IMPLICIT if implicit else RelayTls.STARTTLS,
            ca_file=self.files.authority,
            login=Login("sender", password),
        )

    async def work(self, house: MemoryHouse, relay: Relay, done: Callable[[], bool]) -> None:
        committer = Committer(ThreadLine(house.ledger), sender=SENDER, now=lambda: NOW)
        supply = Supply(
            ThreadLine(house.ledger),
            committer,
            sender=SENDER,
            writer=WRITER,
            ahead=4,
            now=lambda: NOW,
        )
        courier = Courier(
            name=SENDER,
            relay=relay,
            supply=supply,
            committer=committer,
            fence=FenceView(self.fences),
            window=1,
        )
        tasks = [asyncio.create_task(each.run()) for each in (committer, supply, courier)]
        try:
            async with asyncio.timeout(60):
                while not done():  # noqa: ASYNC110 - what it waits for is outside
                    await asyncio.sleep(0.01)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def speaks(login: Path) -> bool:
    """Tell whether Dovecot answers: Postfix gives up for a while when it is asked too early."""
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(60)
        try:
            link.connect(str(login))
            said = b""
            while chunk := link.recv(1024):
                said += chunk
                if b"DONE\n" in said:
                    return True
        except OSError:
            pass
    return False


@pytest.fixture(scope="module")
def relays() -> Iterator[Relays]:
    need("postfix", "dovecot")
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(open_folder("relay"))
        files = for_loopback(folder)
        (folder / "fences").mkdir()
        config = folder / "dovecot.conf"
        config.write_text(_DOVECOT.format(folder=folder, secret=SECRET), encoding="utf-8")
        dovecot = subprocess.Popen(["/usr/sbin/dovecot", "-F", "-c", config])
        stack.callback(dovecot.wait)
        stack.callback(dovecot.terminate)
        until = time.monotonic() + 60
        while not speaks(folder / "sasl"):
            assert time.monotonic() < until, (folder / "dovecot.log").read_text(encoding="utf-8")
            time.sleep(0.02)
        settings = {
            "smtpd_tls_cert_file": str(files.certificate),
            "smtpd_tls_key_file": str(files.key),
            "smtpd_tls_security_level": "encrypt",
            "smtpd_tls_loglevel": "1",
            "smtpd_sasl_auth_enable": "yes",
            "smtpd_sasl_type": "dovecot",
            "smtpd_sasl_path": str(folder / "sasl"),
            "smtpd_relay_restrictions": "permit_sasl_authenticated, reject",
            "smtpd_recipient_restrictions": "permit_sasl_authenticated, reject",
        }
        postfix = stack.enter_context(private_postfix(relay_to=None, settings=settings))
        yield Relays(postfix, files, folder / "fences")


def a_house(people: int) -> MemoryHouse:
    house = MemoryHouse()
    house.ledger.templates[1] = Template(1, "कंपनी सूचना", "नमस्ते", "<p>नमस्ते</p>")
    house.mailing()
    house.lease()
    for person in range(1, people + 1):
        house.notice(person)
    return house


@pytest.mark.parametrize("implicit", [False, True])
def test_mails_go_through_tls_and_a_login(relays: Relays, implicit: bool) -> None:
    house = a_house(12)
    rows = house.ledger.notices

    def all_sent() -> bool:
        return all(each.row.state is NoticeState.SENT for each in rows.values())

    asyncio.run(relays.work(house, relays.relay(implicit=implicit), all_sent))

    log = relays.postfix.log()
    assert "sasl_method=PLAIN, sasl_username=sender" in log
    assert SECRET not in log


def test_a_relay_that_refuses_the_password_gets_no_mail(
    relays: Relays, capsys: pytest.CaptureFixture[str]
) -> None:
    house = a_house(1)
    said = ""

    def was_refused() -> bool:
        nonlocal said
        said += capsys.readouterr().err
        return "refused the login" in said

    asyncio.run(relays.work(house, relays.relay("wrong-word"), was_refused))

    assert house.row(1).state is not NoticeState.SENT
    assert "wrong-word" not in said
