"""Dovecot 2.4 out of a Debian 13 root of its own, with what deploy/ ships for it.

The root is made once by debootstrap (half a minute, 300 MB) and kept; `make lab` does that. The
server runs in it, on loopback ports of this machine.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from lab.dovecot import (
    ADMIN_KEY,
    ASKS_GATE,
    FROM_WEBMAIL,
    WEBMAIL,
    Dovecot,
    keyed_script,
    ship_question,
    write_people,
)
from lab.ground import LabBroke, held_port, need, running, ship
from lab.people import PEOPLE, Person

ROOT: Final = Path(os.environ.get("COUNTERMAND_LAB_TRIXIE", "build/lab-trixie")).absolute()
_PACKAGES: Final = (
    "dovecot-core",
    "dovecot-imapd",
    "dovecot-lmtpd",
    "dovecot-auth-lua",
    "dovecot-ldap",
    "dovecot-pop3d",
)
# The last of them to be asked for: a root of an earlier time is without it.
_NEWEST: Final = "usr/share/doc/dovecot-pop3d"
_CONFIG: Final = """
dovecot_config_version = 2.4.1
dovecot_storage_version = 2.4.1
base_dir = {inside}/run
state_dir = {inside}/state
log_path = {inside}/dovecot.log
protocols {{
  imap = yes
  pop3 = yes
}}
listen = 127.0.0.1
ssl = no
auth_allow_cleartext = yes
first_valid_uid = {user_id}
mail_driver = maildir
mail_path = ~/Maildir
mail_home = {inside}/mail/%{{user}}
mail_uid = {user_id}
mail_gid = {user_id}
auth_verbose = yes
!include {inside}/{asks}
{passdbs}
userdb prefetch {{
}}
userdb static {{
  allow_all_users = yes
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service doveadm {{
  inet_listener http {{
    port = {admin}
  }}
}}
doveadm_api_key = {key}
{more}
"""
_MAIN_PASSWORD24: Final = """
passdb lua {{
  lua_file = {folder}/device-passwords.lua
}}
passdb passwd-file {{
  passwd_file_path = {folder}/users
  result_success = continue-ok
  fields {{
    allow_nets = {from_webmail}
    user_device = webmail
    userdb_user_device = webmail
  }}
}}
"""
# One more, as long as main passwords are limited group by group.
_FROM_PHONES24: Final = """
passdb phones {{
  driver = passwd-file
  passwd_file_path = {folder}/users
  result_success = continue-ok
  skip = authenticated
}}
"""
# The last of all.
_RIGHT_PASSWORD24: Final = """
passdb right-password {{
  driver = static
  skip = unauthenticated
  fields {{
    nopassword = y
    nodelay = y
  }}
}}
"""
# As the files of deploy/ advise.
PASSDBS24: Final = _MAIN_PASSWORD24 + _RIGHT_PASSWORD24
LIMITED_BY_GROUPS24: Final = _MAIN_PASSWORD24 + _FROM_PHONES24 + _RIGHT_PASSWORD24


def make_root() -> None:
    """Make the root unless it is there; a half-made one is never taken for one."""
    if (ROOT / _NEWEST).exists():
        return
    need("debootstrap")
    shutil.rmtree(ROOT, ignore_errors=True)
    draft = ROOT.with_name(f"{ROOT.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.parent.mkdir(parents=True, exist_ok=True)
    command = ["debootstrap", "--variant=minbase", f"--include={','.join(_PACKAGES)}"]
    made = subprocess.run(
        [*command, "trixie", str(draft)], check=False, capture_output=True, encoding="utf-8"
    )
    if made.returncode != 0:
        raise LabBroke(f"debootstrap failed: {made.stdout[-1000:]}")
    draft.rename(ROOT)


@contextmanager
def dovecot24_that_asks(
    gate_port: int,
    *,
    passdbs: str = PASSDBS24,
    more: str = "",
    people: Iterable[Person] = PEOPLE,
    changes: Mapping[str, str] | None = None,
    patient: bool = True,
    shipped: str = ASKS_GATE,
    keyed: bool = False,
) -> Iterator[Dovecot]:
    """Start Dovecot 2.4 whose gate is on `gate_port`; `keyed` and `changes` as with 2.3.

    A `{folder}` in `passdbs` is its own folder, as it sees it.
    """
    need("chroot")
    if not (ROOT / _NEWEST).exists():
        raise LabBroke(f"{ROOT} is not there: make lab makes it")
    folder = Path(tempfile.mkdtemp(prefix="lab-", dir=ROOT))
    folder.chmod(0o755)
    inside = f"/{folder.name}"
    reader = pwd.getpwnam("mail").pw_uid  # the same number in every Debian
    try:
        with held_port() as imap, held_port() as pop3, held_port() as admin:
            asks = f"dovecot-2.4/{shipped}"
            ship_question(asks, folder, gate_port, changes, patient=patient, inside=inside)
            password_list = {"/etc/dovecot/device-passwords.tsv": f"{inside}/device-passwords.tsv"}
            in_script = password_list | (keyed_script(inside) if keyed else {})
            ship("dovecot-2.3/device-passwords.lua", folder, gate_port, in_script)
            write_people(folder, people, reader)
            text = _CONFIG.format(
                inside=inside,
                user_id=reader,
                imap=imap,
                pop3=pop3,
                admin=admin,
                key=ADMIN_KEY,
                passdbs=(LIMITED_BY_GROUPS24 if keyed else passdbs).format(
                    folder=inside, from_webmail=f"{WEBMAIL}/32" if keyed else FROM_WEBMAIL
                ),
                more=more,
                asks=shipped,
            )
            (folder / "dovecot.conf").write_text(text, encoding="utf-8")
            command = ["chroot", str(ROOT), "dovecot", "-F", "-c", f"{inside}/dovecot.conf"]
            with running(command, [imap, pop3, admin], folder / "dovecot.log"):
                yield Dovecot(folder, imap, admin, pop3=pop3)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    make_root()
