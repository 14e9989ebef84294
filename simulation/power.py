"""A disk whose power can be taken away: what was not synced is gone, what was synced is there.

A file system of its own in one file. Cutting the power is the kernel's own request for it
(EXT4_IOC_SHUTDOWN without flushing the journal, as file systems are tested for crashes): from that
instant nothing reaches the disk any more. Mounting it again replays the journal, as after a real
loss. Needs root, a loop device and ext4; where they are missing it says so.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import struct
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

_SHUTDOWN: Final = 0x8004587D  # EXT4_IOC_SHUTDOWN: _IOR('X', 125, __u32)
_WITHOUT_FLUSHING: Final = struct.pack("I", 2)
_SIZE_MB: Final = 768
_BUSY_TRIES: Final = 200


class NoPowerDisk(Exception):
    """Nobody may mount a file as a disk here."""


@dataclass(frozen=True, slots=True)
class PowerDisk:
    """One mounted file."""

    image: Path
    mount: Path

    @classmethod
    def make(cls, folder: Path) -> Self:
        """Make and mount a fresh disk in `folder`. Raises NoPowerDisk."""
        disk = cls(folder / "disk.img", folder / "disk")
        disk.mount.mkdir()
        with disk.image.open("wb") as file:
            file.truncate(_SIZE_MB * 1024 * 1024)
        try:
            _run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1", str(disk.image))
            disk.come_back()
        except (OSError, subprocess.CalledProcessError) as error:
            raise NoPowerDisk(str(error)) from error
        disk.mount.chmod(0o711)
        return disk

    @staticmethod
    def can_be_made() -> bool:
        """Say whether this machine is likely to allow it."""
        tools = all(shutil.which(tool) for tool in ("mkfs.ext4", "mount", "umount"))
        return os.geteuid() == 0 and tools and Path("/dev/loop-control").exists()

    def cut(self) -> None:
        """Lose the power now. Once it is gone, cutting it again changes nothing."""
        with contextlib.suppress(OSError):
            strike(self.mount)

    def come_back(self) -> None:
        """Bring the disk back as it was on the platters. Everything on it must be closed."""
        for _ in range(_BUSY_TRIES):
            if _is_mounted(self.mount):
                _unmount(self.mount)
            _run("mount", "-o", "loop", str(self.image), str(self.mount))
            if _answers(self.mount):
                return
            # A copy of the list of mounts (a container that starts) still holds the old one.
            time.sleep(0.1)

    def close(self) -> None:
        """Unmount, and leave the file to whoever removes the folder."""
        if _is_mounted(self.mount):
            _unmount(self.mount)


def strike(mount: Path) -> None:
    """Take the power of the disk at `mount` away. Raises OSError when it is away already."""
    folder = os.open(mount, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.ioctl(folder, _SHUTDOWN, _WITHOUT_FLUSHING)
    finally:
        os.close(folder)


def _is_mounted(mount: Path) -> bool:
    """Ask the kernel's list: a disk without power answers no other question."""
    table = Path("/proc/self/mounts").read_text(encoding="utf-8")
    return any(line.split()[1] == str(mount) for line in table.splitlines())


def _answers(mount: Path) -> bool:
    try:
        (mount / ".answers").touch()
    except OSError:
        return False
    return True


def _unmount(mount: Path) -> None:
    for _ in range(_BUSY_TRIES):  # a killed process lets go of its files a little later
        if subprocess.run(["umount", str(mount)], capture_output=True, check=False).returncode == 0:
            return
        time.sleep(0.02)
    _run("umount", str(mount))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
