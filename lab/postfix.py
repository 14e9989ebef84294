"""Postfix of Debian as a second instance: it delivers to Dovecot, and takes mail from phones.

Submission asks Dovecot for the password, and Dovecot asks the gate; so the refusal and its words
come from there. deploy/postfix/ is what is run here.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from lab.dovecot import Dovecot
from lab.ground import HERE, Server, answers, held_port, need, open_folder, ship, until

_MAIN: Final = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
multi_instance_name =
syslog_name = postfix-lab
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mail.example.org
mydestination =
virtual_mailbox_domains = example.org
virtual_transport = lmtp:inet:127.0.0.1:{lmtp}
local_recipient_maps =
alias_maps =
mynetworks = 127.0.0.1/32
smtpd_relay_restrictions = permit_sasl_authenticated, permit_mynetworks, reject
smtp_dns_support_level = disabled
default_transport = error:5.7.1 this lab mails nobody outside
in_flow_delay = 0
"""
_MASTER: Final = """
127.0.0.1:{relay} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


@contextmanager
def postfix_that_asks(dovecot: Dovecot, relay: int) -> Iterator[Server]:
    """Postfix that takes mail for everybody on port `relay`; its `port` is that of submission."""
    need("postfix")
    with open_folder("postfix") as folder, ExitStack() as stack:
        submission = stack.enter_context(held_port())
        (folder / "main.cf").write_text(
            _MAIN.format(folder=folder, lmtp=dovecot.lmtp), encoding="utf-8"
        )
        changes = {
            "submission inet": f"{HERE}:{submission} inet",
            "private/auth": f"inet:{HERE}:{dovecot.sasl}",
            "smtpd_tls_security_level=encrypt": "smtpd_tls_security_level=none",
        }
        shipped = ship("postfix/countermand-submission.cf", folder, 0, changes)
        master = _MASTER.format(relay=relay) + shipped.read_text(encoding="utf-8")
        (folder / "master.cf").write_text(master, encoding="utf-8")
        (folder / "data").mkdir()
        (folder / "queue").mkdir()
        owner = pwd.getpwnam("postfix").pw_uid
        os.chown(folder / "data", owner, -1)
        _postfix(folder, "start")
        try:
            until("Postfix", lambda: answers(relay) and answers(submission))
            yield Server(submission, folder)
        finally:
            pid = _master_pid(folder)
            _postfix(folder, "abort")
            until("the end of Postfix", lambda: not Path(f"/proc/{pid}").exists(), limit_s=60)


def _postfix(folder: Path, verb: str) -> None:
    subprocess.run(
        ["postfix", "-c", str(folder), verb],
        check=verb == "start",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
    )


def _master_pid(folder: Path) -> str:
    with contextlib.suppress(OSError):
        return (folder / "queue" / "pid" / "master.pid").read_text(encoding="ascii").strip()
    return "none"
