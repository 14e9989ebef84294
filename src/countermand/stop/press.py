"""One person presses, and the order stops: durable first, then everywhere that can be reached.

    fence on the disk -> gates told (at most 300 ms) -> every sender killed and proven dead
                         machines that only send told, which do the same there

No step waits for a database, a quorum, a calendar or a sender. Each is idempotent: pressing again
after a crash, or twice at once, does what is still missing. Whoever pressed settles the ledger
right afterwards; with the database down the fence waits for it.

A disk that refuses the fence keeps gates from nothing: they are told and senders are killed all
the same. Such a stop is not durable here, and `refused` says so: a sender that starts again has
read no fence, so only the database, or the same stop once there is room, keeps it still.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import ClassVar, Protocol

from countermand.domain.delivery import StopKind
from countermand.domain.errors import CountermandError, gettext_noop
from countermand.stop import fence as fences
from countermand.stop import register, senders
from countermand.stop.fence import TAKEN_BACK_EPOCH, Fence
from countermand.stop.gates import GateAnswer, Telling, proven_places, with_code, with_token
from countermand.stop.senders import Death, SenderProof


class StopFolder(Protocol):
    """The part of the data folder that a stop needs."""

    @property
    def fences(self) -> Path:
        """Where fences lie."""
        ...

    @property
    def senders(self) -> Path:
        """Where the locks of senders lie."""
        ...

    @property
    def stop_register(self) -> Path:
        """Where the list of orders and tokens lies."""
        ...


@dataclass(eq=False)
class OrderNotInRegister(CountermandError):
    """A pause needs to know the order; a take-back does not."""

    number: str

    code: ClassVar[str] = "stop.order_not_known"
    sentence: ClassVar[str] = gettext_noop("No order {number} is known here.")
    remedy: ClassVar[str] = gettext_noop(
        "Look at the number, or take the order back with --force, which needs no list."
    )


@dataclass(frozen=True, slots=True)
class Pressed:
    """What one press achieved; `durable_ms` and `took_ms` count from the call.

    `refused` is why the disk did not take the fence, empty where it lies there.
    """

    fence: Fence
    durable_ms: float
    took_ms: float
    gates: tuple[GateAnswer, ...]
    senders: tuple[SenderProof, ...]
    refused: str = ""
    sender_hosts: tuple[GateAnswer, ...] = ()

    @property
    def senders_proven_dead(self) -> bool:
        """Whether the ledger may be settled now."""
        return all(proof.death is not Death.NOT_PROVEN for proof in self.senders)

    @property
    def proven_places(self) -> frozenset[str]:
        """Other places whose senders are dead, or have read the stop."""
        return proven_places(self.sender_hosts)


def press(
    folder: StopFolder,
    number: str,
    kind: StopKind,
    *,
    by: int | None,
    because: str,
    now: datetime,
    epoch: int | None = None,
    gates: Sequence[str] = (),
    sender_hosts: Sequence[str] = (),
    token: str = "",
    code: str = "",
) -> Pressed:
    """Stop order `number`; `now` is only written down.

    `epoch` is the epoch to be stopped by a pause; without it the register says it. `gates` are
    control addresses, `sender_hosts` those of machines that only send; `token` opens them, and so
    does the emergency `code` of the order. Raises OrderNotInRegister (pause only). A disk that
    refuses the fence must be shown loudly.
    """
    begun = time.monotonic()
    final = kind is StopKind.TAKE_BACK
    stopped = TAKEN_BACK_EPOCH if final else _known_epoch(folder, number, epoch)
    fence = Fence(number, stopped, withdrawn=final, at=now, by=by, because=because)
    standing, refused = _written(folder, fence)
    durable_ms = (time.monotonic() - begun) * 1000
    ways = [with_token(standing, token)] + ([with_code(number, code)] if code else [])
    telling, hosts = Telling(gates, ways), Telling(sender_hosts, ways)
    proofs = senders.kill_all(folder.senders)
    answers, host_answers = telling.answers(), hosts.answers()
    return Pressed(
        fence=standing,
        durable_ms=durable_ms,
        took_ms=(time.monotonic() - begun) * 1000,
        gates=answers,
        senders=proofs,
        refused=refused,
        sender_hosts=host_answers,
    )


def _written(folder: StopFolder, fence: Fence) -> tuple[Fence, str]:
    """Make `fence` durable; return what stands now, and why the disk refused it, if it did."""
    try:
        return fences.write(folder.fences, fence), ""
    except OSError as error:
        return fence, error.strerror or str(error)


def _known_epoch(folder: StopFolder, number: str, epoch: int | None) -> int:
    if epoch is not None:
        return epoch
    known = register.read(folder).orders.get(number)
    if known is None:
        raise OrderNotInRegister(number=number)
    return known.epoch
