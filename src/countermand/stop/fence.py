"""The fence: the durable word that an order is stopped, readable without any database.

    fences/CM-7Q4K.pause.json        stopped_epoch of the latest pause
    fences/CM-7Q4K.take-back.json    there from the moment the order was taken back, for ever

A fence is a number, never a flag: what was started in an epoch at or below `stopped_epoch` may
not leave. Resuming is a higher epoch; nothing is deleted or lowered. The two stops have a file
each, so a pause pressed at the same instant can never write over a take-back. Only a take-back
says that doors open (`withdrawn`). A file that cannot be read is no permission: `FenceUnreadable`.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Final, Self

from countermand.domain.errors import CountermandError, gettext_noop
from countermand.domain.order_number import OrderNumber
from countermand.stop.durable import open_lock, write_durably

TAKEN_BACK_EPOCH: Final = 2**53 - 1  # above every epoch that will ever be
_PAUSE: Final = ".pause.json"
_TAKE_BACK: Final = ".take-back.json"
_MOST_WORDS: Final = 1_000  # so that any gate takes it, and a file is read whole
_LOCK_WAIT_S: Final = 0.05  # two pauses of one order at one instant; never longer


@dataclass(eq=False)
class FenceUnreadable(CountermandError):
    """A fence file is there and cannot be understood; senders stay off until it can."""

    path: str
    why: str

    code: ClassVar[str] = "stop.unreadable"
    sentence: ClassVar[str] = gettext_noop(
        "The file {path}, which says what is stopped, cannot be read ({why}); nothing is sent."
    )
    remedy: ClassVar[str] = gettext_noop(
        "Look at the disk and at the file's rights, or stop the order again the same way to write "
        "it anew."
    )


@dataclass(frozen=True, slots=True)
class Fence:
    """One order's stop. `by` is a person's id, None when an emergency code stopped it."""

    number: str
    stopped_epoch: int
    withdrawn: bool
    at: datetime
    by: int | None
    because: str

    def merged(self, other: Fence) -> Fence:
        """Return the stronger of both: the take-back, else the higher epoch, else the earlier."""
        strength = (self.withdrawn, self.stopped_epoch)
        others = (other.withdrawn, other.stopped_epoch)
        if strength != others:
            return self if strength > others else other
        return self if self.at <= other.at else other

    def covers(self, epoch: int) -> bool:
        """Say whether what was started in `epoch` may no longer leave."""
        return epoch <= self.stopped_epoch

    def to_json(self) -> bytes:
        """Return the file's content; also what a gate is told.

        Whatever the words of `because` are: what is too long of them, or is no text, is left out.
        """
        return json.dumps(
            {
                "version": 1,
                "number": self.number,
                "stopped_epoch": self.stopped_epoch,
                "withdrawn": self.withdrawn,
                "at": self.at.isoformat(),
                "by": self.by,
                "because": self.because[:_MOST_WORDS],
            },
            ensure_ascii=False,
        ).encode(errors="replace")

    @classmethod
    def from_json(cls, content: bytes) -> Self:
        """Read what `to_json` wrote; ValueError when it is anything else."""
        raw: Any = json.loads(content)
        try:
            fence = cls(
                number=raw["number"],
                stopped_epoch=raw["stopped_epoch"],
                withdrawn=raw["withdrawn"],
                at=datetime.fromisoformat(raw["at"]),
                by=raw["by"],
                because=raw["because"],
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"not a fence: {error!r}") from None
        if type(fence.stopped_epoch) is not int or type(fence.withdrawn) is not bool:
            raise ValueError("not a fence: wrong types")
        if fence.at.tzinfo is None:
            raise ValueError("not a fence: its time names no zone")
        return fence


def read_told(content: bytes) -> Fence | None:
    """Return the stop that somebody tells over a network, None where it is none.

    Its number names a file, so only the one true spelling of it may.
    """
    try:
        told = Fence.from_json(content)
        number = OrderNumber.parse(told.number).text
    except (CountermandError, ValueError, AttributeError, RecursionError):
        return None
    return told if number == told.number else None


def write(folder: Path, fence: Fence) -> Fence:
    """Make `fence` durable in `folder` and return what stands there now: never less.

    Idempotent and monotone: a weaker fence changes nothing. Raises OSError when the disk refuses.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{fence.number}{_TAKE_BACK if fence.withdrawn else _PAUSE}"
    lock = _try_lock(folder / f".{fence.number}.lock")
    try:
        standing = _read_or_none_if_spoiled(path)
        if standing is None or standing.merged(fence) != standing:
            write_durably(path, fence.to_json())
    finally:
        if lock is not None:
            os.close(lock)
    return _strongest(folder, fence)


def _strongest(folder: Path, fence: Fence) -> Fence:
    """Return the strongest of what was asked and what can be read of this order's stops."""
    for suffix in (_TAKE_BACK, _PAUSE):
        standing = _read_or_none_if_spoiled(folder / f"{fence.number}{suffix}")
        fence = standing.merged(fence) if standing is not None else fence
    return fence


def read(folder: Path, number: str) -> Fence | None:
    """Return the fence of one order, None if it was never stopped.

    A take-back stands whatever lies beside it: a spoiled pause keeps none of its mails, and no
    other order, waiting. Raises FenceUnreadable.
    """
    final = _read_file(folder / f"{number}{_TAKE_BACK}")
    if final is not None and final.withdrawn:
        return final
    pause = _read_file(folder / f"{number}{_PAUSE}")
    if pause is None and final is None and not folder.is_dir():
        raise FenceUnreadable(path=str(folder), why=gettext_noop("the folder is missing"))
    return pause.merged(final) if pause is not None and final is not None else pause or final


def stands(folder: Path, fence: Fence) -> bool:
    """Tell whether `folder` says legibly all that `fence` does."""
    try:
        known = read(folder, fence.number)
    except FenceUnreadable:
        return False
    return (
        known is not None
        and known.withdrawn >= fence.withdrawn
        and known.covers(fence.stopped_epoch)
    )


def read_all(folder: Path) -> dict[str, Fence]:
    """Return every order's fence by number; the first thing that is read on boot."""
    try:
        names = [path.name for path in folder.iterdir()]
    except OSError as error:
        raise FenceUnreadable(path=str(folder), why=error.strerror or "?") from error
    numbers = {
        name.removesuffix(_PAUSE).removesuffix(_TAKE_BACK)
        for name in names
        if not name.startswith(".") and name.endswith((_PAUSE, _TAKE_BACK))
    }
    fences = ((number, read(folder, number)) for number in sorted(numbers))
    return {number: fence for number, fence in fences if fence is not None}


class FenceView:
    """What a sender looks at right before every final dot.

    It reads the files' content each time and believes no time stamp, size or inode number: two
    renames fall into one tick of the file system's clock, and an inode number comes back as soon
    as the old file is gone. While no fence is there, three names are asked for and nothing is
    read: about 4 microseconds.
    """

    def __init__(self, folder: Path) -> None:
        """Look into `folder`, which must exist: a missing folder is no permission."""
        self._folder = folder
        self._here = str(folder)
        self._names: dict[str, tuple[str, str]] = {}

    def stops(self, number: str, epoch: int) -> bool:
        """Say whether a mail of `number`, claimed in `epoch`, must not leave any more.

        Raises FenceUnreadable; then nothing at all may leave.
        """
        if (names := self._names.get(number)) is None:
            names = (f"{self._here}/{number}{_TAKE_BACK}", f"{self._here}/{number}{_PAUSE}")
            self._names[number] = names
        if os.access(self._here, os.X_OK) and _is_missing(names[0]) and _is_missing(names[1]):
            return False
        fence = read(self._folder, number)
        return fence is not None and fence.covers(epoch)


def _is_missing(path: str) -> bool:
    """Say so only if the operating system says that there is no such file."""
    try:
        os.stat(path)  # noqa: PTH116 - twice for every mail
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return False


def _read_file(path: Path) -> Fence | None:
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise FenceUnreadable(path=str(path), why=error.strerror or "?") from error
    try:
        content = os.read(file, 65536)
        return Fence.from_json(content)
    except (OSError, ValueError) as error:
        raise FenceUnreadable(path=str(path), why=str(error)) from error
    finally:
        os.close(file)


def _read_or_none_if_spoiled(path: Path) -> Fence | None:
    # A stop must never be refused because an earlier file is spoiled: it writes it anew.
    try:
        return _read_file(path)
    except FenceUnreadable:
        return None


def _try_lock(path: Path) -> int | None:
    try:
        file = open_lock(path)
    except OSError:  # if the disk takes nothing, the fence itself will say so
        return None
    until = time.monotonic() + _LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:  # its holder hangs: a stop waits for nobody
                os.close(file)
                return None
            time.sleep(0.001)
        else:
            return file
