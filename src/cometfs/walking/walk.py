"""Goes through a tree and has all of it visited, several files at once; what cannot be had does not end the rest.

Not here: what the tree is (items.py), and what a visit does (export/, warming/).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import trio

from cometfs.errors import CometFSError, KeyRejected, OutOfFiles, OutOfSpace
from cometfs.walking.globs import Selection
from cometfs.walking.items import Item, Tree

WORKERS = 16
"""Files that are read at once."""

PIECE = 1 << 20
"""Bytes that are read at once."""

FATAL = (KeyRejected, OutOfFiles, OutOfSpace)
"""What meets every file that follows, too."""


class Walk:
    """One way through a tree. What is made of a visit is for those that inherit it; `failed`: path -> why."""

    def __init__(self, tree: Tree, selection: Selection) -> None:
        self.tree = tree
        self.selection = selection
        self.failed: dict[str, str] = {}

    def found(self, item: Item) -> bool:
        """A file or a link is come across; whether it is wanted."""
        return self.selection.takes(item.path)

    async def entered(self, directory: Item) -> None:
        """A directory has been listed."""

    async def visit(self, file: Item) -> None:
        """A file's turn has come."""

    async def linked(self, link: Item) -> None:
        """A link is come across."""

    async def run(self) -> None:
        """Raises what ends all: a key that is refused, a disk that is full."""
        async with trio.open_nursery() as nursery:
            send, receive = trio.open_memory_channel[Item](WORKERS)
            for _ in range(WORKERS):
                nursery.start_soon(self._work, receive.clone())
            async with send, receive:
                await self._walk_root(send)

    async def _walk_root(self, send: trio.MemorySendChannel[Item]) -> None:
        root = self.tree.root
        if root.kind == "dir":
            await self.tree.gather([root], None if self.selection.is_whole else self.selection.enters)
            await self.attempt(self._walk, root, send)
        else:
            await self._take(root, send)

    async def _walk(self, directory: Item, send: trio.MemorySendChannel[Item]) -> None:
        children = await self.tree.children(directory)
        await self.entered(directory)
        for child in children:
            if child.kind != "dir":
                await self._take(child, send)
        inner = [one for one in children if one.kind == "dir" and self.selection.enters(one.path)]
        await self._enter(self.tree.groups(inner), send)

    async def _enter(self, groups: Sequence[list[Item]], send: trio.MemorySendChannel[Item]) -> None:
        """Each group is gathered while the one before it is gone through."""
        gathered = [trio.Event() for _ in groups]

        async def gather(number: int) -> None:
            await self.tree.gather(groups[number], None if self.selection.is_whole else self.selection.enters)
            gathered[number].set()

        async with trio.open_nursery() as nursery:
            for number, group in enumerate(groups):
                if number == 0:
                    nursery.start_soon(gather, number)
                await gathered[number].wait()
                if number + 1 < len(groups):
                    nursery.start_soon(gather, number + 1)
                for one in group:
                    await self.attempt(self._walk, one, send)

    async def _take(self, item: Item, send: trio.MemorySendChannel[Item]) -> None:
        if not self.found(item):
            return
        if item.kind == "link":
            await self.linked(item)
        else:
            await send.send(item)

    async def _work(self, receive: trio.MemoryReceiveChannel[Item]) -> None:
        async with receive:
            async for item in receive:
                await self.attempt(self.visit, item)

    async def attempt(self, work: Callable[..., object], item: Item, *more: object) -> None:
        """Does it; why it failed is recorded."""
        try:
            await work(item, *more)  # type: ignore[misc]
        except FATAL:
            raise
        except CometFSError as error:
            self.failed["/".join(item.path)] = str(error)
        except OSError as error:
            self.failed["/".join(item.path)] = error.strerror or str(error)
