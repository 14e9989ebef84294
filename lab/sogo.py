"""SOGo of Debian with ActiveSync, on a PostgreSQL and a memcached of its own.

SOGo reads one fixed file only, so it is started in a mount namespace in which that file is ours;
the machine's own file stays as it is. (Who uses SOGo's ActiveSync in production has to look after
Microsoft's patent licence, as Debian's README says.)
"""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import psycopg

from countermand.data_folder import DataFolder
from countermand.project import postgres_home
from countermand.project.children import spawn
from lab.ground import HERE, LabBroke, Server, held_port, need, open_folder, running, until
from lab.people import PEOPLE, Person

LONGEST_HANGING_S: Final = 3  # how long SOGo keeps a hanging Sync or Ping
_PASSWORD: Final = "of-the-lab"
_CONFIG: Final = """{{
  WOPort = 127.0.0.1:{port};
  WOWorkersCount = 3;
  WOPidFile = {folder}/sogo.pid;
  WOLogFile = {folder}/sogo.log;
  SOGoProfileURL = "{database}/sogo_user_profile";
  OCSFolderInfoURL = "{database}/sogo_folder_info";
  OCSSessionsFolderURL = "{database}/sogo_sessions_folder";
  SOGoMemcachedHost = "127.0.0.1:{memcached}";
  SOGoLanguage = English; SOGoTimeZone = UTC;
  SOGoMailingMechanism = smtp; SOGoSMTPServer = "smtp://127.0.0.1:{relay}";
  SOGoIMAPServer = "imap://127.0.0.1:{imap}";
  SOGoMailDomain = example.org; SOGoForceExternalLoginWithEmail = NO;
  SOGoSentFolderName = Sent; SOGoTrashFolderName = Trash; SOGoDraftsFolderName = Drafts;
  SOGoUserSources = ( {{ type = sql; id = directory; viewURL = "{database}/sogo_users";
    canAuthenticate = YES; isAddressBook = NO; userPasswordAlgorithm = plain; }} );
  SOGoMaximumPingInterval = {hanging}; SOGoMaximumSyncInterval = {hanging};
  SOGoInternalSyncInterval = 2;
  WOWatchDogRequestTimeout = 5;
}}
"""
_TABLE: Final = (
    "CREATE TABLE sogo_users (c_uid VARCHAR(128) PRIMARY KEY, c_name VARCHAR(128),"
    " c_password VARCHAR(128), c_cn VARCHAR(128), mail VARCHAR(128))"
)


@contextmanager
def _postgres(people: Iterable[Person]) -> Iterator[str]:
    """A PostgreSQL of the wheel's programs that listens on loopback; yields its address."""
    with open_folder("sogo-database") as folder, held_port() as port:
        home = postgres_home.choose(DataFolder(folder))
        word = home.base / "word"
        word.write_text(_PASSWORD, encoding="ascii")
        os.chown(word, home.owner, -1)
        options = ["--auth=scram-sha-256", "--no-sync", "--encoding=UTF8", "--no-locale"]
        options += [f"--pwfile={word}", "--username=sogo"]
        settings = {
            "listen_addresses": HERE,
            "port": str(port),
            "unix_socket_directories": "",
            "fsync": "off",
            "max_connections": "60",
        }
        server = [f"-c{name}={value}" for name, value in settings.items()]
        surroundings = {"LC_ALL": "C.UTF-8", "PATH": os.defpath, "TZ": "UTC"}

        def start(*command: str | Path) -> subprocess.Popen[bytes]:
            return spawn(
                command,
                on_parent_death=signal.SIGINT,
                environment=surroundings,
                run_as=home.run_as,
                folder=home.base,
            )

        if start(home.programs / "initdb", "-D", home.cluster, *options).wait() != 0:
            raise LabBroke("initdb failed")
        process = start(home.programs / "postgres", "-D", home.cluster, *server)
        try:
            address = f"postgresql://sogo:{_PASSWORD}@{HERE}:{port}/"
            until("PostgreSQL", lambda: _is_up(f"{address}postgres"))
            _fill(f"{address}postgres", people)
            yield f"{address}postgres"
        finally:
            process.send_signal(signal.SIGQUIT)
            process.wait(60)


def _is_up(address: str) -> bool:
    try:
        psycopg.connect(address).close()
    except psycopg.OperationalError:
        return False
    return True


def _fill(address: str, people: Iterable[Person]) -> None:
    with psycopg.connect(address) as connection:
        connection.execute(_TABLE)
        for each in people:
            row = (each.login, each.login, each.password, each.name, each.login)
            connection.execute("INSERT INTO sogo_users VALUES (%s, %s, %s, %s, %s)", row)


@contextmanager
def sogo(imap: int, relay: int, people: Iterable[Person] = PEOPLE) -> Iterator[Server]:
    """SOGo that reads mail over IMAP on port `imap` and sends through `relay`."""
    need("sogod", "memcached", "unshare", "setpriv")
    with ExitStack() as stack:
        folder = stack.enter_context(open_folder("sogo"))
        os.chown(folder, *_owner())
        port, memory = (stack.enter_context(held_port()) for _ in range(2))
        database = stack.enter_context(_postgres(people))
        command = ["memcached", "-l", HERE, "-p", str(memory), "-u", "nobody", "-U", "0"]
        stack.enter_context(running(command, [memory], folder / "memcached.log"))
        config = folder / "sogo.conf"
        config.write_text(
            _CONFIG.format(
                folder=folder,
                port=port,
                database=database,
                memcached=memory,
                relay=relay,
                imap=imap,
                hanging=LONGEST_HANGING_S,
            ),
            encoding="utf-8",
        )
        inside = (
            f"mount --bind {config} /etc/sogo/sogo.conf && exec setpriv --reuid=sogo --regid=sogo"
            " --init-groups env HOME=/var/lib/sogo /usr/sbin/sogod -WONoDetach YES"
            f" -WOPidFile {folder}/sogo.pid -WOLogFile {folder}/sogo.log"
        )
        with running(["unshare", "-m", "sh", "-c", inside], [port], folder / "sogo.log"):
            yield Server(port, folder)


def _owner() -> tuple[int, int]:
    entry = pwd.getpwnam("sogo")
    return entry.pw_uid, entry.pw_gid
