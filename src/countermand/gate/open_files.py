"""How many files a process of a gate may open: as many as it takes connections, and some more.

A shell allows 1,024. Without a file to open, stops cannot be read, and then every door is open.
"""

from __future__ import annotations

import resource
from typing import Final

from countermand.gate.protocol import MOST_CONNECTIONS

# Both ports, and what the table, stops and the database take.
_WANTED: Final = 2 * MOST_CONNECTIONS + 256


def allow() -> None:
    """Raise the limit of this process, as far as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED if hard == resource.RLIM_INFINITY else min(_WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
