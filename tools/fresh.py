"""Prove on a bare Debian that a clone needs git, make and python3 and nothing else (`make fresh`).

A root is made by debootstrap (kept as a tar file for the next time) and used twice, by root and
by an ordinary user. The committed HEAD is cloned into a long path with a space in it; LANG is C,
XDG_RUNTIME_DIR is unset, shared memory is small, and the ports one would take are taken. Every
step runs in mount and process namespaces of its own, so nothing stays mounted or running.

Needs root and unshare (util-linux). Certificates and the standard proxy and index settings of
this machine are carried in; nothing else is.
"""

import argparse
import json
import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import debian_packages

RELEASE = "bookworm"
GIVEN = ("git", "make", "python3", "ca-certificates")
CACHE = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "countermand" / "fresh"
TAR_IS_OLD_AFTER_S = 14 * 24 * 3600
CARRIED = (
    *("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"),
    *("UV_HTTP_TIMEOUT",),
)
CERTIFICATES = Path("etc/ssl/certs/ca-certificates.crt")
FOLDER = "a clone with a rather long name/" + "x" * 90 + "/counter mand"
DEVICES = "null zero full random urandom tty"
USER_ID = 4242
# What a mail server, a database and Countermand itself take by default.
PORTS = (25, 143, 587, 993, 5432, 8000, 8080, 8480, 8481, 8482)
MUST_BE_ZERO = ("corrections_missed", "corrections_stray", "untrue_sentences")
LONGEST_STEP_S = 1800

# Runs inside: brings the loopback interface up when the network is taken away.
LOOPBACK_UP = (
    "import fcntl, socket, struct; "
    "fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sh14x', b'lo', 0x41))"
)
# Runs inside, as the last thing of a step: whatever still lives there was left behind.
LEFT_BEHIND = """
import os, sys
for pid in filter(str.isdigit, os.listdir("/proc")):
    if pid in ("1", str(os.getpid())):
        continue  # the shell of this step, and this question
    try:
        words = open(f"/proc/{pid}/cmdline", "rb").read().replace(b"\\0", b" ").decode()
    except OSError:
        continue
    if any(word in words for word in ("postgres", "countermand.", "-m demo")):
        sys.exit(f"left running: {words}")
"""


@dataclass(frozen=True, slots=True)
class Who:
    """Who runs the steps, and where their home is (seen from inside)."""

    name: str
    user_id: int
    home: str


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that must end with 0 inside the bare root."""

    command: str
    offline: bool = False
    writes_report: bool = False
    installs: bool = False  # packages bring accounts of their own


EVERYBODY = (Who("root", 0, "/root"), Who("someone", USER_ID, "/home/someone"))
STEPS = {
    "setup": Step("make setup"),
    "demo": Step("make demo PACE=fast", writes_report=True),
    "check": Step("make check"),
    "unit": Step("make test GROUP=unit"),
    "story": Step("make test GROUP=story"),
    "again": Step("make demo PACE=fast", offline=True, writes_report=True),
    "servers": Step("CI=true make test GROUP=servers", installs=True),  # as root only
    "ci": Step("CI=true bash .ci/run </dev/null", installs=True),
}
USUAL = ("demo", "check", "unit", "story", "again")


def say(sentence: str) -> None:
    """Print one line at once."""
    print(f"fresh: {sentence}", flush=True)


def base() -> Path:
    """Return the tar file of a bare root, made anew when there is none or it is old."""
    tar = CACHE / f"{RELEASE}.tar"
    if tar.exists() and time.time() - tar.stat().st_mtime < TAR_IS_OLD_AFTER_S:
        return tar
    say(f"making a bare {RELEASE} ...")
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE, prefix="make-") as folder:
        root = Path(folder) / "root"
        mirror = [os.environ["DEBIAN_MIRROR"]] if os.environ.get("DEBIAN_MIRROR") else []
        include = f"--include={','.join(GIVEN)}"
        command = ["debootstrap", "--variant=minbase", include, RELEASE, str(root), *mirror]
        log = Path(folder) / "log"
        with log.open("wb") as output:
            status = subprocess.run(command, check=False, stdout=output, stderr=output).returncode
        if status != 0:
            sys.stderr.write(log.read_text(encoding="utf-8", errors="replace")[-2000:])
            raise SystemExit("fresh: debootstrap failed")
        half = tar.with_suffix(".part")
        packed = ["--exclude=./var/cache/apt/archives/*.deb", "--exclude=./proc/*", "."]
        subprocess.run(["tar", "-C", str(root), "-cf", str(half), *packed], check=True)
        half.replace(tar)
    return tar


@contextmanager
def bare_root(tar: Path) -> Iterator[Path]:
    """Unpack a root for one person, and take it away afterwards."""
    root = Path(tempfile.mkdtemp(dir=CACHE, prefix="root-"))
    try:
        root.chmod(0o755)
        subprocess.run(["tar", "-C", str(root), "-xpf", str(tar)], check=True)
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)


@contextmanager
def taken_ports() -> Iterator[None]:
    """Hold the ports that one would take by default; those taken already serve as well."""
    with ExitStack() as held:
        for port in PORTS:
            try:
                held.enter_context(socket.create_server(("127.0.0.1", port)))
            except OSError:
                continue
        yield


def furnish(root: Path, who: Who, commit: Path) -> Path:
    """Carry in names, certificates and the commit; return the folder of the clone (outside)."""
    for name in ("etc/resolv.conf", "etc/hosts"):
        if Path("/", name).exists():
            shutil.copyfile(Path("/", name), root / name)
    bundle = os.environ.get("SSL_CERT_FILE") or f"/{CERTIFICATES}"
    for name in {bundle.lstrip("/"), str(CERTIFICATES)}:
        target = root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(bundle, target)
    if who.user_id:
        line = f"{who.name}:x:{who.user_id}:{who.user_id}::{who.home}:/bin/sh\n"
        with (root / "etc/passwd").open("a", encoding="utf-8") as accounts:
            accounts.write(line)
        with (root / "etc/group").open("a", encoding="utf-8") as groups:
            groups.write(f"{who.name}:x:{who.user_id}:\n")
    home = root / who.home.lstrip("/")
    home.mkdir(parents=True, exist_ok=True)
    os.chown(home, who.user_id, who.user_id)
    shutil.copyfile(commit, root / "tmp/commit.bundle")
    return home / FOLDER


def environment(who: Who) -> dict[str, str]:
    """Return the whole environment inside: little, in the C locale, and what is carried in."""
    plain = {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": who.home,
        "LANG": "C",
    }
    return plain | {name: os.environ[name] for name in CARRIED if os.environ.get(name)}


def inside(root: Path, who: Who, command: str, *, offline: bool = False) -> int:
    """Run a shell command in the root as `who`; return its status."""
    outer = [
        "set -e",
        'mount -t proc proc "$1/proc"',
        'mount -t tmpfs -o mode=755 tmpfs "$1/dev"',
        f"for n in {DEVICES}; do " + 'touch "$1/dev/$n"; mount --bind "/dev/$n" "$1/dev/$n"; done',
        'mkdir -m 1777 "$1/dev/shm"',
        'mount -t tmpfs -o mode=1777,size=64m tmpfs "$1/dev/shm"',
        'ln -s /proc/self/fd "$1/dev/fd"',
        'exec chroot --userspec="$2" "$1" /bin/sh -c "$3"',
    ]
    if offline:
        outer.insert(1, f"{sys.executable} -c {shlex.quote(LOOPBACK_UP)}")
    namespaces = ["--mount", "--pid", "--fork", "--kill-child", "--propagation=private"]
    if offline:
        namespaces.append("--net")
    wrapped = (
        f"{command}\nstatus=$?\npython3 -c {shlex.quote(LEFT_BEHIND)} || exit 99\nexit $status"
    )
    words = ["/bin/sh", "-c", "\n".join(outer), "fresh", str(root)]
    return subprocess.run(
        ["unshare", *namespaces, *words, f"{who.user_id}:{who.user_id}", wrapped],
        check=False,
        env=environment(who),
        stdin=subprocess.DEVNULL,
        timeout=LONGEST_STEP_S,
    ).returncode


def marks(root: Path, clone: Path) -> dict[str, str]:
    """Return what no step may change: the accounts, and the modes of the folders above."""
    found = {"etc/passwd": (root / "etc/passwd").read_text(encoding="utf-8")}
    for folder in (root / "tmp", root / "var", root / "home", *clone.parents):
        if folder.is_relative_to(root):
            found[str(folder)] = f"{folder.stat().st_mode:o} {folder.stat().st_uid}"
    return found


def faults_of_report(clone: Path) -> list[str]:
    """Return what report.json says that it may not say."""
    try:
        report = json.loads((clone / "build/demo/report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return [f"build/demo/report.json cannot be read: {error}"]
    faults = [f"{name} is {report.get(name)}" for name in MUST_BE_ZERO if report.get(name) != 0]
    if report.get("log_verified") is not True:
        faults.append("log_verified is not true")
    return faults


def faults_of_step(name: str, root: Path, clone: Path, who: Who) -> list[str]:
    """Run one step and return what was wrong with it."""
    step = STEPS[name]
    report = clone / "build/demo/report.json"
    if step.writes_report:
        report.unlink(missing_ok=True)
    before = marks(root, clone)
    started = time.monotonic()
    say(f"{who.name}: {step.command}{' (without a network)' if step.offline else ''}")
    folder = f"{who.home}/{FOLDER}"
    status = inside(root, who, f"cd {shlex.quote(folder)} && {step.command}", offline=step.offline)
    faults = [f"ended with {status}"] if status else []
    if step.writes_report:
        faults += faults_of_report(clone)
    if not step.installs and marks(root, clone) != before:
        faults.append("it changed accounts, or the mode of a folder above the clone")
    word = "; ".join(faults) or "ok"
    say(f"{who.name}: {name}: {word}, {time.monotonic() - started:.0f} s")
    return [f"{who.name}: {name}: {fault}" for fault in faults]


def faults_for(who: Who, names: tuple[str, ...], tar: Path, commit: Path) -> list[str]:
    """Run all steps as one person in a root of their own."""
    with bare_root(tar) as root:
        clone = furnish(root, who, commit)
        into = shlex.quote(f"{who.home}/{FOLDER}")
        bundle = "/tmp/commit.bundle"  # noqa: S108  (inside the root, which is ours alone)
        if inside(root, who, f"git -c advice.detachedHead=false clone --quiet {bundle} {into}"):
            return [f"{who.name}: the clone failed"]
        return [fault for name in names for fault in faults_of_step(name, root, clone, who)]


def main() -> None:
    """Go through the steps as everybody, and say all that went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", nargs="*", choices=list(STEPS), default=USUAL)
    parser.add_argument("--as", dest="names", nargs="*", default=[who.name for who in EVERYBODY])
    given = parser.parse_args()
    if os.geteuid() != 0:
        raise SystemExit("fresh: only root can make a bare machine; say: sudo make fresh")
    if problem := debian_packages.provide("fresh"):
        raise SystemExit(f"fresh: {problem}")
    tar = base()
    faults: list[str] = []
    with taken_ports(), tempfile.TemporaryDirectory(dir=CACHE) as folder:
        commit = Path(folder) / "commit.bundle"
        subprocess.run(["git", "bundle", "create", "--quiet", str(commit), "HEAD"], check=True)
        for who in EVERYBODY:
            if who.name in given.names:
                faults += faults_for(who, tuple(given.steps), tar, commit)
    if faults:
        raise SystemExit("\n".join(["fresh: FAILED", *faults]))
    say("all is well")


if __name__ == "__main__":
    main()
