"""The embedded PostgreSQL is private, and comes back after every kind of death."""

import contextlib
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from countermand.data_folder import DataFolder
from countermand.project import postgres_home
from countermand.project.embedded_postgres import (
    ADMIN,
    SENDER,
    ClusterOfAnotherVersion,
    EmbeddedPostgres,
    Passwords,
    PasswordsDoNotMatch,
    processes_in,
)
from tests.fresh_database import FreshDatabase

PASSWORDS = Passwords("admin", "main", "sender", "gate")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that PostgreSQL's own user may pass through."""
    folder = Path(tempfile.mkdtemp(prefix="cm-test-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


def server_in(place: Path, *, passwords: Passwords = PASSWORDS) -> EmbeddedPostgres:
    return EmbeddedPostgres(postgres_home.choose(DataFolder(place)), passwords, durable=False)


def socket_of(server: EmbeddedPostgres) -> Path:
    return Path(parse_qs(urlsplit(server.url()).query)["host"][0])


def setting(url: str, name: str) -> str:
    with psycopg.connect(url) as connection:
        row = connection.execute(f"SHOW {name}").fetchone()
    assert row is not None
    return str(row[0])


def test_a_fresh_database_is_open_to_its_owner(database: FreshDatabase) -> None:
    with psycopg.connect(database.url) as guest:
        assert guest.execute("SELECT current_user").fetchone() == ("countermand",)


def test_nobody_comes_in_by_network(postgres: EmbeddedPostgres) -> None:
    assert setting(postgres.url(role=ADMIN, database="postgres"), "listen_addresses") == ""


@pytest.mark.parametrize("role", [ADMIN, "countermand", SENDER])
@pytest.mark.parametrize("word", ["", "wrong"], ids=["none", "a wrong one"])
def test_nobody_comes_in_without_the_password(
    postgres: EmbeddedPostgres, role: str, word: str
) -> None:
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(host=str(socket_of(postgres)), user=role, password=word, dbname="postgres")


def test_the_program_s_own_role_is_no_superuser(postgres: EmbeddedPostgres) -> None:
    with psycopg.connect(postgres.url(role=ADMIN, database="postgres")) as connection:
        rows = connection.execute("SELECT rolname FROM pg_roles WHERE rolsuper").fetchall()

    assert rows == [(ADMIN,)]


@as_root
def test_another_user_of_this_machine_does_not_even_reach_the_socket(
    postgres: EmbeddedPostgres,
) -> None:
    psql = postgres_home.wheel() / "bin" / "psql"
    others = [entry for entry in pwd.getpwall() if entry.pw_uid not in {0, postgres.owner}]

    answer = subprocess.run(
        [str(psql), "-h", str(socket_of(postgres)), "-U", ADMIN, "-w", "postgres"],
        check=False,
        capture_output=True,
        text=True,
        user=others[-1].pw_uid,
        group=others[-1].pw_gid,
        extra_groups=[],
        cwd="/",
    )

    assert answer.returncode != 0
    assert "Permission denied" in answer.stderr


def test_text_is_compared_alike_on_every_machine(postgres: EmbeddedPostgres) -> None:
    with psycopg.connect(postgres.url(role=ADMIN, database="postgres")) as connection:
        row = connection.execute("SELECT lower('ÄÉ'), 'b' < 'É'").fetchone()

    assert row == ("äé", True)


def test_a_killed_server_comes_back_with_what_was_committed(place: Path) -> None:
    home = postgres_home.choose(DataFolder(place))
    server = EmbeddedPostgres(home, PASSWORDS)
    server.start()
    with psycopg.connect(server.url()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    os.kill(server.pid, signal.SIGKILL)
    while server.is_running():
        time.sleep(0.01)

    server.start()

    with psycopg.connect(server.url()) as connection:
        assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
    server.stop()


def test_a_process_id_left_behind_is_not_believed_and_its_owner_lives(place: Path) -> None:
    server = server_in(place)
    server.start()
    server.stop()
    stranger = subprocess.Popen(["/bin/sleep", "60"])
    pid_file = place / "postgres" / "cluster" / "postmaster.pid"
    pid_file.write_text(f"{stranger.pid}\n{pid_file.parent}\n0\n5432\n/nowhere\n\n0 0\n")

    server.start()

    assert server.is_running()
    assert stranger.poll() is None
    server.stop()
    stranger.kill()
    stranger.wait()


START_AND_WAIT = textwrap.dedent("""
    import sys, time
    from pathlib import Path
    from countermand.data_folder import DataFolder
    from countermand.project import postgres_home
    from countermand.project.embedded_postgres import EmbeddedPostgres, Passwords

    home = postgres_home.choose(DataFolder(Path(sys.argv[1])))
    server = EmbeddedPostgres(home, Passwords("admin", "main", "sender", "gate"), durable=False)
    server.start()
    print(server.pid, flush=True)
    time.sleep(60)
""")


def test_an_orphaned_server_ends_and_the_next_one_starts(place: Path) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", START_AND_WAIT, str(place)], stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    assert int(owner.stdout.readline()) > 0
    owner.kill()
    owner.wait()
    owner.stdout.close()

    server = server_in(place)
    server.start()

    assert set(processes_in(place / "postgres" / "cluster")) >= {server.pid}
    server.stop()
    assert not list(processes_in(place / "postgres" / "cluster"))


def test_a_long_path_with_a_space_gets_a_short_private_socket(place: Path) -> None:
    data = place / f"a data folder {'x' * 120}"
    data.mkdir(mode=0o711)
    server = server_in(data)
    folder = socket_of(server)
    server.start()

    status = folder.lstat()
    assert len(os.fsencode(folder / ".s.PGSQL.5432")) <= 107
    assert stat.S_IMODE(status.st_mode) == 0o700
    assert status.st_uid == server.owner
    assert socket_of(server_in(data)) == folder  # the same one again
    server.stop()
    assert not folder.exists()


@pytest.mark.parametrize("trap", ["link", "open to others"])
def test_a_short_folder_that_others_could_use_is_not_taken(place: Path, trap: str) -> None:
    data = place / ("x" * 120)
    data.mkdir(mode=0o711)
    folder = socket_of(server_in(data))
    if trap == "link":
        folder.rmdir()
        folder.symlink_to("/tmp")
    else:
        folder.chmod(0o755)

    other = socket_of(server_in(data))

    assert other != folder
    other.rmdir()
    folder.unlink() if folder.is_symlink() else folder.rmdir()


def test_a_cluster_of_another_version_is_left_alone(place: Path) -> None:
    server = server_in(place)
    server.start()
    server.stop()
    (place / "postgres" / "cluster" / "PG_VERSION").write_text("16\n")

    with pytest.raises(ClusterOfAnotherVersion):
        server.start()


def test_a_password_that_the_cluster_does_not_know_is_said_at_once(place: Path) -> None:
    server = server_in(place)
    server.start()
    server.stop()
    stranger = server_in(place, passwords=Passwords("other", "main", "sender", "gate"))

    with pytest.raises(PasswordsDoNotMatch):
        stranger.start()
    stranger.stop()


@as_root
def test_root_changes_no_folder_above_and_makes_no_user(place: Path) -> None:
    inner = place / "inner"
    inner.mkdir(mode=0o751)
    data = inner / "data"
    data.mkdir(mode=0o711)
    users = Path("/etc/passwd").read_bytes()

    server = server_in(data)
    server.start()
    server.stop()

    assert Path("/etc/passwd").read_bytes() == users
    assert [stat.S_IMODE(each.stat().st_mode) for each in (place, inner, data)] == [
        0o711,
        0o751,
        0o711,
    ]


@as_root
def test_below_a_closed_folder_the_cluster_lies_elsewhere_and_is_found_again(place: Path) -> None:
    place.chmod(0o700)
    home = postgres_home.choose(DataFolder(place))

    assert not home.base.is_relative_to(place)
    assert home == postgres_home.choose(DataFolder(place))
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert not (place / "postgres").exists()
    server = EmbeddedPostgres(home, PASSWORDS, durable=False)
    server.start()
    server.stop()
    shutil.rmtree(home.base)
    with contextlib.suppress(OSError):  # not empty: somebody's own
        home.base.parent.rmdir()


@as_root
def test_programs_below_a_closed_folder_are_copied_to_where_their_user_can_run_them(
    place: Path,
) -> None:
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    package = postgres_home.wheel().parent
    for each in package.parent.glob(f"{package.name}*"):
        (closed / each.name).symlink_to(each)
    data = place / "data"
    data.mkdir(mode=0o711)

    with subprocess.Popen(
        [sys.executable, "-c", START_AND_WAIT, str(data)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(closed)},
        umask=0o077,
    ) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        program = Path(f"/proc/{pid}/exe").readlink()
        owner.kill()
    while list(processes_in(data / "postgres" / "cluster")):
        time.sleep(0.01)

    assert program.is_relative_to(data)
