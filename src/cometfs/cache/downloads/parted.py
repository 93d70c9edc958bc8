"""All big bodies that are open, and what they share: the blocks, and the places for parts that arrive.

Not here: one of them (parts.py), bodies that come as one stream (downloads.py).
"""

from __future__ import annotations

from collections.abc import Hashable

import trio

from cometfs.cache.downloads.blocks import Blocks
from cometfs.cache.downloads.fetch import AskPart, Slots
from cometfs.cache.downloads.parts import KeyOf, PartedBody
from cometfs.cache.memory import Which

SLOTS = 16
"""Parts that arrive at once, of all bodies."""


class PartedBodies:
    """Big bodies by key. A body is in `_open` iff it has readers."""

    def __init__(self, loads: trio.Nursery, blocks: Blocks) -> None:
        self._loads, self._blocks = loads, blocks
        self.lookups = blocks.lookups
        self._slots = Slots(SLOTS)
        self._open: dict[Hashable, PartedBody] = {}

    def peek(self, key: Hashable) -> PartedBody | None:
        """The body under `key`, if a program has it open."""
        return self._open.get(key)

    def open(self, key: Hashable, size: int, etag: str | None, key_of: KeyOf, ask: AskPart) -> PartedBody:
        """The body under `key`; `release` it when done."""
        body = self._open.get(key)
        if body is None or body.error is not None:
            # One that has changed is another one from now on, of a version that is not known yet.
            etag = etag if body is None else None
            body = self._open[key] = PartedBody(size, etag, key_of, ask, self._blocks, self._loads, self._slots)
        body.readers += 1
        return body

    def release(self, key: Hashable, body: PartedBody) -> None:
        """One reader fewer; what is fetched for the last one is given up, and what has come of it stays."""
        body.readers -= 1
        if not body.readers:
            body.give_up()
            if self._open.get(key) is body:
                del self._open[key]

    def drop_all(self, which: Which) -> None:
        """Forgets those bodies; one that is open is read to its end. What is on disk is the blob store's."""
        for key in [key for key in self._open if which(key)]:
            del self._open[key]
        self._blocks.drop_all(which)
