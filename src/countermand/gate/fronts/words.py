"""The one line that a refused person sees: two languages, an address, and nothing that can harm.

It names no app: whoever asks about ActiveSync has not proven yet who they are.
"""

from __future__ import annotations

import unicodedata
from typing import Final

LONGEST_BYTES: Final = 200
PAUSED: Final = "Mail is paused on this device."
_HINDI: Final = "इस डिवाइस पर मेल रुकी है।"


def refusal_line(lookup_address: str, order_number: str) -> str:
    """Return one line of at most LONGEST_BYTES without control characters.

    The address is left out whole rather than cut: a torn address leads nowhere.
    """
    words = f"{PAUSED} {_HINDI}"
    address = one_line(f"{lookup_address.rstrip('/')}/{order_number}")
    line = f"{words} {address}"
    return line if len(line.encode()) <= LONGEST_BYTES else words


def one_line(text: str) -> str:
    """Return `text` without control, format, separator and unpaired characters."""
    return "".join(each for each in text if unicodedata.category(each) not in _NOT_SHOWN)


_NOT_SHOWN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
