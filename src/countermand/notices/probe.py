"""How a mail of ours arrived in a probe mailbox: what mail systems on its way made of it.

Compares what was sent with what lies there: the folder, a banner above or below, links put in or
rewritten, a changed subject, and what the receiving server says about SPF, DKIM and DMARC.
"""

from __future__ import annotations

import email
import html
import re
from dataclasses import dataclass, replace
from email.message import Message
from email.policy import compat32
from typing import Final

from countermand.notices import foreign_mail, word_store
from countermand.notices.copy_words import ADDRESS
from countermand.notices.preview import PreviewMail

_RESULT: Final = re.compile(r"\b(spf|dkim|dmarc|arc)\s*=\s*([a-z]{2,12})", re.IGNORECASE)
_JUNK: Final = re.compile(r"junk|spam|bulk|clutter|quarantine", re.IGNORECASE)
_SHOWN: Final = 200


@dataclass(frozen=True, slots=True)
class Arrival:
    """One mail as it lies in a probe mailbox; `authentication` is what the server itself wrote."""

    folder: str
    is_junk: bool
    subject_changed: str
    banner: tuple[str, ...]
    missing: tuple[str, ...]
    links: tuple[str, ...]
    authentication: tuple[tuple[str, str], ...]

    @property
    def is_well(self) -> bool:
        """Whether people see what was sent, where they look, from a sender that was verified."""
        return not (
            self.is_junk
            or self.subject_changed
            or self.banner
            or self.missing
            or self.links
            or any(result != "pass" for _, result in self.authentication)
        )


def marked(mail: PreviewMail) -> PreviewMail:
    """Return the mail with a first line that says that it is a test."""
    line = word_store.page_words(mail.language)["test.first_line"]
    page = mail.html.replace("<main>", f"<main>\n<p>{html.escape(line)}</p>", 1)
    return replace(mail, text=f"{line}\n\n{mail.text}", html=page)


def compare(sent: bytes, received: bytes, *, folder: str, is_junk: bool = False) -> Arrival:
    """Say how a mail arrived; `is_junk` is what the server says of the folder.

    Raises MailNotReadable.
    """
    before = foreign_mail.read(sent, file="sent")
    after = foreign_mail.read(received, file=folder)
    mine, theirs = _lines(before.text), _lines(after.text)
    page = after.page
    seen = {link.target for link in page.links} if page else set()
    seen |= set(ADDRESS.findall(after.text)) - set(ADDRESS.findall(before.text))
    return Arrival(
        folder=folder,
        is_junk=is_junk or bool(_JUNK.search(folder)),
        subject_changed=after.subject if after.subject != before.subject else "",
        banner=tuple(line[:_SHOWN] for line in theirs if line not in set(mine)),
        missing=tuple(line[:_SHOWN] for line in mine if line not in set(theirs)),
        links=tuple(sorted(link[:_SHOWN] for link in seen)),
        authentication=_authentication(email.message_from_bytes(received, policy=compat32)),
    )


def _lines(text: str) -> list[str]:
    return [flat for line in text.splitlines() if (flat := " ".join(line.split()))]


def _authentication(message: Message) -> tuple[tuple[str, str], ...]:
    """Return the results in the topmost header: the receiving server's own, the rest is hearsay."""
    header = str(message.get("Authentication-Results", ""))
    found: dict[str, str] = {}
    for method, result in _RESULT.findall(header):
        found.setdefault(method.lower(), result.lower())
    return tuple(sorted(found.items()))
