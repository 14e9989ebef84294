"""Whoever is started early gets ready, and begins when a file says that it is their turn.

Loading a program takes longer than most of what it waits for: so `up` starts all of them at once.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Final

_LOOK_EVERY_S: Final = 0.02


def told(description: str | None) -> Path | None:
    """Read the command line of a program that may be told to wait (`--after FILE`)."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--after", type=Path, metavar="FILE", help="begin once this file is there")
    after: Path | None = parser.parse_args().after
    return after


def await_it(file: Path | None) -> None:
    """Wait until the file is there; if it never comes, `up` ends whoever waits."""
    while file is not None and not file.exists():
        time.sleep(_LOOK_EVERY_S)
