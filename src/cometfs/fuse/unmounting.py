"""Unmounting by fusermount3, else by the system call; and the limit of descriptors that child processes inherit.

Not here: whether there is a mount of ours, and what uses it (mountpoints.py, occupants.py).
"""

from __future__ import annotations

import os
import resource
import subprocess
from pathlib import Path

from cometfs.errors import SetupError

FILES = 1 << 16
"""File descriptors of this process at most."""

MNT_DETACH = 2
UMOUNT_NOFOLLOW = 8


def is_unmounted(mountpoint: Path) -> bool:
    """Unmounts a mount that is not in use; False where that fails."""
    return not _refusal(mountpoint, lazy=False)


def detach(mountpoint: Path) -> None:
    """Unmounts, in use or not. Raises SetupError with fusermount3's words where that is refused."""
    if refusal := _refusal(mountpoint, lazy=True):
        raise SetupError(f"fusermount3 cannot unmount: {refusal}")


def _refusal(mountpoint: Path, *, lazy: bool) -> str:
    """Why it cannot be unmounted; empty where it is now. Raises SetupError."""
    limit_files()
    command = ["fusermount3", "-u", *(["-z"] if lazy else []), os.fspath(mountpoint)]
    try:
        done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")
    except FileNotFoundError:
        raise SetupError("fusermount3 is missing: install the package fuse3") from None
    if done.returncode == 0 or _umount2(mountpoint, lazy=lazy):
        return ""
    return done.stderr.strip() or f"status {done.returncode}"


def _umount2(mountpoint: Path, *, lazy: bool) -> bool:
    """By the system call, as libfuse does: fusermount3 refuses users without a passwd entry, whatever they may do."""
    import ctypes  # takes a while, and is hardly ever needed

    flags = UMOUNT_NOFOLLOW | (MNT_DETACH if lazy else 0)
    return bool(ctypes.CDLL(None).umount2(os.fsencode(mountpoint), flags) == 0)


def limit_files() -> None:
    """Takes as many file descriptors as are of use: downloads and connections hold some each.

    No more than that: containers allow a billion, and programs that are started from here may close them all, one by
    one.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files_of(most), most))


def files_of(most: int) -> int:
    """The soft limit of descriptors for a process whose hard limit is `most`."""
    return FILES if most == resource.RLIM_INFINITY else min(most, FILES)
