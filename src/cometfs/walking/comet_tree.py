"""The tree of an account without a mount: the files that a mount would show.

Not here: what they are (vfs/layout/), and what is at hand (vfs/answers/).
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from contextlib import suppress
from pathlib import PurePosixPath

from cometfs._version import __version__
from cometfs.errors import CometFSError, NoSuchEntry, NotADirectory, NotFound, SetupError
from cometfs.vfs.engine.vfs import Vfs
from cometfs.vfs.engine.walk_prefetch import TOGETHER
from cometfs.vfs.nodes import Kind, Node
from cometfs.vfs.schema.declaration import Dir, File, Stream, for_eaches_of
from cometfs.walking.items import Item, Readable, Version, Wanted


class CometTree:
    """Nodes of a `Vfs`."""

    def __init__(self, vfs: Vfs, node: Node) -> None:
        self._vfs = vfs
        # One file alone has a path, its name: there is no directory that it is found in.
        self.root = _item(() if isinstance(node.entry, Dir) else (node.name,), node)

    async def children(self, directory: Item) -> list[Item]:
        listing, _lease = await self._vfs.listings.children(directory.node)
        return [_item((*directory.path, name), node) for name, node in listing.nodes.items()]

    def groups(self, directories: Sequence[Item]) -> list[list[Item]]:
        whole = [item for item in directories if is_experiment(item.node)]
        rest = [[item] for item in directories if not is_experiment(item.node)]
        return [*in_groups(whole), *rest]

    async def gather(self, directories: Sequence[Item], wanted: Wanted | None) -> None:
        if not is_experiment(directories[0].node):
            await self._gather_files(directories[0], wanted)
            return

        def shown(node: Node, name: str) -> bool:
            return wanted is None or wanted((*places[id(node)], name))

        places = {id(item.node): item.path for item in directories}
        await self._list(directories)
        await self._vfs.gather([item.node for item in directories], shown, bodies=wanted is None)

    async def _gather_files(self, directory: Item, wanted: Wanted | None) -> None:
        self._vfs.expect(directory.node)
        with suppress(CometFSError):  # of which its reader hears
            found = await self.children(directory)
            files = [one.node for one in found if one.kind == "file" and (wanted is None or wanted(one.path))]
            await self._vfs.gather_files(directory.node, files)

    async def _list(self, directories: Sequence[Item]) -> None:
        """Lists what costs no call, while nothing is known of it: so that an export has the same files whatever is at
        hand, those too that turn out to be empty."""
        for directory in directories:
            if not for_eaches_of(directory.node.entry):
                await self._list([one for one in await self.children(directory) if one.kind == "dir"])

    def version(self, file: Item) -> Version | None:
        node: Node = file.node
        entry = node.entry
        assert isinstance(entry, File)
        if entry.source is None:
            return None
        words = json.dumps([*(entry.source.key(node.at).words or ()), entry.name, entry.made_by, __version__])
        if isinstance(entry.source, Stream):
            return Version(words, math.inf)
        return Version(words, entry.source.lease(node.at)) if node.at.version else None

    async def open(self, file: Item) -> Readable:
        return await self._vfs.files.open(file.node)

    async def readlink(self, link: Item) -> str:
        return await self._vfs.readlink(link.node)

    async def modified_ns(self, item: Item) -> int:
        return int(self._vfs.glance(item.node).modified_ms * 1_000_000)


def _item(path: tuple[str, ...], node: Node) -> Item:
    entry = node.entry
    kind: Kind = "dir" if isinstance(entry, Dir) else "file" if isinstance(entry, File) else "link"
    return Item(path, kind, node)


def is_experiment(node: Node) -> bool:
    """Whether it is an experiment's own directory."""
    return node.at.experiment is not None and isinstance(node.entry, Dir) and not node.entry.name and not node.within


def in_groups(items: Sequence[Item]) -> list[list[Item]]:
    """A few items, and then more at once."""
    cuts = [0, *range(TOGETHER.alone, len(items), TOGETHER.together), len(items)]
    return [list(items[start:end]) for start, end in itertools.pairwise(cuts) if start < end]


async def find(vfs: Vfs, place: str) -> Node:
    """The node at "workspace/project/experiment/...". Raises SetupError where there is none."""
    node = vfs.root
    for part in PurePosixPath(place).parts:
        try:
            node, _lease = await vfs.listings.child(node, part)
        except (NoSuchEntry, NotADirectory, NotFound) as error:
            raise SetupError(f"there is no {part!r} in {place!r}: {error}") from error
    return node
