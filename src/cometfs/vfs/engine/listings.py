"""Listings of directories, and the children in them: made of the declaration and of what its sources answer.

A listing is kept until one of those answers holds no more. Not here: what it leaves out (empty_entries.py), what is
being written over an answer (buffer.py), and how a listing is put together (nodes.py)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import trio

from cometfs.cache.memory import CacheEntry
from cometfs.errors import NoSuchEntry, NotADirectory, Unreachable
from cometfs.lease import ACCOUNT, LISTING, Lease
from cometfs.vfs.answers.prefetch import Prefetcher
from cometfs.vfs.answers.resolver import AnswerResolver
from cometfs.vfs.engine.empty_entries import EmptyEntries
from cometfs.vfs.keys import Key
from cometfs.vfs.nodes import NODE_BYTES, Built, Listing, Node, build, insert
from cometfs.vfs.schema.declaration import Dir, ForEach, Link, fixed_of, for_eaches_of
from cometfs.vfs.writeback.policy import WritePolicy

_FIXED_BYTES = 130
"""What an entry that every such directory has costs in memory: its name and its place are those of others (tracemalloc:
115)."""

RENEW_BELOW = 20.0
"""Seconds that a listing holds below which it is looked whether its answers are to be renewed."""

_MANY = 500
"""Rows of a listing beyond which their nodes are made in a thread, so that other requests are not kept waiting: some 10
us each."""


class _Building:
    """A listing that is being made of `answers`; None is `held` until it is, and where that failed."""

    def __init__(self, answers: Sequence[CacheEntry | None]) -> None:
        self._answers = answers
        self.ended = trio.Event()
        self.held: CacheEntry | None = None

    def is_of(self, answers: Sequence[CacheEntry | None]) -> bool:
        """Whether it is made of those: after a refresh there are others."""
        return all(one is other for one, other in zip(self._answers, answers, strict=True))


class Listings:
    """What is in directories. Folders that a "/" in names made are in the listing of their declared directory."""

    def __init__(self, answers: AnswerResolver, prefetcher: Prefetcher, writing: WritePolicy) -> None:
        self._prefetcher = prefetcher
        self._answers = answers
        self._store = answers.store
        self._writing = writing
        self.omitted = EmptyEntries(answers)
        self._building: dict[Key, _Building] = {}

    async def children(self, node: Node) -> tuple[Listing, float]:
        """The complete listing of a directory and the seconds for which it holds.

        Raises NotADirectory for a file, and what Comet's answer raises.
        """
        found = self.children_nowait(node)
        if found is not None:
            return found
        assert isinstance(node.entry, Dir)
        eaches, key = for_eaches_of(node.entry), self._key(node)
        answers = [await self._answers.wanted(each.source, node.at) if each.source else None for each in eaches]
        # One that failed, or was cancelled, is made anew by the first that waited for it.
        while (building := self._building.get(key)) is not None and building.is_of(answers):
            await building.ended.wait()
            if building.held is not None:
                return self._within(node, building.held)
        return self._within(node, await self._build(key, node, node.entry, answers))

    async def _build(self, key: Key, node: Node, entry: Dir, answers: Sequence[CacheEntry | None]) -> CacheEntry:
        """One for all that wait, also where it holds no more when it is made: that of thousands takes a second."""
        building = self._building[key] = _Building(answers)
        try:
            eaches = for_eaches_of(entry)
            built = [await self._built(node, each, answer) for each, answer in zip(eaches, answers, strict=True)]
            # Another task may have built it while this one waited; what was written meanwhile has another key.
            building.held = self._store.peek(key) or self._keep(key, node, entry, answers, built)
            return building.held
        finally:
            building.ended.set()
            if self._building.get(key) is building:
                del self._building[key]

    def children_nowait(self, node: Node) -> tuple[Listing, float] | None:
        """What `children` returns, where that takes no call."""
        entry = node.entry
        if not isinstance(entry, Dir):
            raise NotADirectory(f"{node.name} is a file")
        key = self._key(node)
        held = self._store.peek(key)
        if not for_eaches_of(entry) and (held is None or held.value.at is not node.at):
            # Made anew with its place, it does not keep the rows of a former listing in memory.
            held = self._keep(key, node, entry, (), ())
        if held is not None and self._store.remaining(held) < RENEW_BELOW:
            for each in for_eaches_of(entry):
                if each.source is not None:
                    self._prefetcher.renew(each.source, node.at)
        return None if held is None else self._within(node, held)

    async def child(self, node: Node, name: str) -> tuple[Node, float]:
        """The child of that name and the seconds for which it holds. Raises NoSuchEntry with its own lease."""
        return self.child_nowait(node, name) or _named(node, name, *await self.children(node))

    def child_nowait(self, node: Node, name: str) -> tuple[Node, float] | None:
        """What `child` returns or raises, where that takes no call."""
        # In a folder that a "/" made users' names are as they are: it is listed already.
        temporary = self._writing.scratch.find(node, name)
        if temporary is not None:
            return temporary, 0.0
        if isinstance(node.entry, Dir) and not node.within and node.entry.refuses(name):
            raise NoSuchEntry(f"nothing here is ever called {name!r}", ACCOUNT)
        found = self.children_nowait(node)
        return None if found is None else _named(node, name, *found)

    def peek(self, node: Node) -> Listing | None:
        """The listing of a directory, where it was made and holds; makes nothing."""
        held = self._store.peek(self._key(node))
        try:
            return None if held is None else self._within(node, held)[0]
        except NoSuchEntry:
            return None

    def _key(self, node: Node) -> Key:
        buffer = self._writing.buffer(node)
        revision = None if buffer is None else buffer.revision
        return Key.listing(node.entry, node.at.version, node.at.key, revision)

    def _within(self, node: Node, held: CacheEntry) -> tuple[Listing, float]:
        listing: Listing = held.value
        for part in node.within:
            folder = listing.folders.get(part)
            if folder is None:
                raise NoSuchEntry(f"the folder {'/'.join(node.within)!r} is gone", 0.0)
            listing = folder
        return listing, self._store.remaining(held)

    async def _built(self, node: Node, each: ForEach, answer: CacheEntry | None) -> list[Built]:
        buffer = self._writing.buffer(node)
        listed = node.at if answer is None else answer.value if buffer is None else buffer.over(answer.value)
        beside = self._store.recall(each.beside.key(node.at)) if each.beside else None
        rows = each.rows(listed) if beside is None else each.rows(listed, beside.value)
        if len(rows) <= _MANY:
            return build(node, each, rows)
        return await trio.to_thread.run_sync(build, node, each, rows, abandon_on_cancel=True)

    def _keep(
        self, key: Key, node: Node, entry: Dir, answers: Sequence[CacheEntry | None], built: Sequence[list[Built]]
    ) -> CacheEntry:
        at, fixed = node.at, fixed_of(entry)
        omitted, left = self.omitted.of(entry, at)
        left = min([left, *(self._store.remaining(held) for held in answers if held is not None)])
        lease = Lease(min(entry.lease(at), left))
        stale = any(held.stale for held in answers if held is not None)
        listing = Listing(at, trio.current_time() + lease, stale)
        for child in fixed:
            listed = isinstance(child, Link) or child.listed
            left_out = child.name in omitted and not self._writing.edits(child)
            shown = listing.omitted if left_out else listing.nodes if listed else listing.unlisted
            shown[child.name] = Node(child.name, child, at)
        for path, built_node in itertools.chain(*built):
            insert(listing, path, built_node, entry, at)
        weight = NODE_BYTES * (1 + sum(map(len, built))) + _FIXED_BYTES * len(fixed)
        return self._store.keep(key, listing, lease, weight)


def _named(node: Node, name: str, listing: Listing, lease: float) -> tuple[Node, float]:
    found = listing.nodes.get(name) or listing.unlisted.get(name)
    if found is None and listing.stale:
        raise Unreachable(f"whether {node.name or '/'} has an entry {name!r} by now cannot be asked")
    if found is None:
        # Of what ended long ago a listing holds for hours; a program that waits for a name finds it after a minute.
        raise NoSuchEntry(f"{node.name or '/'} has no entry {name!r}", min(lease, LISTING))
    return found, lease
