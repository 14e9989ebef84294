"""Logging in to a mailbox over IMAP: with a password, or with a token that stands in a file.

Microsoft 365 lets nobody in with a password any more. Whoever calls this has made sure that the
connection is encrypted, or stays on this machine.
"""

from __future__ import annotations

import imaplib
from dataclasses import dataclass, field
from pathlib import Path

from countermand.wire import xoauth2


@dataclass(frozen=True, slots=True)
class ImapLogin:
    """Who we are to a mailbox. With `token_file`, XOAUTH2 with the token that stands there now."""

    user: str
    password: str = field(default="", repr=False)
    token_file: Path | None = None

    def into(self, session: imaplib.IMAP4) -> None:
        """Log in. Raises imaplib.IMAP4.error, and OSError when the file cannot be read."""
        if self.token_file is None:
            session.login(self.user, self.password)
            return
        said = xoauth2.first_words(self.user, self.token_file.read_bytes())
        session.authenticate("XOAUTH2", lambda question: b"" if question else said)
