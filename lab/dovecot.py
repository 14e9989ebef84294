"""Dovecot 2.3 of Debian as a site runs it, with what deploy/ ships for it on top.

IMAP, POP3, submission, LMTP for delivery, a socket for Postfix, and doveadm's HTTP interface. The
delays after wrong passwords are Dovecot's own: part of what has to be borne.
"""

from __future__ import annotations

import base64
import json
import os
import pwd
import re
import signal
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lab.ground import (
    DEPLOY,
    HERE,
    TOKEN,
    LabBroke,
    held_port,
    need,
    open_folder,
    running,
    ship,
    until,
)
from lab.people import PEOPLE, Person

ADMIN_KEY: Final = "key-of-the-lab"
FROM_WEBMAIL: Final = "127.0.0.1/32,::1/128"  # where the main password may come from
PASSWORDS: Final = "passwords"  # the folder that Countermand writes, where a Dovecot reads it
WEBMAIL: Final = "127.0.0.9"  # where the webmail is, as far as the script is concerned

ASKS_GATE: Final = "95-countermand.conf"  # of deploy/, for 2.3 and for 2.4
ASKS_ANOTHER_FIRST: Final = "95-countermand-with-upstream.conf"
TOKEN_FILE: Final = "countermand-token.conf"  # for root alone, as its head says

_CONFIG: Final = """
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/dovecot.log
listen = 127.0.0.1
protocols = {protocols}
ssl = no
disable_plaintext_auth = no
default_internal_user = dovecot
default_login_user = dovenull
first_valid_uid = {user_id}
mail_location = maildir:~/Maildir
mail_fsync = never
auth_mechanisms = plain login
auth_verbose = yes
!include {folder}/{asks}
{passdbs}
userdb {{
  driver = passwd-file
  args = username_format=%Lu {folder}/users
  default_fields = uid={user_id} gid={user_id} home={folder}/mail/%Lu
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service doveadm {{
  inet_listener http {{
    port = {admin}
  }}
}}
doveadm_api_key = {key}
service stats {{
  unix_listener stats-writer {{
    mode = 0666
  }}
}}
namespace inbox {{
  inbox = yes
  separator = /
  mailbox Drafts {{
    special_use = \\Drafts
    auto = subscribe
  }}
  mailbox Sent {{
    special_use = \\Sent
    auto = subscribe
  }}
  mailbox Trash {{
    special_use = \\Trash
    auto = subscribe
  }}
}}
{more}
"""
_DELIVERY: Final = """
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp}
  }}
}}
service auth {{
  inet_listener {{
    address = 127.0.0.1
    port = {sasl}
  }}
}}
"""
_POP3: Final = """
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
"""
_SUBMISSION: Final = """
submission_relay_host = 127.0.0.1
submission_relay_port = {relay}
service submission-login {{
  inet_listener submission {{
    port = {submission}
  }}
}}
"""
_WEBMAIL: Final = "user_device=webmail userdb_user_device=webmail nodelay=y"
# As the files of deploy/ advise.
PASSDBS: Final = """
passdb {{
  driver = lua
  args = file={folder}/device-passwords.lua blocking=yes
}}
passdb {{
  driver = passwd-file
  args = username_format=%Lu {folder}/users
  override_fields = allow_nets={from_webmail} {webmail}
}}
"""
# One more, as long as main passwords are limited group by group.
FROM_PHONES: Final = """
passdb {{
  driver = passwd-file
  args = username_format=%Lu {folder}/users
  override_fields = nodelay=y
}}
"""


@dataclass(frozen=True, slots=True)
class Dovecot:
    """A Dovecot that runs; a port is 0 where it was not asked for."""

    folder: Path
    port: int
    admin: int
    lmtp: int = 0
    sasl: int = 0
    pop3: int = 0
    submission: int = 0

    @property
    def log(self) -> str:
        """What it wrote down so far."""
        return (self.folder / "dovecot.log").read_text(encoding="utf-8", errors="replace")

    def change(self, name: str, before: str, after: str) -> None:
        """Write another thing into one of its files, and have it read anew."""
        path = self.folder / name
        path.write_text(path.read_text(encoding="utf-8").replace(before, after), encoding="utf-8")
        master = int((self.folder / "run" / "master.pid").read_text(encoding="ascii"))
        reloads = self.log.count("SIGHUP")
        os.kill(master, signal.SIGHUP)
        until("the reading of the files", lambda: self.log.count("SIGHUP") > reloads)

    def doveadm(self, *commands: list[Any]) -> list[Any]:
        """Give commands over doveadm's HTTP interface; return its answers."""
        word = base64.b64encode(ADMIN_KEY.encode()).decode()
        request = urllib.request.Request(
            f"http://{HERE}:{self.admin}/doveadm/v1",
            data=json.dumps(list(commands)).encode(),
            headers={"Authorization": f"X-Dovecot-API {word}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            said: list[Any] = json.loads(answer.read())
            return said


def write_people(folder: Path, people: Iterable[Person], mode_of: int) -> None:
    """Write main and device passwords, and make the folder of mail."""
    lines = [f"{each.login}:{{PLAIN}}{each.password}::::::\n" for each in people]
    (folder / "users").write_text("".join(lines), encoding="utf-8")
    rows = [
        f"{each.login}\t{device}\t{{PLAIN}}{word}\n"
        for each in people
        for device, word in each.devices.items()
    ]
    (folder / "device-passwords.tsv").write_text("".join(rows), encoding="utf-8")
    (folder / "mail").mkdir()
    os.chown(folder / "mail", mode_of, mode_of)


def ship_question(
    name: str,
    folder: Path,
    gate_port: int,
    changes: Mapping[str, str] | None,
    *,
    patient: bool,
    inside: str = "",
) -> None:
    """Ship a file that asks the gate, and the token that it includes; `changes` are made in both.

    `inside` is what Dovecot calls the folder, where that is not its name here.
    """
    in_question = {f"/etc/dovecot/{TOKEN_FILE}": f"{inside or folder}/{TOKEN_FILE}"}
    in_question |= changes or {}
    of_token = {TOKEN: in_question.pop(TOKEN)} if TOKEN in in_question else {}
    ship(name, folder, gate_port, in_question, patient=patient)
    ship(f"dovecot-2.3/{TOKEN_FILE}", folder, gate_port, of_token).chmod(0o600)


def recipe(name: str, changes: Mapping[str, str], *, of: str = "2.3") -> str:
    """Return the passdbs of a file of deploy/ (`of` a version), with the script and `changes`.

    A `{folder}` in what is put in stands for the folder of the Dovecot that will read it.
    """
    text = (DEPLOY / f"dovecot-{of}" / name).read_text(encoding="utf-8")
    text = text.replace("{", "{{").replace("}", "}}")
    text = text.replace("/etc/dovecot/device-passwords.lua", "{folder}/device-passwords.lua")
    for before, after in changes.items():
        if before not in text:
            raise LabBroke(f"{name} does not say {before!r}")
        text = text.replace(before, after)
    return text


def keyed_script(folder: Path | str) -> dict[str, str]:
    """Return what to change in the script so that it reads the PASSWORDS in that folder."""
    return {
        'folder = "/etc/dovecot/device-passwords"': f'folder = "{folder}/{PASSWORDS}"',
        '{ ["127.0.0.1"] = true, ["::1"] = true }': f'{{ ["{WEBMAIL}"] = true }}',
    }


def with_commented_lines(recipe: str) -> str:
    """Return a recipe with the settings that it has commented out, as somebody takes them in."""
    return re.sub(r"^#(passdb|  \w|\}\})", r"\1", recipe, flags=re.MULTILINE)


@contextmanager
def dovecot_that_asks(
    gate_port: int,
    *,
    passdbs: str = PASSDBS,
    more: str = "",
    relay: int = 0,
    people: Iterable[Person] = PEOPLE,
    from_webmail: str = FROM_WEBMAIL,
    changes: Mapping[str, str] | None = None,
    script: Mapping[str, str] | None = None,
    everything: bool = False,
    patient: bool = True,
    shipped: str = ASKS_GATE,
    keyed: bool = False,
) -> Iterator[Dovecot]:
    """Dovecot 2.3 whose gate is on `gate_port`, whether somebody listens there or not.

    `changes` are made in the `shipped` file, `script` in the Lua script; `everything` adds
    delivery, POP3 and submission (which hands on to `relay`). With `keyed`, device passwords and
    limited main passwords are read from its PASSWORDS, as Countermand writes them.
    """
    need("dovecot")
    people = tuple(people)
    reader = pwd.getpwnam("mail")
    with open_folder("dovecot") as folder, ExitStack() as stack:
        names = ["imap", "admin"] + (["lmtp", "sasl", "pop3", "submission"] * everything)
        port = {name: stack.enter_context(held_port()) for name in names}
        ship_question(f"dovecot-2.3/{shipped}", folder, gate_port, changes, patient=patient)
        list_of_passwords = {"/etc/dovecot/device-passwords.tsv": f"{folder}/device-passwords.tsv"}
        in_script = {**list_of_passwords, **(keyed_script(folder) if keyed else script or {})}
        ship("dovecot-2.3/device-passwords.lua", folder, gate_port, in_script)
        write_people(folder, people, reader.pw_uid)
        text = _CONFIG + (_DELIVERY + _POP3 + _SUBMISSION) * everything
        config = folder / "dovecot.conf"
        config.write_text(
            text.format(
                folder=folder,
                user_id=reader.pw_uid,
                key=ADMIN_KEY,
                protocols="imap lmtp pop3 submission" if everything else "imap",
                passdbs=(passdbs + FROM_PHONES * keyed).format(
                    folder=folder,
                    from_webmail=f"{WEBMAIL}/32" if keyed else from_webmail,
                    webmail=_WEBMAIL,
                ),
                more=more,
                relay=relay,
                asks=shipped,
                **port,
            ),
            encoding="utf-8",
        )
        command = ["dovecot", "-F", "-c", str(config)]
        with running(command, list(port.values()), folder / "dovecot.log"):
            yield Dovecot(folder, port.pop("imap"), **port)
