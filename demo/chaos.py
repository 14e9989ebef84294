"""Kills processes of Countermand at random moments while the story is told.

The moments follow from the seed as far as real processes allow: which process, how long to wait,
and at which phase of which mail the mail server pulls the kill. No product code knows of this.
Whoever was killed while starting may start once before the next kill: on a busy machine a start
takes longer than the time between two kills, and a story without any worker has no end.
"""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import dataclass, field

from demo.stage import Stage

PHASES = ("after_rcpt", "mid_body", "before_dot", "after_dot_before_reply", "after_reply")
_WAIT_S = (0.4, 2.0)
_MAILS_BEFORE_KILL = (5, 120)


@dataclass
class Chaos:
    """Pulls kills until told to stop; `kills` counts those that hit, by process name."""

    stage: Stage
    seed: int
    kills: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._choice = random.Random(self.seed)  # noqa: S311 - repeatable, not secret
        self._over = threading.Event()
        self._killed_in_start: set[str] = set()
        self._thread = threading.Thread(target=self._pull, name="chaos", daemon=True)

    def begin(self) -> None:
        """Start pulling kills in the background."""
        self._thread.start()

    def end(self) -> None:
        """Stop pulling kills and wait for the last one."""
        self._over.set()
        self._thread.join(timeout=30)

    def total(self) -> int:
        """How many kills hit, those that the mail server pulled included."""
        pulled = int(self.stage.ask_mail_server(do="count").get("kills", 0))
        return sum(self.kills.values()) + pulled

    def _pull(self) -> None:
        while not self._over.wait(self._choice.uniform(*_WAIT_S)):
            running = {
                name: pid
                for name, pid in self.stage.processes().items()
                if pid > 1 and name.startswith(("web", "worker", "sender", "gate"))
            }
            if not running:
                continue
            name = self._choice.choice(sorted(running))
            if name.startswith("sender") and self._choice.random() < 0.7:
                self._arm(running[name])
            elif self._may_be_killed(name, running[name]) and kill(running[name]):
                self.kills[name] += 1

    def _may_be_killed(self, name: str, pid: int) -> bool:
        if self._has_started(name, pid):
            self._killed_in_start.discard(name)
            return True
        if name in self._killed_in_start:
            return False
        self._killed_in_start.add(name)
        return True

    def _has_started(self, name: str, pid: int) -> bool:
        """Tell whether a program does its work; the quick ones always do."""
        if name == "worker":
            try:
                ready = json.loads((self.stage.data / "run" / "worker.ready").read_text("utf-8"))
            except (OSError, ValueError):
                return False
            return bool(ready["pid"] == pid)
        if name == "web":
            url = f"{self.stage.running()['web']}/healthz"
            try:
                with urllib.request.urlopen(url, timeout=1):  # noqa: S310  (our own address)
                    return True
            except (urllib.error.URLError, OSError):
                return False
        return True

    def _arm(self, pid: int) -> None:
        """Let the mail server kill the sender when it sees a certain phase of a later mail."""
        self.stage.ask_mail_server(
            do="kill",
            pid=pid,
            phase=self._choice.choice(PHASES),
            count=self._choice.randint(*_MAILS_BEFORE_KILL),
        )


def kill(pid: int) -> bool:
    """Send SIGKILL; False when the process had gone already."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True
