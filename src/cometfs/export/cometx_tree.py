"""The tree that `cometx download` makes, of the files that a mount would show: `cometx copy` reads it.

Not here: what each of its files holds (cometx_files.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from cometfs.errors import NoSuchEntry
from cometfs.export import cometx_files
from cometfs.vfs.engine.vfs import Vfs
from cometfs.vfs.nodes import Content, Listing, Node
from cometfs.vfs.schema import names
from cometfs.vfs.schema.declaration import Dir
from cometfs.vfs.schema.names import Path
from cometfs.walking.comet_tree import CometTree, in_groups, is_experiment
from cometfs.walking.items import Item, Readable, Version, Wanted


@dataclass(frozen=True, slots=True)
class Made:
    """A file that is made of files of the mount."""

    of: tuple[Node, ...]
    make: Callable[..., bytes | None] | None = None
    """From their bytes; None: there is no such file. Without it the file is the one of the mount, unless that is
    empty."""


class CometxTree:
    """An experiment, a project or a workspace."""

    def __init__(self, vfs: Vfs, node: Node) -> None:
        self._vfs = vfs
        self._plain = CometTree(vfs, node)
        self.root = Item((), "dir", node)

    async def children(self, directory: Item) -> list[Item]:
        node: Node = directory.node
        if is_experiment(node):
            return await self._experiment(node) if directory.path else [_directory(node)]
        shown = (await self._vfs.listings.children(node))[0].nodes.values()
        if node.at.project is None:
            return [_directory(one) for one in shown if one.at.project is not None]
        files = []
        for name, of, make in cometx_files.PROJECT:
            part = await self._child(node, of)
            if part is not None:
                path = (*_place(node), name)
                files.append(Item(path, "file", Made((part,), make)))
        return files + [_directory(one) for one in shown if is_experiment(one)]

    def groups(self, directories: Sequence[Item]) -> list[list[Item]]:
        whole = [one for one in directories if is_experiment(one.node)]
        return in_groups(whole) or [[one] for one in directories]

    async def gather(self, directories: Sequence[Item], wanted: Wanted | None) -> None:
        whole = [one.node for one in directories if is_experiment(one.node)]
        if whole:
            await self._vfs.gather(whole, lambda _node, name: name in cometx_files.GATHERED, bodies=wanted is None)

    async def _experiment(self, node: Node) -> list[Item]:
        found: dict[Path, Item] = {}
        place = _place(node)
        for name, of, make in cometx_files.EXPERIMENT:
            parts = [await self._child(node, one) for one in of]
            if all(parts):
                path = (*place, *name.split("/"))
                found[path] = Item(path, "file", Made(tuple(one for one in parts if one), make))
        rows = {one.at.item["assetId"]: one for one in await self._assets(node)}
        for path, row in cometx_files.asset_paths([one.at.item for one in rows.values()]):
            found[*place, *path] = Item((*place, *path), "file", Made((rows[row["assetId"]],)))
        return list(found.values())

    async def _assets(self, node: Node) -> list[Node]:
        directory = await self._child(node, "assets")
        if directory is None:
            return []
        listing, _lease = await self._vfs.listings.children(directory)
        return list(_files(listing))

    async def _child(self, node: Node, path: str) -> Node | None:
        for name in path.split("/"):
            try:
                node, _lease = await self._vfs.listings.child(node, name)
            except NoSuchEntry:
                return None
        return node

    def version(self, file: Item) -> Version | None:
        parts = [self._plain.version(Item((), "file", node)) for node in file.node.of]
        known = [one for one in parts if one is not None]
        if len(known) < len(parts):
            return None
        return Version(" ".join(one.word for one in known), min((one.lease for one in known), default=math.inf))

    async def open(self, file: Item) -> Readable | None:
        made: Made = file.node
        if made.make is None:
            opened = await self._vfs.files.open(made.of[0])
            if opened.size:
                return opened
            opened.close()
            return None
        data = made.make(*[await self._read(node) for node in made.of])
        return None if data is None else Content(data)

    async def _read(self, node: Node) -> bytes:
        opened = await self._vfs.files.open(node)
        try:
            return bytes(await opened.read(0, opened.size))
        finally:
            opened.close()

    async def readlink(self, link: Item) -> str:
        raise NotImplementedError  # there is none

    async def modified_ns(self, item: Item) -> int:
        node = item.node.of[0] if isinstance(item.node, Made) else item.node
        return await self._plain.modified_ns(Item((), "file", node))


def _directory(node: Node) -> Item:
    return Item(_place(node), "dir", node)


def _place(node: Node) -> Path:
    """Where it stands: workspace, project, key."""
    at = node.at
    parts: list[Any] = [at.workspace]
    parts += [at.project["projectName"]] if at.project else []
    parts += [at.experiment["experimentKey"]] if at.experiment else []
    return tuple(names.whole(part) for part in parts)


def _files(listing: Listing) -> Iterator[Node]:
    folders = listing.folders.values()
    for node in listing.nodes.values():
        if not isinstance(node.entry, Dir):
            yield node
    for folder in folders:
        yield from _files(folder)
