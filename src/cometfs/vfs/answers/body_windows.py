"""Which small bodies of a directory to fetch ahead of a program that goes through it: a policy, without I/O and without
a clock.

A program that listed a directory and had to wait for one of its bodies is taken to read the others, too, when it opens
a second one: in the order of the listing or, as `cp` does, by inode number, whichever brings the second one sooner
after the first. The next ones are asked for when half of the last are read, or when it had to wait for many others:
then the order is another. Not here: fetching (engine/sweeps.py).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import Generic, NamedTuple, TypeVar

SEVERAL = 2
"""Bodies read after which the others are worth fetching."""

SMALL = 1 << 20
"""Bytes of the biggest body that is fetched ahead in a directory."""

MOST, MOST_BYTES = 64, 16 << 20
"""Bodies, and bytes of them, that are asked for at once."""

UNREAD, UNREAD_BYTES = 4 * MOST, 4 * MOST_BYTES
"""Bodies, and bytes of them, that are fetched ahead of one reader of a directory and not read yet, at most."""

WAITS = 16
"""Reads that waited after which the next ones are fetched although most of the last are unused: the order is
another."""

DIRECTORIES = 256
"""Directories and programs that are remembered."""


K = TypeVar("K", bound=Hashable)


class Sized(NamedTuple, Generic[K]):
    """A body of a directory."""

    name: K
    size: int | None
    """In bytes; None where the listing does not say."""
    number: tuple[int, ...] = ()
    """Its place in the order of inode numbers; empty where that is not known."""


class _Sweep:
    """A program's way through the bodies of a directory: those that were asked for ahead and are not read yet are in
    `ahead`."""

    __slots__ = ("ahead", "asked", "last", "read", "waits", "window")

    def __init__(self) -> None:
        self.read: set[Hashable] = set()
        self.waits = 0
        """Reads that had to wait since the last window."""
        self.window = 0
        self.ahead: dict[Hashable, int] = {}
        """With their sizes."""
        self.asked: set[Hashable] = set()
        self.last: tuple[Hashable, Hashable] = (None, None)
        """The two that were read last."""

    def reads(self, name: Hashable) -> None:
        """A body is read; also when that is noticed twice."""
        self.read.add(name)
        if self.last[1] != name:
            self.last = (self.last[1], name)


class BodyWindows:
    """Which bodies of a directory to fetch ahead of a program that listed it and reads one after the other; bounded."""

    def __init__(self) -> None:
        self._listed: OrderedDict[Hashable, _Sweep | None] = OrderedDict()

    def listed(self, program: int, directory: Hashable) -> None:
        """A program lists a directory."""
        self._listed[program, directory] = None
        self._listed.move_to_end((program, directory))
        if len(self._listed) > DIRECTORIES:
            self._listed.popitem(last=False)

    def knows(self, program: int, directory: Hashable) -> bool:
        """Whether the program has listed the directory."""
        return (program, directory) in self._listed

    def waited(self, program: int, directory: Hashable, name: Hashable) -> None:
        """A program had to wait for a body."""
        key = (program, directory)
        if key in self._listed:
            sweep = self._listed[key] = self._listed[key] or _Sweep()
            sweep.reads(name)
            sweep.waits += 1

    def reads(self, program: int, directory: Hashable, name: Hashable) -> bool:
        """A program begins to read a body. Whether others are worth asking for: it waited for another one."""
        sweep = self._listed.get((program, directory))
        if sweep is None:
            return False
        sweep.ahead.pop(name, None)
        sweep.reads(name)
        if len(sweep.read) < SEVERAL:
            return False
        return 2 * len(sweep.ahead) <= sweep.window or sweep.waits >= WAITS

    def window(self, program: int, directory: Hashable, name: Hashable, bodies: Sequence[Sized[K]]) -> list[K]:
        """The names of those to ask for now, those behind `name` first."""
        sweep = self._listed.get((program, directory))
        if sweep is None:
            return []
        bodies = _ordered(bodies, *sweep.last)
        begin = next((place for place, body in enumerate(bodies, 1) if body.name == name), 0)
        count, size = UNREAD - len(sweep.ahead), UNREAD_BYTES - sum(sweep.ahead.values())
        room = Room(min(MOST, count), min(MOST_BYTES, size))
        known = sweep.read | sweep.asked
        left = (body for body in (*bodies[begin:], *bodies[:begin]) if body.name not in known)
        found = {body.name: body.size or 0 for body in left if room.takes(body.size)}
        # Where none is left, no more is looked for at each read.
        sweep.waits, sweep.window = 0, len(found) or -1
        for body, size in found.items():
            sweep.ahead[body] = size
        sweep.asked.update(found)
        return list(found)


def _ordered(bodies: Sequence[Sized[K]], before: Hashable, last: Hashable) -> Sequence[Sized[K]]:
    """The bodies in that order in which the last one that was read comes soonest after the one before it."""
    orders = (bodies, sorted(bodies, key=lambda body: body.number))
    return min(orders, key=lambda order: _distance([body.name for body in order], before, last))


def _distance(names: Sequence[Hashable], before: Hashable, last: Hashable) -> int:
    """How far `last` is behind `before`; as far as can be where it is not."""
    if before not in names or last not in names:
        return len(names)
    return (names.index(last) - names.index(before)) % len(names)


class Room:
    """How many bodies, and bytes of them, may still be asked for."""

    def __init__(self, count: int, size: int) -> None:
        self._count, self._bytes = count, size

    def takes(self, size: int | None) -> bool:
        """Whether a body is small, and there is room for it, which it then takes."""
        if size is None or size > SMALL or size > self._bytes or self._count <= 0:
            return False
        self._count -= 1
        self._bytes -= size
        return True
