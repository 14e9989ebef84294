"""What the doctor says about mail servers and proxies: their configuration, and a question each.

Configurations that are named are read as they are. Without a name, Dovecot and nginx of this
machine are asked for theirs, if it mentions the gate at all, and so is a Postfix that leaves
passwords to Dovecot: others are none of our business.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Final

from countermand import i18n
from countermand.config import Settings
from countermand.i18n import gettext as _
from countermand.project.findings import Finding, State
from countermand.project.front_faults import Around
from countermand.project.front_files import Kind, faults, kind_of
from countermand.project.front_probes import probe

_PATIENCE_S: Final = 10
_PROGRAMS: Final = "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"
_LARGEST_FILE: Final = 1024 * 1024
# Dovecot 2.4 prints the first of these as a block.
_OURS: Final = ("auth_policy_server_url", "auth_policy {", "countermand")
_SCRIPT: Final = re.compile(r"(?:file|lua_file)\s*=\s*([^\s]+\.lua)")
_PRINTS: Final[Mapping[Kind, tuple[str, ...]]] = {
    Kind.DOVECOT: ("doveconf", "-n"),
    Kind.NGINX: ("nginx", "-T"),
}
# Where Debian, Fedora and Arch keep what Dovecot's auth process loads.
_AUTH_MODULES: Final = (
    Path("/usr/lib/dovecot/modules/auth"),
    Path("/usr/lib64/dovecot/auth"),
    Path("/usr/lib/dovecot/auth"),
)
_MAIN_CF: Final = Path("/etc/postfix/main.cf")
_ASKS_DOVECOT: Final = re.compile(r"smtpd_sasl_type\s*=\s*dovecot")
_LUA_MODULE: Final = "libauthdb_lua.so"
_FOLDERS: Final[Mapping[Kind, Path]] = {Kind.DOVECOT: Path("/etc/dovecot")}


@dataclass(frozen=True, slots=True)
class Fronts:
    """What to look at: addresses to ask through, and files to read; a password for IMAP."""

    addresses: Sequence[str] = ()
    files: Sequence[Path] = ()
    password: str = field(default="", repr=False)


def examine_fronts(fronts: Fronts, settings: Settings) -> Iterator[Finding]:
    """Yield what is found, files first."""
    for path in fronts.files:
        yield from _examine_file(path, settings)
    if not fronts.files:
        yield from _examine_machine(settings)
    for address in fronts.addresses:
        yield probe(address, settings, fronts.password)


def _examine_file(path: Path, settings: Settings) -> Iterator[Finding]:
    text = _read(path)
    if not text:
        yield Finding(
            path.name,
            State.BAD,
            _("{path} cannot be read.").format(path=path),
            _("Name a file that you may read, such as the output of doveconf -n."),
        )
        return
    yield from _judged(str(path), text, path.parent, settings)


def _examine_machine(settings: Settings) -> Iterator[Finding]:
    for kind, command in _PRINTS.items():
        text, why = _printed(command)
        if why:
            yield Finding(
                command[0],
                State.NOTE,
                _("What {program} says of its configuration cannot be read: {why}").format(
                    program=" ".join(command), why=i18n.reason(why)
                ),
                _("Run the doctor as root, or name the output with --front-config."),
            )
        elif any(word in text for word in _OURS):
            folder = _FOLDERS.get(kind)
            yield from _judged(command[0], text, folder, settings, lacks_lua=_lacks_lua())
    yield from _examine_postfix(settings)


def _examine_postfix(settings: Settings) -> Iterator[Finding]:
    """Judge a Postfix that leaves passwords to Dovecot, and so asks the gate by it."""
    if not _MAIN_CF.exists():
        return
    text, why = _printed(("postconf", "-n"))
    services, _why = _printed(("postconf", "-P"))
    if not why and _ASKS_DOVECOT.search(f"{text}\n{services}"):
        yield from _judged("postconf", text, None, settings)


def _lacks_lua() -> bool:
    """Tell whether a Dovecot is here that can load modules, and that for Lua is not among them."""
    folders = [each for each in _AUTH_MODULES if each.is_dir()]
    return bool(folders) and not any((each / _LUA_MODULE).exists() for each in folders)


def _judged(
    name: str, text: str, folder: Path | None, settings: Settings, *, lacks_lua: bool = False
) -> Iterator[Finding]:
    is_dovecot = kind_of(text) is Kind.DOVECOT
    around = Around(
        scripts={path: _read(Path(path)) for path in _SCRIPT.findall(text)},
        files="\n".join(_configs(folder)) if is_dovecot and folder else "",
        passes_on=_passes_on(settings),
        sees_all=os.geteuid() == 0,
        lacks_lua=lacks_lua,
        limits_somebody=_limits_somebody(settings),
    )
    found = faults(text, around)
    for each in found:
        state = State.NOTE if each.may_wait else State.BAD
        yield Finding(name, state, each.sentence, each.remedy)
    if all(each.may_wait for each in found):
        yield Finding(
            name, State.GOOD, _("Its configuration lets people in when the gate is in trouble.")
        )


def _passes_on(settings: Settings) -> bool:
    """Tell whether a policy server behind the gate is named in any setting."""
    return any(getattr(settings, each.name) for each in fields(settings) if "upstream" in each.name)


def _limits_somebody(settings: Settings) -> bool:
    try:
        return any((settings.device_password_files / "limited").iterdir())
    except OSError:
        return False


def _configs(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*.conf")):
        yield _read(path)


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST_FILE:
            return ""
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _printed(command: tuple[str, ...]) -> tuple[str, str]:
    """Return what a program prints, and why it does not; neither where there is no such program."""
    program = shutil.which(command[0], path=_PROGRAMS)
    if program is None:
        return "", ""
    try:
        answer = subprocess.run(
            [program, *command[1:]],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_PATIENCE_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return "", f"{type(error).__name__}: {error}"
    if answer.returncode != 0:
        lines = answer.stderr.strip().splitlines()
        return "", lines[-1] if lines else f"exit code {answer.returncode}"
    return answer.stdout, ""
