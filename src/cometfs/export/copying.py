"""Goes through a tree and has all of it written, several files at once; what cannot be had does not end the rest.

Not here: what the tree is (items.py), and how files are written (target.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import trio

from cometfs.errors import CometFSError, KeyRejected, OutOfFiles, OutOfSpace
from cometfs.export.globs import Selection
from cometfs.export.items import Item, Readable, Tree, Version
from cometfs.export.target import OWN, Part, Target

WORKERS = 16
"""Files that are read at once."""

PIECE = 1 << 20
"""Bytes that are read at once."""

SMALL = 64 << 10
"""Bytes that are written at once rather than in a thread, which takes longer."""

FATAL = (KeyRejected, OutOfFiles, OutOfSpace)
"""What meets every file that follows, too."""


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


class Copying:
    """One export."""

    def __init__(self, tree: Tree, target: Target, selection: Selection, now: Callable[[], float] = time.time) -> None:
        self._tree = tree
        self._target = target
        self._selection = selection
        self._now = now
        self._links: list[Item] = []
        self._directories: list[Item] = []
        self.result = Result()

    async def run(self) -> None:
        """Raises what ends all: a key that is refused, a disk that is full."""
        async with trio.open_nursery() as nursery:
            send, receive = trio.open_memory_channel[Item](WORKERS)
            for _ in range(WORKERS):
                nursery.start_soon(self._work, receive.clone())
            async with send, receive:
                await self._walk_root(send)
        for link in self._links:
            await self._attempt(self._link, link)
        for directory in reversed(self._directories):
            await self._attempt(self._date, directory)
        self.result.complete = True

    async def _walk_root(self, send: trio.MemorySendChannel[Item]) -> None:
        root = self._tree.root
        if root.kind == "dir":
            await self._attempt(self._walk, root, send)
        else:
            await self._found(root, send)

    async def _walk(self, directory: Item, send: trio.MemorySendChannel[Item]) -> None:
        children = await self._tree.children(directory)
        if self._selection.is_whole:
            await trio.to_thread.run_sync(self._target.make, directory.path)
            self._directories.append(directory)
        for child in children:
            if child.kind != "dir":
                await self._found(child, send)
        inner = [one for one in children if one.kind == "dir" and self._selection.enters(one.path)]
        await self._enter(self._tree.groups(inner), send)

    async def _enter(self, groups: Sequence[list[Item]], send: trio.MemorySendChannel[Item]) -> None:
        """Each group is gathered while the one before it is gone through."""
        gathered = [trio.Event() for _ in groups]

        async def gather(number: int) -> None:
            await self._tree.gather(groups[number], None if self._selection.is_whole else self._selection.enters)
            gathered[number].set()

        async with trio.open_nursery() as nursery:
            for number, group in enumerate(groups):
                if number == 0:
                    nursery.start_soon(gather, number)
                await gathered[number].wait()
                if number + 1 < len(groups):
                    nursery.start_soon(gather, number + 1)
                for one in group:
                    await self._attempt(self._walk, one, send)

    async def _found(self, item: Item, send: trio.MemorySendChannel[Item]) -> None:
        if not self._selection.takes(item.path) or item.path[:1] == (OWN,):
            return
        if item.kind == "link":
            self._links.append(item)
        else:
            self.result.found += 1
            await send.send(item)

    async def _work(self, receive: trio.MemoryReceiveChannel[Item]) -> None:
        async with receive:
            async for item in receive:
                await self._attempt(self._copy, item)

    async def _attempt(self, work: Callable[..., object], item: Item, *more: object) -> None:
        try:
            await work(item, *more)  # type: ignore[misc]
        except FATAL:
            raise
        except CometFSError as error:
            self.result.failed["/".join(item.path)] = str(error)
        except OSError as error:
            self.result.failed["/".join(item.path)] = error.strerror or str(error)

    async def _copy(self, item: Item) -> None:
        version = self._tree.version(item)
        if version is not None:
            held = await trio.to_thread.run_sync(self._target.holds, item.path, version.word, self._now())
            if held is not None:
                self.result.kept += 1
                self.result.kept_bytes += held
                return
        opened = await self._tree.open(item)
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
            modified_ns = await self._tree.modified_ns(item)
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
        target = await self._tree.readlink(link)
        if self._target.link(link.path, target, await self._tree.modified_ns(link)):
            self.result.links += 1
        else:
            self.result.left_out.append("/".join(link.path))

    async def _date(self, directory: Item) -> None:
        self._target.date(directory.path, await self._tree.modified_ns(directory))
