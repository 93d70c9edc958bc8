"""Files that others may have put in place of ours, and writing to files: what the system takes only in part is written
on.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Literal

AT_ONCE = 1024
"""Chunks that the system takes with one call."""

MOST_READ = 256 << 20
"""Bytes of a file that is read as a whole."""

Mode = Literal["rb", "r+b", "a+b", "wb", "xb"]

FLAGS: dict[Mode, int] = {
    "rb": os.O_RDONLY,
    "r+b": os.O_RDWR,
    "a+b": os.O_RDWR | os.O_APPEND | os.O_CREAT,
    "wb": os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
    "xb": os.O_WRONLY | os.O_CREAT | os.O_EXCL,
}


def write_all(descriptor: int, piece: Sequence[bytes | memoryview], offset: int) -> None:
    """All of `piece`, one after the other, at `offset`. Raises OSError."""
    left = [memoryview(chunk) for chunk in piece]
    while left:
        written = os.pwritev(descriptor, left[:AT_ONCE], offset)
        offset += written
        while left and written >= len(left[0]):
            written -= len(left.pop(0))
        if written:
            left[0] = left[0][written:]


def open_regular(path: Path, mode: Mode = "rb", buffering: int = -1) -> BinaryIO:
    """A regular file, opened. Raises OSError, also for anything else: a FIFO waits for its other end, and a device does
    what it likes. To be written to, it is no link either.
    """
    return os.fdopen(_open_regular(path, FLAGS[mode]), mode, buffering)


def read_regular(path: Path, most: int = MOST_READ) -> bytes:
    """All bytes of a regular file. Raises OSError, also for one that has more than `most`."""
    with open_regular(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(None, f"it has more than {most} bytes")
    return content


def status_of(path: Path) -> os.stat_result | None:
    """What a name stands for, links not followed; None where that cannot be seen."""
    try:
        return path.lstat()
    except OSError:
        return None


def _open_regular(path: Path, flags: int) -> int:
    if flags & (os.O_WRONLY | os.O_RDWR):
        flags |= os.O_NOFOLLOW
    if not flags & os.O_CREAT:
        _check_regular(path.stat())  # first: a device may act when it is opened
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, 0o666)
    try:
        _check_regular(os.fstat(descriptor))
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _check_regular(found: os.stat_result) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(None, "Is a directory")
    if not stat.S_ISREG(found.st_mode):
        raise OSError(None, "it is no regular file")
