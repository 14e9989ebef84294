"""Child processes that never outlive whoever started them.

A child asks the kernel for a signal on its parent's death (PR_SET_PDEATHSIG) before it runs
anything of its own, so a `kill -9` of the supervisor leaves nothing behind. The kernel counts
the *thread* that forked as the parent: start children from the main thread only.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Final

_PR_SET_PDEATHSIG: Final = 1
# Loaded once, before any fork: between fork and exec nothing may be imported.
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


def spawn(
    command: Sequence[str | Path],
    *,
    on_parent_death: signal.Signals,
    environment: Mapping[str, str],
    output: IO[bytes] | int = subprocess.DEVNULL,
    run_as: tuple[int, int] | None = None,
    folder: Path | None = None,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start one child in a session of its own; `run_as` is (user id, group id), root only.

    Its session is its own so that Ctrl-C at a terminal reaches the supervisor alone, which then
    ends its children in order.
    """
    parent = os.getpid()

    def bind_to_parent() -> None:
        # After the change of user: the kernel forgets the wish when credentials change.
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(on_parent_death), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)  # the parent died in between, and nobody would ever tell us

    user, group = run_as or (None, None)
    return subprocess.Popen(
        [os.fspath(part) for part in command],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=dict(environment),
        cwd=folder,
        user=user,
        group=group,
        extra_groups=[] if run_as else None,
        pass_fds=pass_fds,
        start_new_session=True,
        preexec_fn=bind_to_parent,  # noqa: PLW1509  (two system calls; see the head of this file)
    )
