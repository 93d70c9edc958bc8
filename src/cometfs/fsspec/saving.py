"""Local copies of `comet://`: of a file, and of a directory, for which several files are asked for together.

Not here: going through a tree (walking/), and what fsspec makes of paths (filesystem.py).
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import trio

from cometfs.errors import CometFSError
from cometfs.fsspec.tree import PIECE, Tree
from cometfs.vfs.nodes import Node
from cometfs.vfs.schema.declaration import Dir
from cometfs.walking.globs import Selection
from cometfs.walking.items import Item
from cometfs.walking.walk import FATAL, Walk

SMALL = 64 << 10
"""Bytes that are written at once rather than in a thread, which takes longer."""


@contextmanager
def part_of(target: str | Path) -> Iterator[IO[bytes]]:
    """A file to be written, which has its name when all of it has come. Directories that it lies in are made."""
    path = Path(target)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name[:40]}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            yield file
        part.replace(path)
    except BaseException:
        with suppress(FileNotFoundError):
            part.unlink()
        raise


def make(directory: str | Path, target: str | None) -> None:
    """A directory, or a link to one, as `cp -r` of a mount makes it."""
    place = Path(directory)
    if target is None:
        place.mkdir(parents=True, exist_ok=True)
    elif not os.path.lexists(place):
        place.symlink_to(target)


class Saving(Walk):
    """A copy of a directory. What cannot be had does not end the rest; what ends all is the last of `errors`."""

    def __init__(self, account: Tree, node: Node, source: str, target: Path, callback: Any) -> None:
        super().__init__(account.items(node), Selection())
        self._account = account
        self._source = source
        self._target = target
        self._callback = callback
        self._links: list[Item] = []
        self._count = 0
        self._scope = trio.CancelScope()
        self.errors: list[tuple[str, Exception]] = []

    async def run(self) -> None:
        with self._scope:
            await super().run()
            for one in self._links:
                await self.attempt(self._follow, one)

    def found(self, item: Item) -> bool:
        self._count += super().found(item)
        self._callback.set_size(self._count)
        return True

    async def entered(self, directory: Item) -> None:
        make(self._place(directory), None)

    async def linked(self, one: Item) -> None:
        self._links.append(one)  # what they lead to may come anyway

    async def _follow(self, one: Item) -> None:
        node = await self._account.node(self._path(one))
        if isinstance(node.entry, Dir):
            make(self._place(one), await self.tree.readlink(one))
            self._callback.relative_update(1)
        else:
            await self.visit(Item(one.path, "file", node))

    async def visit(self, file: Item) -> None:
        opened = await self.tree.open(file)
        assert opened is not None
        place = self._place(file)
        try:
            with part_of(place) as part, self._callback.branched(self._path(file), str(place)) as callback:
                callback.set_size(opened.size)
                for start in range(0, opened.size, PIECE):
                    piece = await opened.read(start, min(PIECE, opened.size - start))
                    await (trio.to_thread.run_sync(part.write, piece) if len(piece) > SMALL else _at_once(part, piece))
                    callback.relative_update(len(piece))
        finally:
            opened.close()
        self._callback.relative_update(1)

    async def attempt(self, work: Callable[..., Any], item: Item, *more: object) -> None:
        """Does it; why it failed is recorded. A local disk that takes nothing, or a key that is refused, ends all."""
        try:
            await work(item, *more)
        except (CometFSError, OSError) as error:
            self.errors.append((self._path(item), error))
            if isinstance(error, (OSError, *FATAL)):
                self._scope.cancel()

    def _path(self, item: Item) -> str:
        return "/".join((self._source, *item.path)).lstrip("/")

    def _place(self, item: Item) -> Path:
        return self._target.joinpath(*item.path)


async def _at_once(file: IO[bytes], piece: bytes | memoryview) -> None:
    file.write(piece)
