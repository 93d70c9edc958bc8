"""What the state of a mount may ask of the kernel, as protocols: so that it works, and is tested, without a kernel.

Not here: how the kernel is notified (fuse/notify.py).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

Entry = tuple[int, bytes]
"""The number of a directory's inode, and a name in it."""


class Waker(Protocol):
    """A program that waits in poll(2)."""

    def notify(self) -> None:
        """Wakes it."""


class Invalidator(Protocol):
    """Makes the kernel forget what it remembers, so that it asks again."""

    def invalidate_attrs(self, number: int) -> None:
        """The attributes of an inode. Never raises, never waits."""

    def expire_all(self) -> bool:
        """Every name; False where the kernel cannot do that at once."""

    async def expire(self, entries: Sequence[Entry], directories: Iterable[int], held: Collection[int]) -> None:
        """These names, and the absent names of these directories. `held`: directories that stay locked until the
        current request is answered."""
