"""Fetch the pinned uv into .tools/ with nothing but Python's standard library.

A fresh machine has git, make and python3, and perhaps neither pip nor venv.
The wheel comes from the package index, is compared with the SHA-256 written below
and only then unpacked; the Makefile sets its stamp afterwards, so a broken first try
leaves nothing behind that a second one would trust.

Kept free of newer syntax on purpose: an older Python must get as far as the sentence
that says which one is needed.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from pathlib import Path

VERSION = "0.13.9"
OLDEST_PYTHON = (3, 11)
# Machine name, as platform.machine() gives it: (file name of the wheel, SHA-256).
WHEELS = {
    "x86_64": (
        "uv-0.13.9-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        "d7f459fe4fd247d830351c75686d3996ace3c6f3f728eb0e85a30b7ada0cef19",
    ),
    "aarch64": (
        "uv-0.13.9-py3-none-manylinux_2_28_aarch64.whl",
        "ecb6028d79dc96fbeafffe5c8af62a7099487ebc05a701e76714eebcffd06375",
    ),
}
TIMEOUT_S = 60


def stop(sentence: str) -> None:
    """Say one sentence and end with an error."""
    raise SystemExit("countermand: " + sentence)


def refuse_old_python() -> None:
    """Refuse a Python that is too old, unless UV_PYTHON names another one to run with."""
    chosen = os.environ.get("UV_PYTHON", "")
    is_default = chosen in ("", os.environ.get("PYTHON", ""))
    if is_default and sys.version_info < OLDEST_PYTHON:
        stop(
            "Python 3.11 or newer is needed and this is {}.{}; "
            "say for example: make PYTHON=python3.12".format(*sys.version_info[:2])
        )


def index_page() -> str:
    """Return the address of uv's page on the package index that this machine uses."""
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"):
        if os.environ.get(name):
            return os.environ[name].rstrip("/") + "/uv/"
    return "https://pypi.org/simple/uv/"


def read(address: str, accept: str = "*/*") -> bytes:
    """Read `address`; proxies and certificate settings are those of the environment."""
    if not address.startswith(("https://", "http://")):
        stop("the package index gave an address that is not a web address: " + address)
    request = urllib.request.Request(address, headers={"Accept": accept})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
            body: bytes = answer.read()
            return body
    except (urllib.error.URLError, OSError) as error:
        stop(
            f"the package index cannot be read ({address}: {error}); "
            "look at the network, a proxy, SSL_CERT_FILE"
        )
        raise  # not reached: stop() has ended the program


def address_of(wheel: str) -> str:
    """Find where the index keeps `wheel`; both forms of an index page are understood."""
    page = index_page()
    text = read(page, "application/vnd.pypi.simple.v1+json, text/html;q=0.5").decode("utf-8")
    if text.lstrip().startswith("{"):
        addresses: list[str] = [
            file["url"] for file in json.loads(text)["files"] if file["filename"] == wheel
        ]
    else:
        addresses = re.findall('href="([^"#]*/' + re.escape(wheel) + ')[#"]', text)
    if not addresses:
        stop(f"the package index at {page} does not have {wheel}")
    return urllib.parse.urljoin(page, addresses[0])


def unpack(wheel: Path, into: Path) -> None:
    """Take the one program out of the wheel; it appears under its name only when it is whole."""
    with zipfile.ZipFile(wheel) as archive:
        member = next(name for name in archive.namelist() if name.endswith("/scripts/uv"))
        half = into.with_suffix(".part")
        half.write_bytes(archive.read(member))
    half.chmod(0o755)
    half.replace(into)


def is_there(program: Path) -> bool:
    """Tell whether the pinned version is unpacked already, so that no network is needed."""
    try:
        answer = subprocess.run([str(program), "--version"], capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return False
    return answer.stdout.decode("ascii").split()[:2] == ["uv", VERSION]


def main() -> None:
    """Fetch, compare, unpack."""
    refuse_old_python()
    folder = Path(".tools")
    program = folder / "uv"
    if is_there(program):
        program.touch()
        return
    machine = platform.machine()
    if sys.platform != "linux" or machine not in WHEELS:
        stop(
            f"there is no pinned uv for {sys.platform} on {machine}; "
            f"install uv {VERSION} yourself and say: make UV=/path/to/uv"
        )
    name, expected = WHEELS[machine]
    folder.mkdir(exist_ok=True)
    sys.stderr.write(f"fetching uv {VERSION} ...\n")
    body = read(address_of(name))
    found = hashlib.sha256(body).hexdigest()
    if found != expected:
        stop(f"{name} has SHA-256 {found} and not {expected}; nothing was installed")
    wheel = folder / name
    wheel.write_bytes(body)
    unpack(wheel, program)
    wheel.unlink()


if __name__ == "__main__":
    main()
