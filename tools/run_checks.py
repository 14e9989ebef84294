"""Everything that can be said about the code without running the program (`make check`).

Every check runs, also after one has failed, so that one look shows all there is to do.
Ends with 1 when any failed. A name as argument runs that check alone.
"""

import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PYTHON = sys.executable
CODE = tuple(
    name for name in ("src", "tests", "simulation", "demo", "lab", "tools") if Path(name).is_dir()
)


@dataclass(frozen=True, slots=True)
class Check:
    """One check: the word to call it by, and the commands that have to end with 0."""

    name: str
    commands: tuple[tuple[str, ...], ...]


def python(*arguments: str) -> tuple[str, ...]:
    """Return a command of this virtual environment."""
    return (PYTHON, *arguments)


def django(*arguments: str) -> tuple[str, ...]:
    """Return a command of Django's with the project's settings."""
    return python("-m", "django", *arguments, "--settings", "countermand.project.settings")


CHECKS = (
    Check("lock", (("uv", "lock", "--check", "--quiet"),)),
    Check("lint", (python("-m", "ruff", "check", "--quiet", "--output-format=concise", "."),)),
    Check("format", (python("-m", "ruff", "format", "--check", "--quiet", "."),)),
    Check("types", (python("-m", "mypy", "--no-error-summary", *CODE),)),
    Check("imports", (python("-m", "importlinter.cli", "lint", "--no-logo"),)),
    Check("migrations", (django("makemigrations", "--check", "--dry-run"),)),
    Check("deploy", (django("check", "--deploy", "--fail-level", "WARNING"),)),
    Check("dependencies", (python("-m", "deptry", "."),)),
    Check("spelling", (python("-m", "codespell_lib"),)),
    Check("messages", (python("tools/messages.py", "check"),)),
    Check("reference", (python("tools/write_reference.py", "--check"),)),
    Check(
        "house",
        (
            python(
                "-m",
                "pytest",
                "-q",
                "-p",
                "no:randomly",
                "tests/test_house_rules.py",
                "tests/test_documents.py",
            ),
        ),
    ),
)


def environment() -> dict[str, str]:
    """Return the environment of the checks: the pinned uv is found first, output is UTF-8."""
    path = os.pathsep.join((str(Path(".tools").resolve()), os.environ.get("PATH", os.defpath)))
    return os.environ | {"PATH": path, "PYTHONUTF8": "1", "UV_OFFLINE": "1", "NO_COLOR": "1"}


def failed(check: Check) -> bool:
    """Run one check and show what it printed only when it failed."""
    started = time.monotonic()
    printed = ""
    bad = False
    for command in check.commands:
        answer = subprocess.run(
            command,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            encoding="utf-8",
            env=environment(),
        )
        if answer.returncode != 0:
            bad = True
            printed += answer.stdout
    sys.stdout.write(printed)
    word = "FAILED" if bad else "ok"
    print(f"{check.name:<14}{word:<8}{time.monotonic() - started:6.1f} s", flush=True)
    return bad


def chosen(names: Iterable[str]) -> list[Check]:
    """Return the checks with these names, or all of them."""
    by_name = {check.name: check for check in CHECKS}
    wanted = list(names) or list(by_name)
    unknown = [name for name in wanted if name not in by_name]
    if unknown:
        raise SystemExit(
            f"there is no check named {', '.join(unknown)}; there are: {', '.join(by_name)}"
        )
    return [by_name[name] for name in wanted]


def main() -> None:
    """Run the chosen checks."""
    if importlib.util.find_spec("countermand") is None:
        raise SystemExit("the package is not installed here; run: make setup")
    bad = [check.name for check in chosen(sys.argv[1:]) if failed(check)]
    if bad:
        raise SystemExit(f"check: {', '.join(bad)} failed")
    print("check: all is well")


if __name__ == "__main__":
    main()
