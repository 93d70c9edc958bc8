"""Whether a program that takes away files of an experiment takes away all of it.

Comet removes an experiment as a whole. `rm -r` removes each file first, and the directory last: so its files are
reported as removed as long as they go in the order of their listing, none left out. What leaves one out, as
`find -name '*.csv' -delete` does, is refused at that file. Not here: what becomes of the experiment (moves.py).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field

import trio

from cometfs.cache.memory import Recent
from cometfs.vfs.nodes import Node
from cometfs.vfs.schema.names import Path

REMEMBERED = 64
"""Programs and experiments of which it is remembered what was removed."""

SORTED = 10_000
"""Names in a directory from which on programs may sort them by inode: there, any order will do."""

PAUSE = 5.0
"""Seconds after which a program that begins anew is no more the one that left something out."""

Names = Callable[[Node], Awaitable[Sequence[str]]]
"""The names in a directory."""


@dataclass
class _Directory:
    """`names`, without those that are gone from the front and from the back."""

    names: list[str]
    front: int = 0
    back: int = 0
    gone: set[str] = field(default_factory=set)

    @property
    def is_empty(self) -> bool:
        return len(self.gone) == len(self.names)

    def is_next(self, name: str) -> bool:
        if len(self.names) > SORTED:
            return name in self.names
        left = self.names[self.front : len(self.names) - self.back]
        # From the front, or from the back, and not now so, now so.
        return bool(left) and ((name == left[0] and not self.back) or (name == left[-1] and not self.front))

    def take(self, name: str) -> None:
        self.gone.add(name)
        if self.names[self.front] == name:
            self.front += 1
        else:
            self.back += 1


@dataclass
class _Removal:
    """Of one experiment, by one program."""

    directories: dict[Path, _Directory] = field(default_factory=dict)
    """By their way from the experiment."""
    files: int = 0
    last: float = 0.0
    """When it was last heard of."""
    is_partial: bool = False


class Removals:
    """A removal is in `_begun` from its first file on, until the experiment goes."""

    def __init__(self, names: Names, clock: Callable[[], float] = trio.current_time) -> None:
        self._names = names
        self._clock = clock
        self._begun: Recent[Hashable, _Removal] = Recent(REMEMBERED)

    async def takes(self, program: int, above: Sequence[Node], name: str, *, whole: bool) -> bool:
        """Whether a file, or a directory that is `whole` then, goes as a part of all. `above`: the directories that it
        lies in, the experiment's last."""
        key = (program, above[-1].at.key[:1])
        removal, now = self._begun.get(key), self._clock()
        fits = removal is not None and await self._fits(removal, above, name, whole=whole)
        if removal is None or (not fits and now > removal.last + PAUSE):
            removal = self._begun[key] = _Removal()
            fits = await self._fits(removal, above, name, whole=whole)
        removal.last = now
        removal.files += fits
        removal.is_partial = not fits
        return fits

    async def _fits(self, removal: _Removal, above: Sequence[Node], name: str, *, whole: bool) -> bool:
        way = (*(node.name for node in reversed(above[:-1])), name)
        directories = [await self._directory(removal, way[:depth], node) for depth, node in enumerate(reversed(above))]
        inside = removal.directories.get(way) if whole else None
        if removal.is_partial or (inside and not inside.is_empty):
            return False
        if not all(map(_Directory.is_next, directories, way)):
            return False
        directories[-1].take(name)
        return True

    async def _directory(self, removal: _Removal, way: Path, node: Node) -> _Directory:
        if way not in removal.directories:
            removal.directories[way] = _Directory(list(await self._names(node)))
        return removal.directories[way]

    def reported(self, program: int, experiment: Hashable) -> int:
        """How many files and directories were reported as removed, which are all there."""
        found = self._begun.get((program, experiment))
        return found.files if found is not None else 0

    def forget(self, program: int, experiment: Hashable) -> None:
        """It is gone as a whole, or nothing of it is."""
        self._begun.pop((program, experiment), None)
