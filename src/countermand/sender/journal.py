"""What a sender tells its log: a JSON object a line, never an address, a name or words of a mail.

The standard library alone: a sender that is started again after a kill must not wait for more.
"""

from __future__ import annotations

import json
import sys
import time


def note(event: str, **facts: str | int | bool) -> None:
    """Write one line; `event` reads noun.verb, the facts are counts, codes and numbers of rows."""
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    sys.stderr.write(json.dumps({"at": at, "event": event, **facts}) + "\n")
    sys.stderr.flush()


def note_fault(error: BaseException, **facts: int) -> None:
    """Write down what nobody expected by its kind and its place: its words may be somebody's."""
    place = ""
    trace = error.__traceback__
    while trace is not None:
        module = trace.tb_frame.f_globals.get("__name__", "")
        if module.partition(".")[0] == "countermand" or not place:
            place = f"{module}:{trace.tb_lineno}"
        trace = trace.tb_next
    note("sender.fault", kind=type(error).__name__, place=place, **facts)
