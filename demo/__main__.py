"""Tell the whole story on this machine: `make demo`, `make demo-chaos SEED=n`.

    python -m demo [--people N] [--seed TEXT] [--pace fast|normal] [--chaos] [--folder DIR]

Ends with 0 only when the story ended as promised; the figures are in build/demo/report.json.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from types import FrameType

from demo.production import Wish, produce


def _end(number: int, _frame: FrameType | None) -> None:
    """Leave by the usual way, on which everything that was started is stopped."""
    raise SystemExit(128 + number)


def main() -> int:
    """Read the command line and tell the story."""
    parser = argparse.ArgumentParser(prog="python -m demo")
    parser.add_argument("--people", type=int, default=2000)
    parser.add_argument("--seed", default=os.environ.get("SEED") or "1")
    pace = os.environ.get("PACE") or "normal"
    parser.add_argument("--pace", choices=("normal", "fast"), default=pace)
    parser.add_argument("--chaos", action="store_true")
    parser.add_argument("--folder", type=Path, default=Path("build/demo"))
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, _end)
    return produce(
        Wish(
            people=given.people,
            seed=given.seed,
            is_fast=given.pace == "fast",
            with_chaos=given.chaos,
            folder=given.folder.resolve(),
        )
    )


if __name__ == "__main__":
    sys.exit(main())
