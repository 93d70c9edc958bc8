"""Notifications to the kernel: names that it remembers are to be looked up again; and of an inode,
that its attributes are to be asked for again.

What pyfuse3 has for that (`invalidate_entry`) takes a directory out of the kernel's tree: a program that stands in it
has no working directory any more, and getcwd() fails. A name can be made to end instead: all of them at once since
Linux 6.16, without a lock, so at any moment; one by one since 6.2, which waits until no lookup is under way in that
directory. On older kernels it is taken out after all. Not here: pages, and which names (mountstate/invalidate.py).
"""

from __future__ import annotations

import math
import os
import struct
import threading
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property

import pyfuse3
import trio

from cometfs.mountstate.kernel import Entry

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
"""Seconds that a request waits for names to end: a lookup in their directory may take much longer."""

ABSENCES = 20_000
"""Names that are known to be absent of which it is known that the kernel remembers them."""

SWEEP_EVERY = 1.0
"""Seconds between two looks at which of them have run out: each takes some milliseconds."""


class KernelInvalidator:
    """The names that the kernel knows. Each that it may remember as absent is in `_absent`, where it matters."""

    def __init__(self) -> None:
        self.descriptor = -1
        """By which the kernel asks."""
        self._absent: dict[int, dict[bytes, float]] = {}
        self._count = 0
        self._swept = -math.inf
        self._locked: Counter[int] = Counter()
        """How many requests the kernel keeps a directory locked for, by its number."""
        self._put_off: dict[int, set[bytes]] = {}
        """Names in those directories that end when they are free again: a notification now would wait for the
        lock, out of reach of any signal, and so keep a daemon that is killed from ever ending."""
        self._freed = trio.lowlevel.ParkingLot()

    def invalidate_attrs(self, number: int) -> None:
        """The attributes of an inode are asked for again when they are next wanted; never raises."""
        with suppress(OSError):  # it may just have been forgotten, and we have not heard of it yet
            pyfuse3.invalidate_inode(number, attr_only=True)

    def close(self) -> None:
        """No more notifications: another file may bear that descriptor soon."""
        self.descriptor = -1

    @contextmanager
    def looking_up(self, directory: int) -> Iterator[None]:
        """While the body runs the kernel has the directory locked, for a request that is not answered yet."""
        self._locked[directory] += 1
        try:
            yield
        finally:
            self._locked[directory] -= 1
            if not self._locked[directory]:
                del self._locked[directory]
                self._start([(directory, name) for name in self._put_off.pop(directory, ())])
                self._freed.unpark_all()

    @cached_property
    def _all_at_once(self) -> bool:
        return _tell(self.descriptor, ALL_END)

    def absent(self, directory: int, name: bytes, lease: float) -> float:
        """For how many of `lease` seconds the kernel may remember that there is no such name."""
        if self._all_at_once or lease <= 0:
            return lease
        if self._count >= ABSENCES and trio.current_time() >= self._swept + SWEEP_EVERY:
            self._sweep()
        if self._count >= ABSENCES:
            return 0.0
        names = self._absent.setdefault(directory, {})
        self._count += name not in names
        names[name] = trio.current_time() + lease
        return lease

    def forget(self, directories: Iterable[int]) -> None:
        """The kernel has forgotten these, and with them what was absent there."""
        for number in directories:
            self._count -= len(self._absent.pop(number, ()))

    def expire_all(self) -> bool:
        """Every name is looked up when it is next wanted; False where the kernel cannot do that."""
        return self._all_at_once and _tell(self.descriptor, ALL_END)

    async def expire(self, entries: Sequence[Entry], directories: Iterable[int], held: Collection[int]) -> None:
        """The names are looked up when they are next wanted, and so are those that are absent from `directories`.

        `held`: directories that the kernel keeps locked until its request is answered; one by one, the names in them
        end only then.
        """
        if entries and self.expire_all():
            return
        absent = [(number, name) for number in directories for name in self._absent.pop(number, ())]
        self._count -= len(absent)
        every = [*absent, *entries]
        now, later = [one for one in every if one[0] not in held], [one for one in every if one[0] in held]
        with trio.move_on_after(PATIENCE):
            while any(number in self._locked for number, _ in now):
                await self._freed.park()
            await self._start(self._unlocked(now)).wait()
            now = []
        self._start([*self._unlocked(now), *later])

    def _unlocked(self, entries: Sequence[Entry]) -> list[Entry]:
        """Those that can end now; the others are put off."""
        for number, name in entries:
            if number in self._locked:
                self._put_off.setdefault(number, set()).add(name)
        return [one for one in entries if one[0] not in self._locked]

    def _start(self, entries: Sequence[Entry]) -> trio.Event:
        """Ends names in a thread of its own, for it may be kept waiting; what is returned is set when they have."""
        done = trio.Event()
        if not entries or self.descriptor < 0:
            done.set()
            return done
        # It may outlive the mount, and the number of the mount's descriptor then be another file's.
        own, token = os.dup(self.descriptor), trio.lowlevel.current_trio_token()
        threading.Thread(target=self._end_each, args=[own, entries, done, token], daemon=True).start()
        return done

    def _end_each(
        self, descriptor: int, entries: Iterable[Entry], done: trio.Event, token: trio.lowlevel.TrioToken
    ) -> None:
        try:
            for number, name in entries:
                if self.descriptor < 0:
                    break
                _tell(descriptor, ENTRY_ENDS, ENTRY.pack(number, len(name), EXPIRE_ONLY) + name + b"\0")
        finally:
            os.close(descriptor)
        with suppress(trio.RunFinishedError):
            token.run_sync_soon(done.set)

    def _sweep(self) -> None:
        self._swept = now = trio.current_time()
        kept = {
            number: {name: until for name, until in names.items() if until > now}
            for number, names in self._absent.items()
        }
        self._absent = {number: names for number, names in kept.items() if names}
        self._count = sum(map(len, self._absent.values()))


def _tell(descriptor: int, what: int, words: bytes = b"") -> bool:
    """Whether the kernel took it: it does not know every name, nor every notice."""
    with suppress(OSError):
        os.write(descriptor, HEADER.pack(HEADER.size + len(words), what, 0) + words)
        return True
    return False
