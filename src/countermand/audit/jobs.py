"""The sequencer: numbers what actions wrote, and signs the head. One at a time, in the worker."""

from __future__ import annotations

from datetime import datetime

from countermand.audit import actions
from countermand.audit.signed_note import Signer


def sequence(now: datetime, *, signer: Signer) -> int:
    """Number everything that waits, in batches; return how many entries that were."""
    numbered = 0
    while batch := actions.number_batch(now, signer=signer):
        numbered += batch
    return numbered
