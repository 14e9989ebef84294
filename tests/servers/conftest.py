"""Real mail and web servers of this machine, under the configuration that deploy/ ships.

They listen on ports of this machine alone.
"""

import fcntl
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
TOKEN = "a-token-for-the-tests"
GATE_AS_SHIPPED = "127.0.0.1:8481"
LONGEST_START_S = 20.0
PORTS = range(21_100, 21_400)

# Who has which passwords: (login, device, password).
DEVICE_PASSWORDS = (
    ("asha@amber.example", "phone-7f3a", "of-the-phone"),
    ("asha@amber.example", "laptop-11c0", "of-the-laptop"),
    ("ravi@amber.example", "tablet-90aa", "of-the-tablet"),
)

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
first_valid_uid = {user_id}
mail_location = maildir:{folder}/mail/%Lu
auth_mechanisms = plain login
!include {folder}/95-countermand.conf
passdb {{
  driver = lua
  args = file={folder}/device-passwords.lua blocking=yes
}}
userdb {{
  driver = static
  args = uid={user_id} gid={user_id} home={folder}/mail/%Lu allow_all_users=yes
}}
# One test's wrong password must not slow down the next test.
auth_failure_delay = 0
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
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

NGINX = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
events {{ }}
http {{
  access_log off;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  include {folder}/countermand-gate.conf;
  server {{
    listen 127.0.0.1:{port};
    include {folder}/countermand-doors.conf;
    location = /Microsoft-Server-ActiveSync {{
      auth_request /countermand-question;
      error_page 403 = @countermand-closed;
      proxy_pass http://127.0.0.1:{behind};
    }}
    location /mail/ {{
      auth_request /countermand-question;
      error_page 403 = @countermand-closed;
      proxy_pass http://127.0.0.1:{behind};
    }}
  }}
  server {{
    listen 127.0.0.1:{behind};
    location / {{ return 200 "mail"; }}
  }}
}}
"""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs: where it listens, and where its files are."""

    port: int
    folder: Path


@contextmanager
def held_port() -> Iterator[int]:
    """A free port that no other run of these tests takes as long as we hold its lock.

    Below the range from which the system gives ports to others.
    """
    for port in PORTS:
        with Path(tempfile.gettempdir(), f"cm-port-{port}.lock").open(
            "w", encoding="utf-8"
        ) as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                socket.create_server(("127.0.0.1", port)).close()
            except OSError:
                continue
            yield port
            return
    pytest.fail("there is no free port")


@contextmanager
def running(command: list[str], port: int, log: Path) -> Iterator[None]:
    """Run a server in the foreground until it answers, and end it afterwards."""
    with log.with_suffix(".out").open("wb") as output:
        server = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        wait_until_it_answers(server, port, log)
        yield
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


def wait_until_it_answers(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    for _ in range(int(LONGEST_START_S / 0.05)):
        if server.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                time.sleep(0.05)
                continue
            return
        break
    said = [
        path.read_text(encoding="utf-8") for path in (log, log.with_suffix(".out")) if path.exists()
    ]
    pytest.fail("the server did not start: " + "\n".join(said)[-2000:])


def ship(name: str, folder: Path, gate_port: int) -> None:
    """Copy a file of deploy/ with the address and the token that an administrator puts in."""
    shipped = (DEPLOY / name).read_text(encoding="utf-8")
    filled = shipped.replace(GATE_AS_SHIPPED, f"127.0.0.1:{gate_port}").replace("GATE-TOKEN", TOKEN)
    filled = filled.replace("/etc/dovecot/device-passwords.tsv", f"{folder}/device-passwords.tsv")
    (folder / Path(name).name).write_text(filled, encoding="utf-8")


@contextmanager
def open_folder(name: str) -> Iterator[Path]:
    """A short folder that the servers' own users may enter (pytest's own is closed to them)."""
    folder = Path(tempfile.mkdtemp(prefix=f"cm-{name}-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def as_user(program: str) -> None:
    """These servers change their user themselves, which only root can do."""
    if os.geteuid() != 0 or shutil.which(program) is None:
        pytest.fail(f"{program} has to be installed, and started as root")


@contextmanager
def dovecot_that_asks(gate_port: int) -> Iterator[Server]:
    """Dovecot 2.3 whose gate is on `gate_port`, whether somebody listens there or not."""
    as_user("dovecot")
    with open_folder("dovecot") as folder, held_port() as port:
        ship("dovecot-2.3/95-countermand.conf", folder, gate_port)
        ship("dovecot-2.3/device-passwords.lua", folder, gate_port)
        lines = [
            f"{login}\t{device}\t{{PLAIN}}{word}\n" for login, device, word in DEVICE_PASSWORDS
        ]
        (folder / "device-passwords.tsv").write_text("".join(lines), encoding="utf-8")
        reader = pwd.getpwnam("mail")
        (folder / "mail").mkdir()
        os.chown(folder / "mail", reader.pw_uid, reader.pw_uid)
        config = folder / "dovecot.conf"
        text = DOVECOT.format(folder=folder, port=port, user_id=reader.pw_uid)
        config.write_text(text, encoding="utf-8")
        with running(["dovecot", "-F", "-c", str(config)], port, folder / "dovecot.log"):
            yield Server(port, folder)


@contextmanager
def nginx_that_asks(gate_port: int) -> Iterator[Server]:
    """nginx before a groupware that always says "mail", with its gate on `gate_port`."""
    as_user("nginx")
    with open_folder("nginx") as folder, held_port() as port, held_port() as behind:
        ship("nginx/countermand-gate.conf", folder, gate_port)
        ship("nginx/countermand-doors.conf", folder, gate_port)
        config = folder / "nginx.conf"
        config.write_text(NGINX.format(folder=folder, port=port, behind=behind), encoding="utf-8")
        command = ["nginx", "-p", str(folder), "-c", str(config)]
        with running(command, port, folder / "error.log"):
            yield Server(port, folder)
