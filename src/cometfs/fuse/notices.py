"""What the kernel is told unasked of the names that it remembers: that they are to be looked up again; and of an inode,
that its attributes are to be asked for again.

What pyfuse3 has for that (`invalidate_entry`) takes a directory out of the kernel's tree: a program that stands in it
has no working directory any more, and getcwd() fails. A name can be made to end instead: all of them at once since
Linux 6.16, without a lock, so at any moment; one by one since 6.2, which waits until nobody looks up anything in that
directory. On older kernels it is taken out after all. Not here: pages, and which names (refresh.py).
"""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cached_property

import pyfuse3
import trio

HEADER = struct.Struct("=IiQ")
"""fuse_out_header: bytes in all, what it is, 0 for what answers no request."""

ENTRY = struct.Struct("=QII")
"""fuse_notify_inval_entry_out: the directory's inode, bytes of the name, flags; then the name and a NUL."""

ENTRY_ENDS = 3
"""FUSE_NOTIFY_INVAL_ENTRY"""

EXPIRE_ONLY = 1
"""Its flag FUSE_EXPIRE_ONLY"""

ALL_END = 8
"""FUSE_NOTIFY_INC_EPOCH"""

PATIENCE = 1.0
"""Seconds that a request waits for names to end: somebody may look up something in their directory for much longer."""

ABSENCES = 20_000
"""Names that are known to be absent of which it is known that the kernel remembers them."""

Entry = tuple[int, bytes]
"""The number of a directory's inode, and a name in it."""


def end_attributes(number: int) -> None:
    """Has the attributes of an inode asked for again by whoever wants them next; never raises."""
    with suppress(OSError):  # it may just have been forgotten, and we have not heard of it yet
        pyfuse3.invalidate_inode(number, attr_only=True)


class Notices:
    """The names that the kernel knows. Each that it may remember as absent is in `_absent`, where it matters."""

    def __init__(self) -> None:
        self.descriptor = -1
        """By which the kernel asks."""
        self._absent: dict[int, dict[bytes, float]] = {}
        self._count = 0

    def close(self) -> None:
        """Nothing is told any more: another file may bear that descriptor soon."""
        self.descriptor = -1

    @cached_property
    def _all_at_once(self) -> bool:
        return self._tell(ALL_END)

    def absent(self, directory: int, name: bytes, lease: float) -> float:
        """For how many of `lease` seconds the kernel may remember that there is no such name."""
        if self._all_at_once or lease <= 0:
            return lease
        if self._count >= ABSENCES:
            self._sweep()
        if self._count >= ABSENCES:
            return 0.0
        names = self._absent.setdefault(directory, {})
        self._count += name not in names
        names[name] = trio.current_time() + lease
        return lease

    def end_all(self) -> bool:
        """Every name is looked up when it is next wanted; False where the kernel cannot do that."""
        return self._all_at_once and self._tell(ALL_END)

    async def end(self, entries: Sequence[Entry], directories: Iterable[int], held: int) -> None:
        """The names are looked up when they are next wanted, and so are those that are absent from `directories`.

        `held`: a directory that the kernel keeps locked until its request is answered; one by one, the names in it end
        only then.
        """
        if entries and self.end_all():
            return
        absent = [(number, name) for number in directories for name in self._absent.pop(number, ())]
        self._count -= len(absent)
        every = [*absent, *entries]
        now, later = [one for one in every if one[0] != held], [one for one in every if one[0] == held]
        if now:
            with trio.move_on_after(PATIENCE):
                await trio.to_thread.run_sync(self._end_each, now, abandon_on_cancel=True)
        if later:
            threading.Thread(target=self._end_each, args=[later], daemon=True).start()

    def _end_each(self, entries: Iterable[Entry]) -> None:
        for number, name in entries:
            self._tell(ENTRY_ENDS, ENTRY.pack(number, len(name), EXPIRE_ONLY) + name + b"\0")

    def _tell(self, what: int, words: bytes = b"") -> bool:
        """Whether the kernel took it: it does not know every name, nor every notice."""
        with suppress(OSError):
            os.write(self.descriptor, HEADER.pack(HEADER.size + len(words), what, 0) + words)
            return True
        return False

    def _sweep(self) -> None:
        now = trio.current_time()
        kept = {
            number: {name: until for name, until in names.items() if until > now}
            for number, names in self._absent.items()
        }
        self._absent = {number: names for number, names in kept.items() if names}
        self._count = sum(map(len, self._absent.values()))
