"""Has all of a tree written; what cannot be had does not end the rest.

Not here: going through it (walking/walk.py), and how files are written (target.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import trio

from cometfs.export.target import OWN, Part, Target
from cometfs.walking.globs import Selection
from cometfs.walking.items import Item, Readable, Tree, Version
from cometfs.walking.walk import PIECE, Walk

SMALL = 64 << 10
"""Bytes that are written at once rather than in a thread, which takes longer."""


@dataclass
class Result:
    """What came of an export, so far."""

    files: int = 0
    bytes: int = 0
    kept: int = 0
    """Files that were there already ..."""
    kept_bytes: int = 0
    """... and their bytes."""
    links: int = 0
    left_out: list[str] = field(default_factory=list)
    """Links that lead to what is not exported."""
    failed: dict[str, str] = field(default_factory=dict)
    """Path -> why it is missing."""
    found: int = 0
    """Files that were found so far."""
    complete: bool = False


class Copying(Walk):
    """One export."""

    def __init__(self, tree: Tree, target: Target, selection: Selection, now: Callable[[], float] = time.time) -> None:
        super().__init__(tree, selection)
        self._target = target
        self._now = now
        self._links: list[Item] = []
        self._directories: list[Item] = []
        self.result = Result(failed=self.failed)

    async def run(self) -> None:
        """Raises what ends all: a key that is refused, a disk that is full."""
        await super().run()
        for link in self._links:
            await self.attempt(self._link, link)
        for directory in reversed(self._directories):
            await self.attempt(self._date, directory)
        self.result.complete = True

    async def entered(self, directory: Item) -> None:
        if self.selection.is_whole:
            self._target.make(directory.path)
            self._directories.append(directory)

    def found(self, item: Item) -> bool:
        wanted = super().found(item) and item.path[:1] != (OWN,)
        self.result.found += wanted and item.kind == "file"
        return wanted

    async def linked(self, link: Item) -> None:
        self._links.append(link)

    async def visit(self, item: Item) -> None:
        version = self.tree.version(item)
        kept = self._target.remembered(item.path, version.word, self._now()) if version is not None else None
        if kept is not None and await trio.to_thread.run_sync(self._target.holds, item.path, kept):
            self.result.kept += 1
            self.result.kept_bytes += kept.size
            return
        opened = await self.tree.open(item)
        if opened is None:
            self.result.found -= 1
            return
        try:
            await self._write(item, opened, version)
        finally:
            opened.close()

    async def _write(self, item: Item, opened: Readable, version: Version | None) -> None:
        with self._target.part("/".join(item.path)) as part:
            while part.size < opened.size:
                piece = await opened.read(part.size, PIECE)
                if not piece:
                    break
                await self._put(part, piece)
            modified_ns = await self.tree.modified_ns(item)
            self._target.finish(part, item.path, modified_ns)
            if version is not None:
                self._target.remember(part, item.path, version.word, self._now() + version.lease)
        self.result.files += 1

    async def _put(self, part: Part, piece: bytes | memoryview) -> None:
        if len(piece) > SMALL:
            await trio.to_thread.run_sync(part.write, piece)
        else:
            part.write(piece)
        self.result.bytes += len(piece)

    async def _link(self, link: Item) -> None:
        target = await self.tree.readlink(link)
        if self._target.link(link.path, target, await self.tree.modified_ns(link)):
            self.result.links += 1
        else:
            self.result.left_out.append("/".join(link.path))

    async def _date(self, directory: Item) -> None:
        self._target.date(directory.path, await self.tree.modified_ns(directory))
