"""What paths of `comet://` mean, in the trio thread: an account, its tree, and what is asked of both.

Not here: threads (portal.py), and the words of fsspec (filesystem.py).
"""

from __future__ import annotations

import logging
import os
import re
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple, TypeVar

import trio

from cometfs.caller import CALLER, PROGRESS, Caller
from cometfs.composition.account import open_account
from cometfs.composition.assembly import Cache
from cometfs.config import MountSettings
from cometfs.errors import CometFSError, NoSuchEntry, NotADirectory, NotFound, Stale
from cometfs.folders import account_in_use, cache_directory
from cometfs.fsspec.portal import Portal
from cometfs.mountstate.limits import RequestLimiter
from cometfs.vfs.engine.vfs import Vfs
from cometfs.vfs.nodes import Kind, Node, Opened
from cometfs.vfs.schema.declaration import Dir, Link, Row
from cometfs.vfs.sources import provenance
from cometfs.vfs.sources.experiment import each_of
from cometfs.walking.comet_tree import CometTree

log = logging.getLogger(__name__)

T = TypeVar("T")

ROOM = 100_000
"""Tasks that may wait at once: no kernel is behind them that others need."""

LINKS = 40
"""Links in one path at most, as for the kernel."""

PIECE = 1 << 20
"""Bytes that are read at once, as a block of a big body has."""


class Found(NamedTuple):
    """What stands at a path."""

    path: str
    kind: Kind
    size: int | None
    """In bytes; None for one that must be fetched before that is known."""
    modified_ms: float
    target: str | None = None
    """Where a link points to."""


class Place(NamedTuple):
    """A node, and the directories that it is in, nearest first."""

    node: Node
    above: Sequence[Node]

    @property
    def directory(self) -> Node:
        return self.above[0] if self.above else self.node


class Handle(NamedTuple):
    """An open file."""

    opened: Opened
    found: Found


class Tree:
    """An open account. Its methods raise errors of `cometfs.errors`."""

    def __init__(self, vfs: Vfs, deadline: float) -> None:
        self._vfs = vfs
        self.limiter = RequestLimiter(deadline, ROOM)

    async def _place(self, path: str, *, follow: bool = True) -> Place:
        """`follow`: also a link at the end, as those on the way."""
        above, left, links = [self._vfs.root], deque(path.split("/")), 0
        while left:
            part = left.popleft()
            if part == "..":
                above = above[:-1] or above
            elif part not in ("", "."):
                node = await self._child(above[-1], part)
                if isinstance(node.entry, Link) and (follow or any(left)):
                    links += 1
                    if links > LINKS:
                        raise NoSuchEntry(f"too many links in {path}")
                    left.extendleft(reversed((await self._vfs.readlink(node)).split("/")))
                else:
                    above.append(node)
        return Place(above[-1], above[-2::-1])

    async def _child(self, directory: Node, name: str) -> Node:
        """An entry. One that turned out to be empty since it was listed is there for what names it: no kernel remembers
        here that it was."""
        try:
            return (await self._vfs.listings.child(directory, name))[0]
        except NoSuchEntry:
            listing = self._vfs.listings.peek(directory)
            if listing is None or name not in listing.omitted:
                raise
            return listing.omitted[name]

    def _found(self, path: str, node: Node) -> Found:
        """What is known without a call."""
        seen = self._vfs.glance(node)
        target = self._vfs.readlink_nowait(node) if isinstance(node.entry, Link) else None
        return Found(path, seen.kind, seen.size, seen.modified_ms, target)

    async def look(self, path: str, *, follow: bool = True) -> Found:
        """What stands there; of a file without its size, where that takes a call."""
        return self._found(path, (await self._place(path, follow=follow)).node)

    async def stat(self, path: str) -> Found:
        """The same with its size."""
        link = await self._place(path, follow=False)
        place = await self._place(path)
        if self._vfs.glance(place.node).size is None:
            attributes = self._vfs.attributes
            await self._vfs.concurrent.read(place.node, lambda: attributes(place.node, place.directory))
        found = self._found(path, place.node)
        return found._replace(target=self._found(path, link.node).target) if link.node is not place.node else found

    async def created_ms(self, path: str) -> float | None:
        """When it came to be, where Comet tells."""
        return provenance.created_ms((await self._place(path)).node.at)

    async def identity(self, path: str) -> str:
        """Other words where it stands for something else, or has become another version of that."""
        place, found = await self._place(path), await self.stat(path)
        words = provenance.of_place(place.node.at)
        return repr((words.get("url"), words.get("asset_id"), place.node.name, found.size, found.modified_ms))

    async def entries(self, path: str) -> list[Found]:
        """The entries of a directory; a file as itself."""
        node = (await self._place(path)).node
        if not isinstance(node.entry, Dir):
            return [self._found(path, node)]
        listing, _ = await self._vfs.listings.children(node)
        return [self._found(f"{path}/{name}".lstrip("/"), one) for name, one in listing.nodes.items()]

    async def glob(self, parts: Sequence[str | re.Pattern[str]]) -> list[Found]:
        """What matches, part by part: only what a pattern leads to is looked at."""
        level = {"": self._vfs.root}
        for part in parts:
            await self._vfs.concurrent.list(list(level.values()))
            found: dict[str, Node] = {}
            for path, node in level.items():
                found |= {f"{path}/{name}".lstrip("/"): one for name, one in await self._matching(path, node, part)}
            level = found
        self._vfs.concurrent.match(list(level.values()))
        return [self._found(path, node) for path, node in level.items()]

    async def _matching(self, path: str, node: Node, part: str | re.Pattern[str]) -> list[tuple[str, Node]]:
        try:
            if isinstance(node.entry, Link):
                node = (await self._place(path)).node
            if isinstance(part, str):
                return [(part, (await self._vfs.listings.child(node, part))[0])]
            listing, _ = await self._vfs.listings.children(node)
        except (NoSuchEntry, NotADirectory, NotFound):
            return []
        return [(name, one) for name, one in listing.nodes.items() if part.fullmatch(name)]

    async def open(self, path: str) -> Handle:
        """To be closed in this thread."""
        place = await self._place(path)
        opened = await self._vfs.concurrent.read(place.node, lambda: self._vfs.files.open(place.node))
        return Handle(opened, self._found(path, place.node)._replace(size=opened.size))

    async def cat(self, path: str, start: int | None, end: int | None) -> bytes:
        """The bytes of a file, or some of them, counted from the end where they are negative."""
        opened = (await self.open(path)).opened
        try:
            first, last, _ = slice(start, end).indices(opened.size)
            return await read(opened, first, max(0, last - first))
        finally:
            opened.close()

    async def cat_all(
        self, paths: Sequence[str], start: int | None, end: int | None
    ) -> dict[str, bytes | CometFSError]:
        """The bytes of many files, all at once, or why there are none."""
        found: dict[str, bytes | CometFSError] = {}

        async def one(path: str) -> None:
            try:
                found[path] = await self.cat(path, start, end)
            except CometFSError as error:
                found[path] = error
            PROGRESS.get()()  # each has as long as one that is read alone

        await each_of(paths, one, len(paths))
        return {path: found[path] for path in paths}

    async def gather(self, paths: Sequence[str]) -> None:
        """Has at hand afterwards what one call answers for many files. What is wrong with one of them its reader
        gets."""
        found = []
        for path in paths:
            with suppress(CometFSError):
                found.append((await self._place(path)).node)
        await self._vfs.concurrent.gather(found)

    async def logged_by(self, project: str, metric: str) -> list[Row]:
        """The experiments of a project that have logged a metric: rows of its listing."""
        return list(await self._vfs.concurrent.logged_by(await self._project(project), metric))

    async def metric(self, project: str, rows: Sequence[Row], metric: str) -> dict[str, bytes]:
        """By experiment, the points of a metric as its files show them."""
        return await self._vfs.concurrent.metric(await self._project(project), rows, metric)

    async def _project(self, path: str) -> Node:
        node = (await self._place(path)).node
        if node.at.project is None:
            raise NotFound(f"{path or '/'} is no project: name WORKSPACE/PROJECT")
        return node

    async def node(self, path: str) -> Node:
        """What stands there, links followed."""
        return (await self._place(path)).node

    def items(self, node: Node) -> CometTree:
        """It, and all below it."""
        return CometTree(self._vfs, node)

    async def refresh(self, path: str) -> None:
        """What is asked next of it, and of what is below it, Comet is asked."""
        place = await self._place(path)
        await self._vfs.refresh(place.node, place.above)

    async def settle(self) -> None:
        """Returns when other processes find on disk what was fetched so far."""
        await self._vfs.settle()


async def read(opened: Opened, start: int, length: int) -> bytes:
    """Bytes of an open file, piece by piece, so that a sequential reader is seen."""
    pieces = [
        bytes(await opened.read(at, min(PIECE, start + length - at))) for at in range(start, start + length, PIECE)
    ]
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


class _Opening:
    def __init__(self) -> None:
        self.ready = trio.Event()
        self.tree: Tree | None = None
        self.error: Exception | None = None
        self.keep: Callable[[], None] = lambda: None
        """To be called when the folder of the account is worth keeping."""


def on_tree(settings: MountSettings, work: Callable[[Tree], Awaitable[T]]) -> Callable[[Portal], Awaitable[T]]:
    """`work` on the tree of that account, for a portal."""
    return lambda portal: _on_tree(portal, settings, work)


def within_deadline(work: Callable[[Tree], Awaitable[T]]) -> Callable[[Tree], Awaitable[T]]:
    """The same, until nothing has come for the deadline: DeadlineExceeded then."""

    async def limited(tree: Tree) -> T:
        with tree.limiter.limit(0):
            return await work(tree)
        raise AssertionError("unreachable: limit() raises when it swallows a cancellation")

    return limited


async def _on_tree(portal: Portal, settings: MountSettings, work: Callable[[Tree], Awaitable[T]]) -> T:
    """What `work` returns of a tree, which is opened for its first user and stays so.

    Raises its errors, and SetupError.
    """
    opening = portal.accounts.get(settings)
    if opening is None:
        opening = portal.accounts[settings] = _Opening()
        portal.nursery.start_soon(_hold, portal, settings, opening)
    await opening.ready.wait()
    if opening.tree is None:
        raise opening.error or Stale("the account was closed")
    CALLER.set(Caller(os.getpid()))
    found = await work(opening.tree)
    opening.keep()
    return found


async def _hold(portal: Portal, settings: MountSettings, opening: _Opening) -> None:
    """Has an account open until the thread ends."""
    try:
        caches = cache_directory(settings.cache_dir)
        with account_in_use(caches, settings.url, settings.api_key) as (folder, keep):
            async with open_account(settings, Cache(folder, settings.cache_size), singles=False) as (vfs, _api):
                opening.keep = keep
                opening.tree = Tree(vfs, settings.deadline)
                opening.ready.set()
                await trio.sleep_forever()
    except CometFSError as error:
        opening.error = error
    except Exception as error:  # one account must not end the others; the next use opens it anew
        log.exception("bug in what goes on beside requests")
        opening.error = error
    finally:
        opening.tree = None
        portal.accounts.pop(settings, None)
        opening.ready.set()


def literal_or_pattern(parts: Iterable[str], translate: Callable[[str], str]) -> list[str | re.Pattern[str]]:
    """Parts of a glob: names as they are, patterns compiled."""
    return [re.compile(translate(part)) if set(part) & set("*?[") else part for part in parts]
