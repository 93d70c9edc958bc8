"""The engine: what is shown of a mounted Comet, in words that no kernel taught it.

One flow: a face asks for the children of a `Node` (listings.py), its bytes (files.py) or its attributes; the engine
finds the declaration that stands there and asks the store for its source's answer, which asks Comet if it must. Here
its parts are put together, and stands what is shown of a node itself. Not here: the declaration (layout/), the values
that go in and out (nodes.py), inodes and errnos (fuse/).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from cometfs.lease import LISTING, RUNNING, Lease
from cometfs.telemetry.gauges import Gauges
from cometfs.telemetry.metrics import Meters
from cometfs.vfs.answers.prefetch import Prefetcher
from cometfs.vfs.answers.resolver import AnswerResolver
from cometfs.vfs.engine.concurrent import ConcurrentReads
from cometfs.vfs.engine.cost.estimate import Cost, Estimate
from cometfs.vfs.engine.files import Files
from cometfs.vfs.engine.invalidation import AnswerInvalidation
from cometfs.vfs.engine.listings import Listings
from cometfs.vfs.engine.size_prefetch import SizePrefetch
from cometfs.vfs.engine.sizes import Sizes
from cometfs.vfs.engine.walk_prefetch import TOGETHER, Pace, WalkPrefetch
from cometfs.vfs.nodes import Attributes, Node, Opened, OpenedBody
from cometfs.vfs.schema import names
from cometfs.vfs.schema.declaration import Context, Dir, File, Link, Source, Stream, for_eaches_of
from cometfs.vfs.schema.markdown import words
from cometfs.vfs.sources import provenance
from cometfs.vfs.writeback.policy import WritePolicy
from cometfs.vfs.writeback.scratch import ENTRY as SCRATCH

LINK_BYTES = 4095
"""The size that `lstat` shows of a link that must be asked for where it points to: fixed, as in /proc. It is that of
the longest target, because programs (cpio, libarchive) have readlink() fill a buffer of this size, and what does not
fit is cut without a word."""


class Vfs:
    """A mounted Comet: nodes in, children, attributes and bytes out."""

    def __init__(
        self,
        answers: AnswerResolver,
        prefetcher: Prefetcher,
        tree: Dir,
        *,
        rw: bool = False,
        allow_delete: bool = False,
        live: Lease = RUNNING,
        gauges: Gauges | None = None,
        meters: Meters | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`rw`: whether what is declared writable is so; `allow_delete`: and experiments can be removed; `live`: how
        long answers about an experiment hold that may be running; `gauges`, `meters`: what `.cometfs/status.json` and
        `.cometfs/metrics` show, to which a face adds its own; `wall`: seconds since 1970."""
        self.gauges: Gauges = {} if gauges is None else gauges
        self.meters: Meters = {} if meters is None else meters
        self.metrics = answers.metrics
        """The text of `.cometfs/metrics`."""
        self._answers = answers
        self.api = answers.api
        """With which changes are sent."""
        self._store = answers.store
        self.error_log = answers.error_log
        """What `.cometfs/errors.log` shows."""
        self._sizes = Sizes(answers, words(tree), wall)
        at = Context(answers.api.root, 0.0, live=live)
        self.root = Node("", tree, replace(at, modified_ms=self._sizes.born_ms(at)))
        self.writing = WritePolicy(answers, rw=rw, deletes=allow_delete)
        self.listings = Listings(answers, prefetcher, self.writing)
        self._size_prefetch = SizePrefetch(
            answers.store, prefetcher, self.listings, lambda node: self.glance(node).size is None
        )
        self._walk_prefetch = WalkPrefetch(answers, prefetcher, self.listings)
        self.files = Files(answers, self._sizes, self.writing)
        self.concurrent = ConcurrentReads(answers)
        """For a face whose program has many tasks."""
        self.refresh = AnswerInvalidation(answers, self._sizes, self.listings.omitted, tree)
        answers.relist = self.refresh.relist

    async def status(self) -> Mapping[str, Any]:
        """What `.cometfs/status.json` shows."""
        return await self._answers.status()

    def glance(self, node: Node) -> Attributes:
        """The attributes as far as they are known without a call."""
        entry = node.entry
        buffer = self.writing.buffer(node)
        if isinstance(entry, Dir):
            modified_ms = (buffer and buffer.modified_ms) or node.at.modified_ms
            return Attributes("dir", 0, modified_ms, entry.lease(node.at))
        if buffer is not None:
            now = buffer.latest(node.at.item)
            modified_ms = now.modified_ms or self._sizes.modified_ms(cast(File, entry), node.at, now.value)
            return Attributes("file", len(now.value), modified_ms, 0.0)
        if entry is SCRATCH:
            return Attributes("file", self.writing.scratch.size(node), node.at.modified_ms, 0.0)
        if isinstance(entry, Link):
            size = LINK_BYTES if entry.source else len(names.encoded(_target(node, entry, node.at)))
            return Attributes("link", size, node.at.modified_ms, LISTING)
        return Attributes("file", *self._sizes.known(entry, node.at))

    async def readlink(self, node: Node) -> str:
        """Where a link points to, relative to the directory that it stands in. Raises what Comet's answer raises."""
        found = self.readlink_nowait(node)
        if found is not None:
            return found
        entry = cast(Link, node.entry)
        answer = await self._answers.wanted(cast(Source, entry.source), node.at)
        return _target(node, entry, answer.value)

    def readlink_nowait(self, node: Node) -> str | None:
        """The same, where no call is needed."""
        entry = cast(Link, node.entry)
        if entry.source is None:
            return _target(node, entry, node.at)
        held = self._answers.wanted_nowait(entry.source, node.at)
        return None if held is None else _target(node, entry, held.value)

    async def attributes(self, node: Node, directory: Node | None = None) -> Attributes:
        """The attributes, the size of a file included, which is fetched if it must be; `directory`: where it stands."""
        seen = self.glance(node)
        if seen.size is None:
            if directory is not None:
                await self._size_prefetch.missed(directory, node)
            opened = await self.files.open(node)
            seen = replace(self.glance(node), size=opened.size)
            opened.close()
        return seen

    def listed(self, directory: Node, count: int = 0, program: int = 0, number: int = 0) -> None:
        """A program lists a directory of so many entries, which `closed` tells the end of: it may ask for the sizes of
        all in it, or read them. `number`: its inode's."""
        self._size_prefetch.opened(directory)
        self._walk_prefetch.listed(directory, count, program, number)

    def closed(self, directory: Node) -> None:
        """It has listed it."""
        self._size_prefetch.closed(directory)

    def reads(self, node: Node, directory: Node, program: int = 0) -> None:
        """A program is about to read a file, or has got what is at hand."""
        self._walk_prefetch.reads(node, directory, program)

    def has_opened(self, node: Node, directory: Node, opened: Opened, program: int = 0) -> None:
        """A program has opened a file that was not at hand."""
        if isinstance(opened, OpenedBody):
            self._walk_prefetch.waited(node, directory, opened, program)

    async def gather(
        self, experiments: Sequence[Node], wanted: Callable[[Node, str], bool], *, bodies: bool = True
    ) -> None:
        """Fetches experiments of one project for a program that will read them whole, as far as names in them are
        wanted; `bodies`: and their small bodies."""
        await self._walk_prefetch.gather(experiments, wanted, bodies=bodies)

    async def gather_files(self, directory: Node, files: Sequence[Node]) -> None:
        """Fetches what one question brings of several files of a directory, for a program that will read them all."""
        await self._size_prefetch.gather(directory, files)

    async def settle(self) -> None:
        """Returns when other processes find on disk what was fetched so far."""
        await self._store.settle()

    def expect(self, node: Node) -> None:
        """A program will read all of a directory: several metrics of an experiment come in one call then."""
        if node.at.experiment is not None:
            self._walk_prefetch.expect_all(node.at)

    async def cost(self, nodes: Sequence[Node], calls: int, *, pace: Pace = TOGETHER) -> Cost:
        """What reading them whole would cost now. Makes so many calls at most to find out. Raises what they raise."""
        return await Estimate(self._answers, calls, pace).of(nodes)

    def provenance(self, node: Node, above: Iterable[Node] = ()) -> dict[str, str]:
        """Where the node comes from, by words like "key", "url", "source", "age_s"; makes no call. `above`: the
        directories that it lies in, nearest first: what is declared is as old as their listings."""
        entry, found = node.entry, provenance.of_place(node.at)
        found |= provenance.of_file(entry) if isinstance(entry, File) else {}
        if isinstance(entry, File) and isinstance(entry.source, Source):
            return found | self._age(node, [entry.source])
        listed: Iterator[dict[str, str]] = (self._age(one, _listed_by(one)) for one in (node, *above))
        return found | next(filter(None, listed), {}) | self._age_of_body(node)

    def _age(self, node: Node, sources: Iterable[Source]) -> dict[str, str]:
        """The age of the oldest of those answers, and whether one is stale; empty where none is at hand."""
        # While Comet is away, what is on disk is shown whatever its lease.
        recall = self._store.recall if self._store.connectivity.away else self._store.peek
        held = [one for one in (recall(source.key(node.at)) for source in sources) if one is not None]
        if not held:
            return {}
        return provenance.of_answers(node.entry, max(map(self._store.age, held)), stale=any(one.stale for one in held))

    def _age_of_body(self, node: Node) -> dict[str, str]:
        """The same of a body: it is never changed, but may not be listed any more."""
        source = node.entry.source if isinstance(node.entry, File) else None
        body = self._answers.bodies.peek(source.key(node.at)) if isinstance(source, Stream) else None
        return {} if body is None else {"cached": "true", "age_s": f"{body.age:.0f}"}


def _listed_by(node: Node) -> list[Source]:
    """What a directory's listing is made of."""
    eaches = for_eaches_of(node.entry) if isinstance(node.entry, Dir) else []
    return [each.source for each in eaches if each.source is not None]


def _target(node: Node, entry: Link, known: Any) -> str:
    """`known`: what it points to is made of."""
    return "../" * (entry.up(node.at) + len(node.within)) + entry.target(known)
