"""A program that has loaded everything once, and answers command lines each in a fork of itself.

What is tested with it are the verbs. Loading them takes two seconds, a fork a hundredth of one,
and nothing that one leaves behind in its process is there for the next. Where starting the program
is itself what is tested, it is started (tests/journeys, tests/servers).
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

_LOADED = (
    "countermand.cli.app",
    "countermand.orders.actions",
    "countermand.orders.jobs",
    "countermand.project.source_runs",
    "django.db.backends.postgresql.base",
)


class VerbServer:
    """The running program, as tests speak to it."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        """Speak over the pipes of `process`; answers are written into `folder`."""
        self._process = process
        self._answers = folder / "answers.json"

    def ask(
        self, lines: Sequence[Sequence[str]], *, before: str, environment: Mapping[str, str]
    ) -> list[tuple[int, str, str]]:
        """Run `before` as Python, then each command line; return its code, output and errors.

        Raises RuntimeError with the whole story when `before` or a verb breaks out of its frame.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._answers.unlink(missing_ok=True)
        request = {
            "lines": [list(line) for line in lines],
            "before": before,
            "environment": dict(environment),
            "answers": str(self._answers),
        }
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        status = self._process.stdout.readline().strip()
        said = json.loads(self._answers.read_text("utf-8")) if self._answers.exists() else None
        if status != "0":
            raise RuntimeError(f"ended with {status!r}: {said}")
        assert said is not None
        return [(code, out, err) for code, out, err in said]


@contextlib.contextmanager
def running() -> Iterator[VerbServer]:
    """Start the program, and end it afterwards."""
    with tempfile.TemporaryDirectory(prefix="cm-verbs-") as folder:
        environment = {
            **{key: value for key, value in os.environ.items() if not _is_ours(key)},
            "COUNTERMAND_DATA": f"{folder}/nothing",
            "DJANGO_SETTINGS_MODULE": "countermand.project.settings",
            "LC_ALL": "C.UTF-8",
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.verb_server"],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        with process:
            yield VerbServer(process, Path(folder))
            assert process.stdin is not None
            process.stdin.close()


def _is_ours(name: str) -> bool:
    return name == "DATABASE_URL" or name.startswith("COUNTERMAND_")


def main() -> None:
    """Answer one request a line until there are no more."""
    import django  # noqa: PLC0415  (only in the program)

    django.setup()
    for name in _LOADED:
        importlib.import_module(name)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            os._exit(_answer(json.loads(line)))
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _answer(request: dict[str, Any]) -> int:
    """Answer in the fork; return its exit status."""
    answers = Path(request["answers"])
    try:
        said: object = _run(request)
        status = 0
    except BaseException:  # noqa: BLE001  (told to whoever asked)
        said, status = traceback.format_exc(), 1
    answers.write_text(json.dumps(said), encoding="utf-8")
    return status


def _run(request: dict[str, Any]) -> list[tuple[int, str, str]]:
    from django.conf import settings  # noqa: PLC0415
    from django.db import connections  # noqa: PLC0415

    from countermand.cli import entry  # noqa: PLC0415
    from countermand.project.settings import database  # noqa: PLC0415

    os.environ.clear()
    os.environ.update(request["environment"])
    # The only setting that was read from the environment and matters to a verb.
    settings.DATABASES = {"default": database(os.environ["DATABASE_URL"])}
    connections.settings = connections.configure_settings(settings.DATABASES)
    for each in connections.all(initialized_only=True):
        del connections[each.alias]
    exec(request["before"], {})
    answers = []
    for arguments in request["lines"]:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = entry.main(arguments)
        answers.append((code, out.getvalue(), err.getvalue()))
    return answers


if __name__ == "__main__":
    main()
