"""A folder into which mails come back: reports of servers elsewhere, and what people answer."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Returned:
    """A Maildir that the program reads; it moves away what it has looked at."""

    folder: Path

    @property
    def place(self) -> str:
        """The setting that names it."""
        return f"maildir:{self.folder}"

    def empty(self) -> None:
        """Throw everything away."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._new.mkdir(parents=True)

    def add(self, mail: str) -> None:
        """Let a mail come back."""
        (self._new / f"{time.monotonic_ns()}.mail").write_text(mail, encoding="utf-8")

    def is_unheard(self) -> bool:
        """Say whether there are mails that nobody has looked at yet."""
        return any(self._new.iterdir())

    @property
    def _new(self) -> Path:
        return self.folder / "new"
