"""What is exported, in words that all its sources share: items of a tree, and what a tree can be asked.

Not here: the trees (comet_tree.py, cometx_tree.py, mount_tree.py), and what is done with them (copying.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from cometfs.vfs.nodes import Kind
from cometfs.vfs.schema.names import Path


@dataclass(frozen=True, slots=True)
class Item:
    """A file, a directory or a link; `path`: where, from the exported directory on."""

    path: Path
    kind: Kind
    node: Any
    """What its tree knows it by."""


class Version(NamedTuple):
    """Of a file: equal iff its bytes are, for as long as `lease` says (seconds)."""

    word: str
    lease: float


class Readable(Protocol):
    """An open file."""

    @property
    def size(self) -> int: ...

    async def read(self, offset: int, length: int) -> bytes | memoryview: ...

    def close(self) -> None: ...


Wanted = Callable[[Path], bool]
"""Whether something at a path, or below it, is exported."""


class Tree(Protocol):
    """Where it comes from. Calls raise errors of `cometfs.errors`, or OSError."""

    root: Item

    async def children(self, directory: Item) -> list[Item]: ...

    def groups(self, directories: Sequence[Item]) -> list[list[Item]]:
        """The same directories, those together that `gather` is to be called with before they are looked at."""

    async def gather(self, directories: Sequence[Item], wanted: Wanted | None) -> None:
        """Has at hand afterwards what can be asked together. None: all is wanted."""

    def version(self, file: Item) -> Version | None:
        """What is known without looking at the file; None where it must be read to know."""

    async def open(self, file: Item) -> Readable | None:
        """None: now that it is known, there is no such file."""

    async def readlink(self, link: Item) -> str: ...

    async def modified_ns(self, item: Item) -> int:
        """Of a file: once it was opened."""
