"""The engine: walks the declared tree, asks the store, and answers in words that no kernel taught it.

One flow: a face asks for children, attributes or an open file of a `Node`; the engine finds the declaration that stands
there and asks the store for its source's answer, which asks Comet if it must. Not here: the declaration (layout/), the
values that go in and out (place.py), inodes and errnos (fuse/).
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any

import trio

from cometfs.cache.memory import Held
from cometfs.errors import NoSuchEntry, NotADirectory
from cometfs.lease import ACCOUNT, LISTING, RUNNING, Lease
from cometfs.tree import provenance
from cometfs.tree.answers import Answers
from cometfs.tree.files import Files
from cometfs.tree.junk import is_junk
from cometfs.tree.made import Made
from cometfs.tree.node import At, Dir, Each, File, Link, Source, Stream, eaches_of
from cometfs.tree.place import Attributes, Grown, Listing, Node, graft, grow
from cometfs.tree.refresh import Refresh
from cometfs.tree.scope import Scope
from cometfs.tree.sizes import REMEMBERED, Sizes
from cometfs.tree.table import words
from cometfs.tree.writing import Writing

_NODE_BYTES = 400
"""What one node of a listing costs in memory, its place and its name included (tracemalloc: 300 to 420)."""

_FIXED_BYTES = 130
"""The same of an entry that every such directory has: its name and its place are those of others (tracemalloc: 115)."""

_GOING_THROUGH = Lease(10.0)
"""For how long somebody who listed a directory is taken to go through it."""

RENEW_BELOW = 20.0
"""Seconds that a listing holds below which it is looked whether its answers are to be renewed."""

_MANY = 500
"""Rows of a listing beyond which their nodes are made in a thread, for the same reason: some 10 us each."""


class Vfs:
    """A mounted Comet: nodes in, children, attributes and bytes out."""

    def __init__(self, answers: Answers, tree: Dir, born_ms: float, *, rw: bool = False, live: Lease = RUNNING) -> None:
        """`born_ms`: the time of directories for which Comet has none, in milliseconds since 1970; `rw`: whether what
        is declared writable is so; `live`: how long answers about an experiment hold that may be running."""
        self._answers = answers
        self._store = answers.store
        self.writing = Writing(answers, rw=rw)
        names = words(tree)
        self._sizes = Sizes(answers, names)
        self.files = Files(answers, self._sizes, Made(answers.store, names), self.writing)
        self._refresh = Refresh(answers, self._sizes, tree)
        self.root = Node("", tree, At(answers.api.root, born_ms, live=live))

    async def children(self, node: Node) -> tuple[Listing, float]:
        """The complete listing of a directory and the seconds for which it holds.

        Raises NotADirectory for a file, and what Comet's answer raises.
        """
        found = self.children_at_hand(node)
        if found is not None:
            return found
        assert isinstance(node.entry, Dir)
        eaches, key = eaches_of(node.entry), self._listing_key(node)
        answers = [await self._answers.wanted(each.source, node.at) for each in eaches]
        grown = [await self._grown(node, each, answer) for each, answer in zip(eaches, answers, strict=True)]
        # Somebody else may have built it while this one waited; what was written meanwhile has another key.
        return self._within(node, self._store.peek(key) or self._keep_listing(key, node, node.entry, answers, grown))

    async def _grown(self, node: Node, each: Each, answer: Held) -> list[Grown]:
        desk = self.writing.desk(node)
        rows = each.rows(answer.value if desk is None else desk.over(answer.value))
        if len(rows) <= _MANY:
            return grow(node, each, rows)
        return await trio.to_thread.run_sync(grow, node, each, rows, abandon_on_cancel=True)

    def children_at_hand(self, node: Node) -> tuple[Listing, float] | None:
        """What `children` returns, where nobody must be asked for it."""
        entry = node.entry
        if not isinstance(entry, Dir):
            raise NotADirectory(f"{node.name} is a file")
        key = self._listing_key(node)
        held = self._store.peek(key)
        if not eaches_of(entry) and (held is None or held.value.at is not node.at):
            # Made anew with its place, it does not keep the rows of a former listing in memory.
            held = self._keep_listing(key, node, entry, (), ())
        if held is not None and self._store.remaining(held) < RENEW_BELOW:
            for each in eaches_of(entry):
                self._answers.warmer.renew(each.source, node.at)
        return None if held is None else self._within(node, held)

    def _within(self, node: Node, held: Held) -> tuple[Listing, float]:
        listing: Listing = held.value
        for part in node.within:
            folder = listing.folders.get(part)
            if folder is None:
                raise NoSuchEntry(f"the folder {'/'.join(node.within)!r} is gone", 0.0)
            listing = folder
        return listing, self._store.remaining(held)

    def _listing_key(self, node: Node) -> Hashable:
        desk = self.writing.desk(node)
        return ("listing", node.entry, node.at.version, node.at.key, desk and desk.revision)

    async def child(self, node: Node, name: str) -> tuple[Node, float]:
        """The child of that name and the seconds for which it holds. Raises NoSuchEntry with its own lease."""
        return self.child_at_hand(node, name) or _named(node, name, *await self.children(node))

    def child_at_hand(self, node: Node, name: str) -> tuple[Node, float] | None:
        """What `child` returns or raises, where nobody must be asked for it."""
        if isinstance(node.entry, Dir) and node.entry.means_it and is_junk(name):
            raise NoSuchEntry(f"nothing here is ever called {name!r}", ACCOUNT)
        found = self.children_at_hand(node)
        return None if found is None else _named(node, name, *found)

    def glance(self, node: Node) -> Attributes:
        """The attributes as far as they are known without asking anybody."""
        entry = node.entry
        desk = self.writing.desk(node)
        if isinstance(entry, Dir):
            modified_ms = (desk and desk.modified_ms) or node.at.modified_ms
            return Attributes("dir", 0, modified_ms, entry.lease(node.at), writable=desk is not None)
        if desk is not None:
            now = desk.latest(node.at.item)
            return Attributes("file", len(now.value), now.modified_ms or node.at.modified_ms, 0.0, writable=True)
        if isinstance(entry, Link):
            return Attributes("link", len(os.fsencode(self.readlink(node))), node.at.modified_ms, LISTING)
        return Attributes("file", *self._sizes.known(entry, node.at))

    def readlink(self, node: Node) -> str:
        """Where a link points to, relative to the directory that it stands in."""
        assert isinstance(node.entry, Link)
        return "../" * (node.entry.up(node.at) + len(node.within)) + node.entry.target(node.at)

    async def attributes(self, node: Node, directory: Node | None = None) -> Attributes:
        """The attributes, the size of a file included, which is fetched if it must be; `directory`: where it stands."""
        seen = self.glance(node)
        if seen.size is None and isinstance(node.entry, File) and (estimate := node.entry.estimate(node.at)):
            return replace(seen, size=estimate, settled=False)
        if seen.size is None:
            if directory is not None:
                self._warm_siblings(directory)
            opened = await self.files.open(node)
            seen = replace(self.glance(node), size=opened.size)
            opened.close()
        return seen

    async def refresh(self, node: Node, above: Sequence[Node]) -> Scope:
        """Forgets what is known at `node` and below it, so that whoever wants it next asks Comet; asks nobody itself.

        `above`: the directories that it lies in, nearest first. What is open stays as it is; what is returned tells of
        which files that is old now.
        """
        return await self._refresh(node, above)

    def listed(self, directory: Node) -> None:
        """Somebody goes through a directory: if he asks for the size of one file, he will ask for that of all."""
        self._store.keep(("listed", directory.identity), True, _GOING_THROUGH, _NODE_BYTES)

    def _warm_siblings(self, directory: Node) -> None:
        """Asks at once, and once, what must be asked to tell the sizes in a directory that somebody goes through."""
        key = ("listed", directory.identity)
        listing = self._store.peek(self._listing_key(directory))
        if listing is None or self._store.peek(key) is None:
            return
        self._store.drop(key)
        wanted = {}
        for node in listing.value.nodes.values():
            entry = node.entry
            if not isinstance(entry, File) or not isinstance(entry.source, Source) or entry.estimate(node.at):
                continue
            if self.glance(node).size is None:
                wanted[entry.source.key(node.at)] = (entry.source, node.at)
        self._answers.warmer.warm(list(wanted.values()))

    def provenance(self, node: Node) -> dict[str, str]:
        """Where the node comes from, by words like "key", "url", "source", "age_s"; asks nobody."""
        found = provenance.of_place(node.at)
        entry = node.entry
        if not isinstance(entry, File):
            return found
        if isinstance(entry.source, Stream):
            body = self._answers.bodies.peek(entry.source.key(node.at))
            return found | provenance.of_file(entry, None if body is None else body.age)
        held = self._answers.peek(entry.source, node.at) if entry.source else None
        return found | provenance.of_file(entry, None if held is None else self._store.age(held))

    def _keep_listing(
        self, key: Hashable, node: Node, entry: Dir, answers: Sequence[Held], grown: Sequence[list[Grown]]
    ) -> Held:
        at = node.at
        fixed = [child for child in entry.entries if not isinstance(child, Each)]
        omitted, left_out = self._omitted(entry, at, fixed)
        lease = Lease(min([entry.lease(at), left_out, *(self._store.remaining(held) for held in answers)]))
        listing = Listing(at, trio.current_time() + lease)
        for child in fixed:
            if child.name not in omitted:
                listed = isinstance(child, Link) or child.listed
                (listing.nodes if listed else listing.unlisted)[child.name] = Node(child.name, child, at)
        for path, grown_node in itertools.chain(*grown):
            graft(listing, path, grown_node, entry, at)
        weight = _NODE_BYTES * (1 + sum(map(len, grown))) + _FIXED_BYTES * len(fixed)
        return self._store.keep(key, listing, lease, weight)

    def _omitted(self, entry: Dir, at: At, fixed: list[File | Dir | Link]) -> tuple[frozenset[str], float]:
        """The names of `fixed` of which an answer at hand says that Comet has nothing, and the seconds for which those
        answers hold: what a run has logged meanwhile must not stay out of sight for longer.

        What a listing has once shown the next ones show too, empty: a file that goes because somebody read it would
        make `diff -r` complain of the copy that `cp -r` just made.
        """
        key = ("omitted", entry, at.key)
        before = self._store.peek(key)
        nothing = {child.name: left for child in fixed if (left := self._left_of_nothing(child, at))}
        omitted = frozenset(nothing if before is None else nothing.keys() & before.value)
        self._store.keep(key, omitted, REMEMBERED, _NODE_BYTES)
        return omitted, min([nothing[name] for name in omitted], default=math.inf)

    def _left_of_nothing(self, entry: File | Dir | Link, at: At) -> float:
        """For how many seconds answers at hand go on saying that Comet has nothing for `entry`; 0 where they do not."""
        if isinstance(entry, Dir):
            eaches = eaches_of(entry) if entry.hides and not entry.writer else []
            left = [self._left_of(each.source, at, lambda answer, rows=each.rows: not rows(answer)) for each in eaches]
            return min(left, default=math.inf if entry.hides else 0.0)
        if isinstance(entry, Link) or not isinstance(entry.source, Source):
            return 0.0
        return self._left_of(entry.source, at, entry.nothing)

    def _left_of(self, source: Source, at: At, nothing: Any) -> float:
        held = self._answers.peek(source, at)
        # A remembered "no such thing" decides nothing here: it is told to who asks for the file.
        told = held is not None and held.error is None and nothing(held.value)
        return self._store.remaining(held) if held is not None and told else 0.0


def _named(node: Node, name: str, listing: Listing, lease: float) -> tuple[Node, float]:
    found = listing.nodes.get(name) or listing.unlisted.get(name)
    if found is None:
        # Of what ended long ago a listing holds for hours; whoever waits for a name looks again after a minute.
        raise NoSuchEntry(f"{node.name or '/'} has no entry {name!r}", min(lease, LISTING))
    return found, lease
