"""Start a gate: `python -m countermand.gate --data DIR`."""

from __future__ import annotations

import argparse
import gc
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from countermand.domain.errors import CountermandError
from countermand.gate import log_lines

if TYPE_CHECKING:
    from countermand.gate.run import Wishes


def main() -> int:
    """Run a gate until it is told to end; 1 when it cannot start."""
    parser = argparse.ArgumentParser(prog="countermand.gate", description=__doc__)
    parser.add_argument("--data", type=Path, help="the folder that holds everything")
    parser.add_argument("--port", type=int, help="where mail servers ask; 0 takes a free one")
    parser.add_argument("--control-port", type=int, help="where stops arrive; 0 takes a free one")
    parser.add_argument("--ready-file", type=Path, help="written once both ports are open")
    parser.add_argument("--workers", type=int, help="how many processes answer on the port")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)  # we are a further process
    given = parser.parse_args()
    # What is loaded here is never garbage; looking through it took a seventh of the start.
    gc.disable()
    from countermand.gate.run import run  # noqa: PLC0415 - see above

    gc.freeze()
    gc.enable()
    try:
        run(given.data, _wishes(given))
    except (CountermandError, OSError) as error:
        log_lines.error("gate.cannot_start", why=str(error))
        return 1
    return 0


def _wishes(given: argparse.Namespace) -> Wishes:
    from countermand.gate.run import Wishes  # noqa: PLC0415 - see above

    return Wishes(
        port=given.port,
        control_port=given.control_port,
        ready_file=given.ready_file,
        workers=given.workers,
        bell=given.worker,
    )


if __name__ == "__main__":
    sys.exit(main())
