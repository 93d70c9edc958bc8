"""Room for what is kept: a budget in bytes, and some of the disk that stays free. Least recently used goes first.

Not here: what is kept (index.py, disk.py).
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from cometfs.cache.index import Index

DEFAULT = 10 * 10**9
"""Bytes that are kept where nobody says otherwise."""

FREE = 0.05
"""The part of the disk that stays free."""

DOWN_TO = 0.95
"""The part of the budget that is left when room is made, so that it is not made for every byte."""

AT_ONCE = 256
"""Things that are dropped between two looks at what is left."""

BODIES = "bodies"


class Disk(NamedTuple):
    """A file system, in bytes."""

    size: int
    free: int


def too_much(kept: int, budget: int, disk: Disk) -> int:
    """How many bytes of those kept must go; 0 while nothing must."""
    over = kept - int(budget * DOWN_TO) if kept > budget else 0
    short = int(disk.size * FREE) - disk.free
    return min(kept, max(over, short, 0))


def first_to_go(rows: Iterable[tuple[str, int]], needed: int) -> Iterator[str]:
    """Of (what, size), oldest first, as many as make `needed` bytes."""
    for what, size in rows:
        if needed <= 0:
            return
        needed -= size
        yield what


class Room:
    """Makes room in the folder of an account."""

    def __init__(self, folder: Path, budget: int) -> None:
        self.budget = budget
        self._folder = folder

    def make(self, index: Index) -> None:
        """Drops what was not used for longest until the budget holds. A body that any process has open stays."""
        needed = too_much(index.totals().bytes, self.budget, disk_of(self._folder))
        spared: set[str] = set()
        if needed <= 0:
            return
        while needed > 0 and (rows := self._droppable(index, spared)):
            needed -= self._drop(index, rows, needed, spared)
        index.shrink()

    def _droppable(self, index: Index, spared: set[str]) -> list[tuple[float, str, str, int, str]]:
        return [row for row in index.oldest(AT_ONCE + len(spared)) if row[2] not in spared]

    def _drop(self, index: Index, rows: list[tuple[float, str, str, int, str]], needed: int, spared: set[str]) -> int:
        by_key = {row[2]: row for row in rows}
        chosen = list(first_to_go(((row[2], row[3]) for row in rows), needed))
        index.drop([key for key in chosen if by_key[key][1] != BODIES])
        freed = 0
        for key in chosen:
            _, table, _, size, file = by_key[key]
            if table == BODIES and not remove(self._folder / BODIES / file):
                spared.add(key)
                continue
            if table == BODIES:
                index.drop_bodies([key])
            freed += size
        return freed


def disk_of(folder: Path) -> Disk:
    """The file system that `folder` lies on."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return Disk(0, 0)
    return Disk(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize)


def remove(path: Path) -> bool:
    """Removes a body unless a process has it open (readers hold a shared lock); True too where it is gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True
