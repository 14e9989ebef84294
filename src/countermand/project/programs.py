"""The programs that `up` starts: their commands, their surroundings, and what each may see."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from countermand.data_folder import DataFolder
from countermand.project.supervisor import Child

# Addresses with passwords are given where they are needed; a person's token is nobody else's.
_KEPT_FROM_CHILDREN: Final = (
    "DATABASE_URL",
    "COUNTERMAND_DATABASE_URL",
    "COUNTERMAND_SENDER_DATABASE_URL",
    "COUNTERMAND_GATE_DATABASE_URL",
    "COUNTERMAND_TOKEN",
)
# Who comes to the database with a role of its own, and may do little there.
SENDER: Final = "sender"
GATE: Final = "gate"


@dataclass(frozen=True, slots=True)
class Programs:
    """What is started on one data folder; `addresses` are filled while they are chosen."""

    folder: DataFolder
    addresses: Mapping[str, Any]
    tables_ready: Path

    def environment(self, *, role: str = "") -> dict[str, str]:
        """Return the surroundings of a child; a sender or a gate sees no address of the owner."""
        given = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(_KEPT_FROM_CHILDREN)
        }
        given |= {
            "COUNTERMAND_DATA": str(self.folder.path),
            "COUNTERMAND_GATES": " ".join(self.addresses.get("gates", ())),
            "PYTHONUTF8": "1",
            "PYTHONUNBUFFERED": "1",
        }
        if role:
            url = self.addresses[f"{role}_database_url"]
            return given | {f"COUNTERMAND_{role.upper()}_DATABASE_URL": url}
        return given | {"DATABASE_URL": self.addresses["database_url"]}

    def _program(self, name: str, module: str, *arguments: str, role: str = "") -> Child:
        return Child(
            name=name,
            command=[sys.executable, "-m", module, *arguments],
            environment=self.environment(role=role),
            log=self.folder.logs / f"{name}.log",
            # A sender holds no work that an orderly end would save: everything is durable.
            on_parent_death=signal.SIGKILL if role == SENDER else signal.SIGTERM,
        )

    def worker(self) -> Child:
        """Return the worker: it gets ready while the tables are made, and touches none before."""
        return self._program(
            "worker", "countermand.project.worker", "--after", str(self.tables_ready)
        )

    def gate(self) -> Child:
        """Return the gate, on the ports that were chosen for it."""
        return self._program(
            "gate",
            "countermand.gate",
            "--data",
            str(self.folder.path),
            "--port",
            self.addresses["gate"].rpartition(":")[2],
            "--control-port",
            self.addresses["gate_control"].rpartition(":")[2],
            "--ready-file",
            str(self.folder.run / "gate.ready"),
            role=GATE,
        )

    def web(self, listener: socket.socket) -> Child:
        """Return the web server, which answers whoever comes to `listener`."""
        number = listener.fileno()
        return Child(
            name="web",
            command=[
                *(sys.executable, "-m", "gunicorn", "countermand.project.wsgi:application"),
                *("--bind", f"fd://{number}", "--workers", "1", "--threads", "4"),
                *("--worker-tmp-dir", str(self.folder.run), "--no-control-socket"),
                *("--graceful-timeout", "5", "--log-level", "warning"),
            ],
            environment=self.environment(),
            log=self.folder.logs / "web.log",
            # The socket is ours: a web that was killed finds it again, with who waits on it.
            pass_fds=(number,),
        )

    def stop_port(self, port: int | None, ready_file: Path) -> Child:
        """Return what hears stops on a machine that only sends."""
        chosen = () if port is None else ("--port", str(port))
        arguments = ("--ready-file", str(ready_file), *chosen)
        return self._program("stop-port", "countermand.sender.stop_port", *arguments, role=SENDER)

    def sender(self, name: str, mode: str = "live") -> Child:
        """Return a sender: all that it is given is its own way to the database."""
        arguments = ("--name", name, "--mode", mode)
        return self._program(name, "countermand.sender", *arguments, role=SENDER)
