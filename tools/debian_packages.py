"""The Debian packages that a group of tests needs, and the only place that calls apt.

dpkg is asked first; apt is called only when something is missing, and only as root and with
leave: in CI (CI=true), or with APT=yes. It asks no question, brings nothing that is merely
recommended, and starts and enables no service.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Group of tests: the packages it needs. A group that is not named here needs none.
NEEDED: dict[str, tuple[str, ...]] = {
    "servers": (
        *("nginx-light", "dovecot-core", "dovecot-imapd", "dovecot-auth-lua", "dovecot-lmtpd"),
        *("dovecot-pop3d", "dovecot-submissiond", "dovecot-ldap", "slapd", "ldap-utils"),
        *("postfix", "sogo", "sogo-activesync", "memcached"),
    ),
    "browser": ("chromium", "fonts-noto-core"),
    "lab": (
        *("nginx-light", "dovecot-core", "dovecot-imapd", "dovecot-auth-lua"),
        *("dovecot-ldap", "slapd"),
        *("debootstrap", "debian-archive-keyring"),
    ),
    "bench-gate": ("nginx-light", "wrk"),  # `make bench-gate`
    "fresh": ("debootstrap", "debian-archive-keyring"),  # `make fresh`
}

POLICY = Path("/usr/sbin/policy-rc.d")
START_NOTHING = (
    "#!/bin/sh\n# Written for one installation by countermand: start no service.\nexit 101\n"
)
QUIET = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
INSTALL = (
    "apt-get",
    "install",
    "--yes",
    "--quiet=2",
    "--no-install-recommends",
    "-o",
    "DPkg::Lock::Timeout=120",
)


def is_installed(package: str) -> bool:
    """Ask dpkg, which knows without a network."""
    answer = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${db:Status-Status}", package],
        check=False,
        capture_output=True,
        encoding="utf-8",
    )
    return answer.returncode == 0 and answer.stdout == "installed"


def started_at_boot() -> set[Path]:
    """Return the links by which systemd starts something at boot."""
    return set(Path("/etc/systemd/system").glob("*.wants/*"))


@contextmanager
def nothing_starts() -> Iterator[None]:
    """Keep packages from starting a service now, or from having it start at boot."""
    before = started_at_boot()
    ours = not POLICY.exists()
    if ours:
        POLICY.write_text(START_NOTHING, encoding="utf-8")
        POLICY.chmod(0o755)
    try:
        yield
    finally:
        if ours:
            POLICY.unlink()
        # Taking the links away is what `systemctl disable` does, and needs no systemctl.
        for link in started_at_boot() - before:
            link.unlink()


def install(packages: list[str]) -> str:
    """Install, and return what went wrong, or nothing."""
    environment = os.environ | QUIET
    sys.stderr.write(f"installing Debian packages: {' '.join(packages)} (no service is started)\n")
    with nothing_starts():
        subprocess.run(
            ["apt-get", "update", "--quiet=2", "-o", "DPkg::Lock::Timeout=120"],
            check=False,
            env=environment,
            stdin=subprocess.DEVNULL,
        )
        answer = subprocess.run(
            [*INSTALL, *packages], check=False, env=environment, stdin=subprocess.DEVNULL
        )
    return "" if answer.returncode == 0 else f"apt could not install {' '.join(packages)}"


def provide(group: str) -> str:
    """See to it that the packages of `group` are there; return why they are not, or nothing."""
    packages = NEEDED.get(group, ())
    if not packages:
        return ""
    by_hand = f"apt-get install --no-install-recommends {' '.join(packages)}"
    if shutil.which("dpkg-query") is None:
        return f"it needs {', '.join(packages)}, and this is not Debian or Ubuntu"
    missing = [package for package in packages if not is_installed(package)]
    if not missing:
        return ""
    if os.geteuid() != 0:
        return f"it needs Debian packages and you are not root; as root: {by_hand}"
    if os.environ.get("CI") != "true" and os.environ.get("APT") != "yes":
        return f"it needs Debian packages; say APT=yes to have them installed, or: {by_hand}"
    return install(missing)


if __name__ == "__main__":
    problems = [problem for name in sys.argv[1:] if (problem := provide(name))]
    raise SystemExit("\n".join(problems) or 0)
