"""Debian's slapd with the people of the lab in it: a directory that checks main passwords."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from lab.ground import HERE, Server, held_port, need, open_folder, running
from lab.people import PEOPLE, Person

_BASE: Final = "dc=example,dc=org"
_CONFIG: Final = """\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
pidfile {folder}/slapd.pid
modulepath /usr/lib/ldap
moduleload back_mdb
database mdb
suffix "{base}"
directory {folder}/db
access to attrs=userPassword by anonymous auth by * none
access to * by users read by * none
"""
_ROOT: Final = f"dn: {_BASE}\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: E\n"
# As a site has it: the directory compares, and hands out no hash.
_DOVECOT: Final = """\
hosts = {host}:{port}
auth_bind = yes
auth_bind_userdn = mail=%u,{base}
base = {base}
ldap_version = 3
"""


def _entry(person: Person) -> str:
    lines = [
        f"dn: mail={person.login},{_BASE}",
        "objectClass: inetOrgPerson",
        f"cn: {person.name}",
        f"sn: {person.name}",
        f"mail: {person.login}",
        f"userPassword: in-the-directory-{person.password}",
    ]
    return "\n".join(lines) + "\n"


@contextmanager
def slapd(people: Iterable[Person] = PEOPLE) -> Iterator[Server]:
    """A directory in which everybody's main password begins with `in-the-directory-`."""
    os.environ["PATH"] = f"{os.environ.get('PATH', os.defpath)}{os.pathsep}/usr/sbin"
    need("slapd", "slapadd")
    with open_folder("slapd") as folder, held_port() as port:
        (folder / "db").mkdir()
        config = folder / "slapd.conf"
        config.write_text(_CONFIG.format(folder=folder, base=_BASE), encoding="utf-8")
        entries = "\n".join([_ROOT, *(_entry(each) for each in people)])
        subprocess.run(
            ["slapadd", "-f", str(config)],
            input=entries,
            check=True,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
        )
        command = ["slapd", "-f", str(config), "-h", f"ldap://{HERE}:{port}", "-d", "0"]
        with running(command, [port], folder / "slapd.log"):
            yield Server(port, folder)


def dovecot_ldap(folder: Path, directory: Server) -> Path:
    """Write the file in which Dovecot 2.3 reads about this directory."""
    path = folder / "dovecot-ldap.conf.ext"
    path.write_text(_DOVECOT.format(host=HERE, port=directory.port, base=_BASE), encoding="utf-8")
    return path


def in_dovecot_24(directory: Server) -> dict[str, str]:
    """Return what to change in the recipe for Dovecot 2.4 so that it asks this directory."""
    return {
        "ldap://10.0.0.6": f"ldap://{HERE}:{directory.port}",
        "ou=people,dc=example,dc=org": _BASE,
    }
