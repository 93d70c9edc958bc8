"""Room for what is kept: a budget in bytes, and some of the disk that stays free. Least recently used goes first.

Not here: what is kept (index.py), and the files of bodies (blobs.py).
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from cometfs.cache.persistent import pins
from cometfs.cache.persistent.index import FOLDER, Index
from cometfs.cache.persistent.rows import Changes, Row, is_place

FREE = 0.05
"""The part of the disk that stays free."""

FLOOR = 8 << 20
"""Bytes that stay free of any disk, however small. A database that cannot write cannot drop either."""

DOWN_TO = 0.95
"""The part of the budget that is left after an eviction, so that not every byte needs one."""

AT_ONCE = 256
"""Things that are dropped between two looks at what is left."""


class Disk(NamedTuple):
    """A file system, in bytes."""

    size: int
    free: int


def too_much(kept: int, budget: int, disk: Disk) -> int:
    """How many bytes of those kept must go; 0 while nothing must."""
    over = kept - int(budget * DOWN_TO) if kept > budget else 0
    short = _spare(disk) - disk.free
    return min(kept, max(over, short, 0))


def _spare(disk: Disk) -> int:
    return max(int(disk.size * FREE), FLOOR)


def first_to_go(rows: Iterable[Row], needed: int) -> Iterator[Row]:
    """Of the rows, oldest first, as many as make `needed` bytes."""
    for row in rows:
        if needed <= 0:
            return
        needed -= row.size
        yield row


class Evictor:
    """Keeps the folder of an account within its budget, and the disk from being full."""

    def __init__(self, index: Index, budget: int) -> None:
        self.budget = budget
        self._index = index
        self._bodies = index.folder / FOLDER

    def has(self, size: int) -> bool:
        """Whether so many bytes more fit, without dropping more than them."""
        return size <= self.budget and disk_of(self._index.folder).free - size > FLOOR

    def make(self, wanted: int = 0) -> None:
        """Drops what was not used for longest until the budget holds and, if they are needed now, `wanted` bytes are
        free. What is pinned stays, and a body that any process has open. In a thread.
        """
        sweep(self._index)
        kept = self._index.totals().bytes
        needed = max(too_much(kept, self.budget, disk_of(self._index.folder)), min(kept, wanted))
        spared: set[str] = set()
        pinned = pins.covering(self._index.folder)
        dropped = False
        while needed > 0 and (rows := self._droppable(spared, pinned)):
            freed = self._drop(rows, needed, spared)
            needed -= freed
            dropped = dropped or freed > 0
        if dropped:
            sweep(self._index)
            self._index.shrink()

    def _droppable(self, spared: set[str], pinned: Callable[[str], bool] | None) -> list[Row]:
        return [row for row in self._index.oldest(AT_ONCE + len(spared), pinned) if row.file not in spared]

    def _drop(self, rows: list[Row], needed: int, spared: set[str]) -> int:
        """Drops as many of the rows as make `needed` bytes; returns the bytes."""
        is_open = {row.file for row in rows if row.file and in_use(self._bodies / row.file)}
        spared |= is_open
        chosen = list(first_to_go([row for row in rows if row.file not in is_open], needed))
        changes = Changes(
            dropped=[row.key for row in chosen if not row.file],
            bodies_gone=[(row.key, row.file) for row in chosen if row.file],
        )
        if self._index.write(changes):
            return sum(row.size for row in chosen)
        # A full disk takes no transaction either. The files go without their rows: `BlobStore.open` finds such a row
        # to be without a file, and drops it then.
        for row in chosen:
            unlink(self._index.folder, row.file)
        return needed


def sweep(index: Index) -> None:
    """Removes the files of bodies that have no row any more, or never got one."""
    files = index.orphans()
    if files:
        for file in files:
            unlink(index.folder, file)
        index.removed(files)


def unlink(folder: Path, file: str) -> None:
    """Removes the file of a body. A process that has it open reads on; the disk gets it back when that is closed."""
    if is_place(file):
        (folder / FOLDER / file).unlink(missing_ok=True)


def disk_of(folder: Path) -> Disk:
    """The file system of `folder`."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return Disk(0, 0)
    return Disk(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize)


def in_use(path: Path) -> bool:
    """Whether a process has the body open (readers hold a shared lock)."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False
