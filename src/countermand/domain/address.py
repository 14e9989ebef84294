"""What counts as a mail address, and the one form in which addresses are compared."""

from __future__ import annotations

import re
from typing import Final

LONGEST: Final = 320
# Nothing that could end a header or an SMTP command: no blanks, controls, brackets, quotes.
_ADDRESS: Final = re.compile(
    r"[^\s@<>()\[\],;:\\\"\x00-\x1f\x7f]+@[^\s@<>()\[\],;:\\\"\x00-\x1f\x7f]+"
)


def folded_address(text: str) -> str | None:
    """Return an address in lower case, or None if the text is no address."""
    folded = text.strip().removeprefix("mailto:").lower()
    if len(folded) > LONGEST or not _ADDRESS.fullmatch(folded):
        return None
    if ".." not in folded and "@." not in folded and not folded.endswith("."):
        return folded
    domain = folded.partition("@")[2]
    return None if domain.startswith(".") or domain.endswith(".") or ".." in domain else folded
