"""Reads all of a tree, so that it is cached, and counts.

Not here: going through it (walking/walk.py), and what is shown meanwhile (cli/).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cometfs.walking.globs import Selection
from cometfs.walking.items import Item, Tree
from cometfs.walking.walk import PIECE, Walk


@dataclass
class Result:
    """What came of it, so far."""

    files: int = 0
    bytes: int = 0
    calls: int = 0
    """Calls that were made meanwhile."""
    received: int = 0
    """Bytes that came from Comet meanwhile."""
    failed: dict[str, str] = field(default_factory=dict)
    """Path -> why it cannot be had."""
    complete: bool = False


class Reading(Walk):
    """One way through a tree."""

    def __init__(self, tree: Tree, result: Result) -> None:
        super().__init__(tree, Selection((), ()))
        self.failed = result.failed
        self._result = result

    async def linked(self, link: Item) -> None:
        await self.attempt(self.tree.readlink, link)

    async def visit(self, file: Item) -> None:
        opened = await self.tree.open(file)
        if opened is None:
            return
        try:
            at = 0
            while at < opened.size and (piece := await opened.read(at, PIECE)):
                at += len(piece)
                self._result.bytes += len(piece)
        finally:
            opened.close()
        self._result.files += 1
