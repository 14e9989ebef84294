"""Postfix's queue: mails that have not left it are held, and taken out, by their queue ids.

`postsuper` is for root alone, so a command of our own stands between: it knows three verbs, reads
ids from its input, and is let through by one line for sudo (`deploy/postfix`). A mail counts as
fetched back only when Postfix says that it removed it and its log shows no delivery for that id: a
delivery that is under way may still finish.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from countermand.connectors.postfix import log
from countermand.domain.findings import QueuedMail, QueueUnavailable

_LONGEST_S: Final = 20.0
_AT_ONCE: Final = 2000
_SETTLING_S: Final = 0.3  # deliveries under way come to their end, or into the log
_ID: Final = re.compile(r"[A-Za-z0-9]{6,30}")
_REMOVED: Final = re.compile(r"postsuper: ([A-Za-z0-9]{6,30}): removed")


@dataclass(frozen=True, slots=True)
class PostfixQueue:
    """The queue of the Postfix beside us. `command` is run with `list`, `hold` or `delete`."""

    command: str
    log: Path
    settling_s: float = _SETTLING_S

    def waiting(self) -> Sequence[QueuedMail]:
        """See `ports.RelayQueue`."""
        found = []
        for line in self._run_once("list", []).splitlines():
            try:
                each = json.loads(line)
                recipients = frozenset(str(one["address"]).lower() for one in each["recipients"])
                found.append(QueuedMail(str(each["queue_id"]), recipients))
            except (ValueError, KeyError, TypeError):
                continue  # a warning of Postfix's between the mails
        return found

    def hold(self, queue_ids: Iterable[str]) -> None:
        """See `ports.RelayQueue`."""
        self._run("hold", queue_ids)

    def fetch_back(self, queue_ids: Iterable[str]) -> frozenset[str]:
        """See `ports.RelayQueue`."""
        wanted = frozenset(queue_ids)
        if not wanted:
            return frozenset()
        removed = frozenset(_REMOVED.findall(self._run("delete", wanted))) & wanted
        if not removed:
            return frozenset()
        time.sleep(self.settling_s)
        try:
            return removed - log.left_for_somewhere(self.log, removed)
        except OSError as error:
            # Removed, and not provably undelivered: nobody's mail is called fetched back by this.
            raise QueueUnavailable(why=f"{self.log}: {error.strerror}") from error

    def _run(self, verb: str, queue_ids: Iterable[str]) -> str:
        wanted = [each for each in queue_ids if _ID.fullmatch(each)]
        said = ""
        for begin in range(0, len(wanted), _AT_ONCE):
            said += self._run_once(verb, wanted[begin : begin + _AT_ONCE])
        return said

    def _run_once(self, verb: str, queue_ids: list[str]) -> str:
        try:
            ended = subprocess.run(
                [*shlex.split(self.command), verb],
                input="".join(f"{each}\n" for each in queue_ids),
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_LONGEST_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise QueueUnavailable(why=f"{type(error).__name__}: {error}"[:200]) from error
        if ended.returncode != 0:
            words = (ended.stderr or ended.stdout).strip().splitlines() or ["?"]
            raise QueueUnavailable(why=words[-1][:200])
        return ended.stderr + ended.stdout
