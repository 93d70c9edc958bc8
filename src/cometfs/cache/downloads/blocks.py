"""Blocks of big bodies: the ones used last in memory, all of them on disk as far as there is room.

A block on disk is a body of its own: it counts and is evicted by itself, is verified when it is read, outlives its
process, and is shared by all mounts of an account. So a body that is bigger than the cache can be read, and what is
fetched of it stays. Not here: which blocks are fetched (parts.py), the files (cache/persistent/blobs.py).
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Hashable
from contextlib import closing
from pathlib import Path

import trio

from cometfs.cache.downloads.tmpfile import unnamed
from cometfs.cache.memory import Which
from cometfs.cache.persistent.blobs import BLOCK as BLOCK
from cometfs.cache.persistent.blobs import BlobStore, checksum
from cometfs.errors import OutOfSpace
from cometfs.files import write_all

log = logging.getLogger(__name__)

MEMORY = 96 << 20
"""Bytes of blocks in memory, for all readers: what a reader reads now, and what has just arrived."""


class Blocks:
    """Blocks by key. A block is in memory, on disk, in both or nowhere: it may be evicted at any time."""

    def __init__(self, folder: Path, blobs: BlobStore, memory: int = MEMORY) -> None:
        """`folder`: where files are before they have a name; `memory` in bytes."""
        self._folder, self._blobs, self._room = folder, blobs, memory
        self._held: OrderedDict[Hashable, bytes] = OrderedDict()
        self._refused = False
        """Whether the disk did not take the last block."""

    def has(self, key: Hashable) -> bool:
        """Whether the block is at hand, as far as the index knows."""
        return key in self._held or self._blobs.size(key) is not None

    def peek(self, key: Hashable) -> bytes | None:
        """The block, if it is in memory."""
        if key in self._held:
            self._held.move_to_end(key)
        return self._held.get(key)

    async def load(self, key: Hashable) -> bytes | None:
        """The block; None where it is nowhere, or not what was kept."""
        found = self.peek(key)
        if found is None and (found := await self._from_disk(key)) is not None:
            self._hold(key, found)
        return found

    async def _from_disk(self, key: Hashable) -> bytes | None:
        stored = self._blobs.open(key)
        if stored is None:
            return None
        with closing(stored.file):
            found = await trio.to_thread.run_sync(stored.read, 0, stored.size)
            if found is None:
                stored.reject()
            return found

    async def keep(self, key: Hashable, block: bytes) -> None:
        """Holds a block, and lays it on the disk. Where that has no room, readers go on without."""
        self._hold(key, block)
        refused = not await trio.to_thread.run_sync(self._lay, key, block)
        if refused and not self._refused:
            log.warning("The cache has no room for what is read of big files: it is read from Comet each time")
        self._refused = refused
        self._blobs.changed()

    def _hold(self, key: Hashable, block: bytes) -> None:
        self._room += len(self._held.pop(key, b"")) - len(block)
        self._held[key] = block
        while self._room < 0 and len(self._held) > 1:
            self._room += len(self._held.popitem(last=False)[1])

    def _lay(self, key: Hashable, block: bytes) -> bool:
        """Whether the disk took it; in a thread."""
        if self._laid(key, block):
            return True
        self._blobs.make_way(len(block))
        return self._laid(key, block)

    def _laid(self, key: Hashable, block: bytes) -> bool:
        try:
            with closing(unnamed(self._folder)) as file:
                write_all(file.fileno(), [block], 0)
                return self._blobs.adopt(key, file.fileno(), len(block), checksum(block))
        except (OSError, OutOfSpace):
            return False

    def drop_all(self, which: Which) -> None:
        """Forgets the blocks in memory under those keys; what is on disk is the blob store's."""
        for key in [key for key in self._held if which(key)]:
            self._room += len(self._held.pop(key))
