"""Our sender, a real Postfix and Dovecot: what became of mails, and what can be fetched back.

Four notices: one ends in a mailbox, one comes back, one waits in the queue, and one is handed on by
its mailbox to another address, from where it comes back.
"""

import asyncio
import os
import pwd
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from countermand.connectors.postfix import log
from countermand.connectors.postfix.log import LogPlace
from countermand.connectors.postfix.queue import PostfixQueue
from countermand.connectors.returned_mail import report
from countermand.connectors.returned_mail.mailbox import ImapMailbox, MaildirDrop
from countermand.domain.delivery import EvidenceKind, NoticeState, PermitAnswer
from countermand.domain.findings import Finding, QueueUnavailable
from countermand.sender.committer import Committer
from countermand.sender.compose import Writer
from countermand.sender.courier import Courier
from countermand.sender.ledger_line import ThreadLine
from countermand.sender.relay import Relay
from countermand.sender.supply import Supply
from countermand.stop.fence import FenceView
from countermand.testing.ledger_house import NOW, SENDER
from countermand.testing.memory_ledger import MemoryLedger
from countermand.wire.imap_login import ImapLogin
from lab.ground import HERE, answers, held_port, need, open_folder, running, until
from tests.ledger_houses import MemoryHouse, message_id

HELPER = Path(__file__).parents[2] / "deploy" / "postfix" / "countermand-queue"
ADDRESSES = (
    "asha@inbox.example",
    "gone@gone.example",
    "slow@slow.example",
    "ravi@handed-on.example",
)
MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
multi_instance_name =
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = relay.example
mydestination = handed-on.example
mynetworks = 127.0.0.1/32
local_recipient_maps =
alias_maps = inline:{{ {{ ravi = at-home@gone.example }} }}
virtual_mailbox_domains = inbox.example
virtual_mailbox_maps = inline:{{ {{ asha@inbox.example = asha/ }}, {{ orders@inbox.example = orders/ }} }}
virtual_mailbox_base = {folder}/mail
virtual_minimum_uid = 1
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
transport_maps = inline:{{ {{ gone.example = virtual: }}, {{ slow.example = smtp:[127.0.0.1]:{closed} }} }}
smtpd_relay_restrictions = permit_mynetworks, reject
smtp_dns_support_level = disabled
enable_long_queue_ids = yes
in_flow_delay = 0
"""  # noqa: E501 - one setting, one line
MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
local unix - n n - - local
virtual unix - n n - - virtual
postlog unix-dgram n - n - 1 postlogd
"""
DOVECOT = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.log
listen = 127.0.0.1
protocols = imap
ssl = no
disable_plaintext_auth = no
default_internal_user = dovecot
default_login_user = dovenull
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:{mail}/orders
passdb {{
  driver = static
  args = password=a-password
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={mail}
}}
service imap-login {{
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
"""


class RemembersQueueIds(MemoryLedger):
    queue_ids: dict[int, str]

    def exchange(self, **given: Any) -> Sequence[PermitAnswer]:
        for reply in given["replies"]:
            if reply.queue_id:
                self.queue_ids[reply.holding.notice_id] = reply.queue_id
        return MemoryLedger.exchange(self, **given)


@dataclass
class Site:
    """A Postfix that has taken three notices, and what it said about them."""

    folder: Path
    queue_ids: dict[str, str] = field(default_factory=dict)
    reports: list[bytes] = field(default_factory=list)

    @property
    def log(self) -> Path:
        return self.folder / "mail.log"

    @property
    def returned(self) -> Path:
        return self.folder / "mail" / "orders"

    def queue(self, *, run_as: str = "") -> PostfixQueue:
        become = f"runuser -u {run_as} -- " if run_as else ""
        return PostfixQueue(f"{become}env MAIL_CONFIG={self.folder} {HELPER}", self.log)

    def logged(self) -> list[Finding]:
        return log.findings(self.log.read_text(encoding="utf-8"), LogPlace())

    def returned_about(self, address: str) -> Finding:
        found = [each for mail in self.reports for each in report.findings(mail)]
        name = message_id(ADDRESSES.index(address) + 1)
        [one] = [each for each in found if each.message_id == name]
        return one

    def about(self, address: str) -> list[EvidenceKind]:
        name = message_id(ADDRESSES.index(address) + 1)
        return [each.kind for each in self.logged() if each.message_id == name]


async def _send(house: MemoryHouse, port: int, fences: Path) -> None:
    """Let one connection of our sender bring what is due."""
    ledger = house.ledger
    committer = Committer(ThreadLine(ledger), sender=SENDER, now=lambda: NOW)
    writer = Writer("orders@inbox.example", "Example", "help@inbox.example")
    supply = Supply(
        ThreadLine(ledger), committer, sender=SENDER, writer=writer, ahead=4, now=lambda: NOW
    )
    courier = Courier(
        name=SENDER,
        relay=Relay(HERE, port),
        supply=supply,
        committer=committer,
        fence=FenceView(fences),
        window=1,
    )
    tasks = [asyncio.create_task(each.run()) for each in (committer, supply, courier)]
    async with asyncio.timeout(60):
        while any(  # noqa: ASYNC110 - a ledger rings no bell
            n.row.state is not NoticeState.SENT for n in ledger.notices.values()
        ):
            await asyncio.sleep(0.01)
    await supply.close()
    await committer.flush(within_s=2)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    need("postfix", "dovecot")
    with open_folder("relay") as folder, ExitStack() as stack:
        port, closed = (stack.enter_context(held_port()) for _ in range(2))
        owner = pwd.getpwnam("postfix")
        told = {"folder": folder, "closed": closed, "uid": owner.pw_uid, "gid": owner.pw_gid}
        (folder / "main.cf").write_text(MAIN.format(**told), encoding="utf-8")
        (folder / "master.cf").write_text(MASTER.format(port=port), encoding="utf-8")
        for name in ("data", "queue", "mail", "fences"):
            (folder / name).mkdir()
        for name in ("data", "mail"):
            os.chown(folder / name, owner.pw_uid, owner.pw_gid)
        _postfix(folder, "start")
        stack.callback(_stop, folder)
        until("Postfix", lambda: answers(port))
        ledger = RemembersQueueIds(tick=time.monotonic)
        ledger.queue_ids = {}
        house = MemoryHouse(ledger)
        house.mailing()
        house.lease()
        for number, address in enumerate(ADDRESSES, 1):
            notice = ledger.notices[house.notice(number)]
            claimed = notice.claimed._replace(address=address)
            ledger.notices[number] = replace(notice, claimed=claimed)
        asyncio.run(_send(house, port, folder / "fences"))
        made = Site(folder, {ADDRESSES[n - 1]: qid for n, qid in ledger.queue_ids.items()})
        until("the returned mails", lambda: len(_new(made.returned)) == 2)
        until("a delivery", lambda: EvidenceKind.DSN_DELIVERED in made.about(ADDRESSES[0]))
        made.reports = [each.read_bytes() for each in _new(made.returned)]
        yield made


def _new(maildir: Path) -> Sequence[Path]:
    folder = maildir / "new"
    return list(folder.iterdir()) if folder.exists() else []


def _postfix(folder: Path, verb: str) -> None:
    command = ["postfix", "-c", str(folder), verb]
    subprocess.run(command, check=verb == "start", capture_output=True, timeout=60)


def _stop(folder: Path) -> None:
    pid = (folder / "queue" / "pid" / "master.pid").read_text(encoding="ascii").strip()
    _postfix(folder, "abort")
    until("the end of Postfix", lambda: not Path(f"/proc/{pid}").exists(), limit_s=60)


def test_the_log_says_what_became_of_each(site: Site) -> None:
    accepted, delivered = EvidenceKind.RELAY_LOG_ACCEPTED, EvidenceKind.DSN_DELIVERED

    assert site.about("asha@inbox.example") == [accepted, delivered]
    assert site.about("gone@gone.example") == [accepted, EvidenceKind.DSN_FAILED]
    assert site.about("slow@slow.example") == [accepted]


def test_what_a_mailbox_hands_on_is_in_none_and_what_comes_back_is_about_its_person(
    site: Site,
) -> None:
    about = site.about("ravi@handed-on.example")
    found = site.returned_about("ravi@handed-on.example")

    assert set(about) == {EvidenceKind.RELAY_LOG_ACCEPTED, EvidenceKind.DSN_FAILED}
    assert (found.kind, found.address) == (EvidenceKind.DSN_FAILED, "ravi@handed-on.example")


def test_the_returned_mail_names_the_notice_by_what_nobody_can_guess(site: Site) -> None:
    found = site.returned_about("gone@gone.example")

    assert found.kind is EvidenceKind.DSN_FAILED
    assert found.envelope_id == message_id(2).strip("<>").partition("@")[0]
    assert found.address == "gone@gone.example"
    assert "unknown user" in found.detail


def test_whoever_is_not_root_takes_nothing_out_of_the_queue(site: Site) -> None:
    with pytest.raises(QueueUnavailable):
        site.queue(run_as="nobody").fetch_back(site.queue_ids.values())

    assert "slow@slow.example" in site.queue_ids


def test_what_waits_is_held_and_taken_out_and_what_left_is_not_called_fetched_back(
    site: Site,
) -> None:
    queue = site.queue()
    slow = site.queue_ids["slow@slow.example"]
    waiting = {each.queue_id: each.recipients for each in queue.waiting()}

    queue.hold(site.queue_ids.values())
    fetched = queue.fetch_back(site.queue_ids.values())

    assert waiting == {slow: {"slow@slow.example"}}
    assert fetched == {slow}
    assert queue.waiting() == []


def test_a_word_that_is_no_queue_id_never_reaches_postfix(site: Site) -> None:
    command = ["env", f"MAIL_CONFIG={site.folder}", str(HELPER), "delete"]

    ended = subprocess.run(
        command, input="ALL\n-d\n$(id)\n", capture_output=True, text=True, check=False
    )

    assert "Deleted: 0 messages" in ended.stderr


def test_returned_mail_is_read_over_imap_and_marked_only_after_it_was_taken(site: Site) -> None:
    owner = pwd.getpwnam("postfix")
    with open_folder("imap") as folder, held_port() as port:
        told = {"folder": folder, "mail": site.folder / "mail", "port": port}
        config = DOVECOT.format(**told, uid=owner.pw_uid, gid=owner.pw_gid)
        (folder / "dovecot.conf").write_text(config, encoding="utf-8")
        command = ["dovecot", "-F", "-c", str(folder / "dovecot.conf")]
        with running(command, [port], log=folder / "dovecot.log"):
            login = ImapLogin("orders", "a-password")
            mailbox = ImapMailbox(HERE, port, login, "INBOX", encrypted=False)
            crashed = mailbox.unread()
            first = next(crashed)
            crashed.close()

            again = [report.findings(mail) for mail in mailbox.unread()]

            assert report.findings(first) in again
            assert len(again) == len(site.reports)
            assert list(mailbox.unread()) == []
    assert list(MaildirDrop(site.returned).unread()) == []
