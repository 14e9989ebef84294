"""Secrets are named, never held: `file:/etc/…` or `env:NAME`, read when they are needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from countermand.domain.errors import CountermandError, gettext_noop

_LONGEST: Final = 65_536


@dataclass(eq=False)
class NoReference(CountermandError):
    """A text that names no secret; it may be one, so it is not shown."""

    option: str

    code: ClassVar[str] = "source.no_reference"
    sentence: ClassVar[str] = gettext_noop("{option} does not name where the secret stands.")
    remedy: ClassVar[str] = gettext_noop(
        "Write file:/path/of/the/secret or env:NAME_OF_A_VARIABLE. Countermand keeps no secret."
    )


@dataclass(eq=False)
class SecretNotReadable(CountermandError):
    """A secret is not where it is said to be."""

    reference: str

    code: ClassVar[str] = "source.secret_not_readable"
    sentence: ClassVar[str] = gettext_noop("There is no secret at {reference}.")
    remedy: ClassVar[str] = gettext_noop("Put it there, readable for this user alone.")


@dataclass(frozen=True, slots=True)
class SecretReference:
    """Where a secret stands; it can be shown, the secret cannot."""

    text: str

    @classmethod
    def parse(cls, text: str, *, option: str) -> SecretReference:
        """Read `file:…` or `env:…`; raise NoReference otherwise."""
        kind, _, place = text.partition(":")
        if kind not in {"file", "env"} or not place.strip():
            raise NoReference(option=option)
        return cls(f"{kind}:{place.strip()}")

    def read(self, environ: Mapping[str, str]) -> str:
        """Return the secret without blanks around it. Raises SecretNotReadable."""
        kind, _, place = self.text.partition(":")
        try:
            if kind == "env":
                found = environ.get(place, "")
            else:
                with Path(place).open(encoding="utf-8") as file:
                    found = file.read(_LONGEST)
        except (OSError, ValueError):
            raise SecretNotReadable(reference=self.text) from None
        if not found.strip():
            raise SecretNotReadable(reference=self.text)
        return found.strip()
