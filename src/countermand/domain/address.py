"""What counts as a mail address, and the one form in which addresses are compared.

A domain in other letters has two spellings, आशा.भारत and xn--…; the second one is kept: every mail
server takes it, and knows its users by it. Names are spelled as IDNA 2008 says, by the package
`idna`: the older rules of the standard library drop the joiners of Devanagari.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

LONGEST: Final = 320
# Nothing that could end a header or an SMTP command: no blanks, controls, brackets, quotes.
_ADDRESS: Final = re.compile(
    r"[^\s@<>()\[\],;:\\\"\x00-\x1f\x7f]+@[^\s@<>()\[\],;:\\\"\x00-\x1f\x7f]+"
)


def folded_address(text: str) -> str | None:
    """Return an address as addresses are compared, or None if the text is no address."""
    folded = folded_name(text.strip().removeprefix("mailto:"))
    if len(folded) > LONGEST or not _ADDRESS.fullmatch(folded):
        return None
    if ".." not in folded and "@." not in folded and not folded.endswith("."):
        return folded
    domain = folded.partition("@")[2]
    return None if domain.startswith(".") or domain.endswith(".") or ".." in domain else folded


def folded_name(text: str) -> str:
    """Return whatever names somebody as names are compared: in lower case, a domain in ASCII."""
    return with_ascii_domain(text.strip().lower())


def with_ascii_domain(address: str) -> str:
    """Return an address with its domain in ASCII; unchanged if it has none, or none that can be."""
    if address.isascii():
        return address
    local, at, domain = address.rpartition("@")
    return f"{local}@{ascii_domain(domain)}" if at else address


def shown_address(address: str) -> str:
    """Return an address as people write it: a domain in its own letters, where it has some."""
    local, at, domain = address.rpartition("@")
    if not at or "xn--" not in domain:
        return address
    import idna  # noqa: PLC0415  (as below)

    try:
        return f"{local}@{idna.decode(domain)}"
    except UnicodeError:
        return address


@lru_cache(maxsize=256)
def ascii_domain(domain: str) -> str:
    """Return a domain in ASCII, in lower case (A-labels); unchanged if it is no domain."""
    if domain.isascii() or len(domain) > LONGEST:
        return domain
    import idna  # noqa: PLC0415  (large tables, which hardly anybody needs)

    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except UnicodeError:
        return domain
