"""Blocks of big bodies on disk, past the kernel's pages (O_DIRECT).

The kernel keeps what programs read of the mount already; a second copy, of the cache's file, takes memory from them,
and to make it costs more time than the disk does: ext4 writes 1 GiB with 3 s of CPU through its pages, with 0.2 s past
them (Linux 6.18, 2 virtual cores). A file system that cannot do that gets plain reads and writes. Not here: names,
checksums (blobs.py).
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from cometfs.host.buffers import ROOM, Block, is_lent, lent
from cometfs.host.files import write_all

UNIT = 4096
"""Places, lengths and memory are multiples of it: no disk asks for more."""


def write_new(path: Path, block: Block) -> None:
    """A new file below two folders that may be missing. Raises OSError."""
    try:
        descriptor = os.open(path, _NEW, 0o600)
    except FileNotFoundError:
        for folder in (path.parent.parent, path.parent):
            folder.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(path, _NEW, 0o600)
    try:
        if not (_directly(descriptor) and _written(descriptor, block)):
            _plainly(descriptor)
            write_all(descriptor, [block], 0)
        if len(block) % UNIT:
            os.ftruncate(descriptor, len(block))
    finally:
        os.close(descriptor)


def read(descriptor: int, size: int) -> Block:
    """The first bytes of a file, which are all that it has. Raises OSError."""
    if size <= ROOM and _directly(descriptor):
        buffer = lent()
        try:
            if os.preadv(descriptor, [buffer], 0) >= size:
                return buffer.toreadonly() if size == ROOM else bytes(buffer[:size])
        except OSError:  # the disk says so again, if it is at fault
            pass
        _plainly(descriptor)
    return os.pread(descriptor, size, 0)


_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


def _written(descriptor: int, block: Block) -> bool:
    """Whether the file has the block now; False where the file system wants it otherwise. Raises OSError."""
    if len(block) > ROOM:
        return False
    padded = _padded(block)
    try:
        return os.pwrite(descriptor, padded, 0) == len(padded)
    except OSError:  # a full disk says so again
        return False


def _padded(block: Block) -> Block:
    """The block, at the start of a page, and with what follows up to the end of a unit."""
    if is_lent(block):
        return block
    buffer = lent()
    buffer[: len(block)] = block
    return buffer[: -(-len(block) // UNIT) * UNIT]


def _directly(descriptor: int) -> bool:
    """Whether the file is read and written past the kernel's pages from now on."""
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETFL, os.O_DIRECT)
    except OSError:
        return False
    return True


def _plainly(descriptor: int) -> None:
    fcntl.fcntl(descriptor, fcntl.F_SETFL, 0)
