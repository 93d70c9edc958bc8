"""Sizes of a directory's files, asked for together by programs that go through it (`ls -l`, `du`, `find -size`).

The kernel asks for the size of one file after the other, and each that is not known costs a call. While a directory is
open, the first such question brings those of all its files. After it was closed (a shell's `*`, `os.listdir`), the
second one does: `ls` and then `stat` of one file costs the call of that file. Not here: what is known (sizes.py), and
the asking (prefetch.py).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from cometfs.cache.store import Store
from cometfs.lease import Lease
from cometfs.vfs.answers.abreast import Question
from cometfs.vfs.answers.prefetch import Prefetcher
from cometfs.vfs.engine.listings import Listings
from cometfs.vfs.keys import Key
from cometfs.vfs.nodes import NODE_BYTES, Node
from cometfs.vfs.schema.declaration import File, Source

GOING_THROUGH = Lease(10.0)
"""For how long a program that listed a directory is taken to go through it."""


class _Pass(NamedTuple):
    """A program's way through a directory: whether it has it open, and the file whose size was asked for first."""

    is_open: bool
    first: str | None = None


_OPEN, _CLOSED = _Pass(is_open=True), _Pass(is_open=False)
"""One each for all directories: a walk lists thousands."""


class SizePrefetch:
    """Remembers which directories were listed just now, and asks once for the sizes of each."""

    def __init__(
        self, store: Store, prefetcher: Prefetcher, listings: Listings, lacks_size: Callable[[Node], bool]
    ) -> None:
        self._prefetcher = prefetcher
        self._store = store
        self._listings = listings
        self._lacks_size = lacks_size

    def opened(self, directory: Node) -> None:
        """A program lists the directory."""
        self._keep(directory, _OPEN, Lease(math.inf))

    def closed(self, directory: Node) -> None:
        """It has the whole list."""
        if self._store.peek(_key(directory)) is not None:
            self._keep(directory, _CLOSED, GOING_THROUGH)

    async def missed(self, directory: Node, node: Node) -> None:
        """A program waits for the size of `node`: asks for all that lack theirs, where it goes through them.

        Returns at once, unless one question is for several of them: the program's own answer comes with that.
        """
        listing, held = self._listings.peek(directory), self._store.peek(_key(directory))
        if listing is None or held is None:
            return
        going: _Pass = held.value
        if going.is_open or going.first not in (None, node.name):
            self._store.drop(_key(directory))
            asked = [question for one in listing.nodes.values() for question in self._questions(one)]
            whole = {one.together for one, _ in asked if isinstance(one, Source) and one.together}
            alone = [(one, at) for one, at in asked if not isinstance(one, Source) or one.together is None]
            self._prefetcher.warm(list({source.key(at): (source, at) for source, at in alone}.values()))
            for source in whole:
                await self._prefetcher.ask(source, directory.at)
        elif going.first is None:
            self._keep(directory, _Pass(False, node.name), GOING_THROUGH)

    async def gather(self, directory: Node, files: Sequence[Node]) -> None:
        """Asks for what one question brings of several of a directory's files, which will all be read."""
        asked = [one for node in files for one, _ in self._questions(node) if isinstance(one, Source)]
        for source, count in Counter(one.together for one in asked).items():
            if source is not None and count > 1:
                await self._prefetcher.ask(source, directory.at)

    def _questions(self, node: Node) -> list[Question]:
        """What must be asked to tell the size of a file, if anything."""
        entry = node.entry
        if not isinstance(entry, File) or entry.source is None:
            return []
        return [(entry.source, node.at)] if self._lacks_size(node) else []

    def _keep(self, directory: Node, going: _Pass, lease: Lease) -> None:
        self._store.keep(_key(directory), going, lease, NODE_BYTES)


def _key(directory: Node) -> Key:
    return Key.walk(directory.entry, directory.within, directory.at.key)
