"""Blocks of big bodies: the ones used last in memory, all of them on disk as far as there is room.

A block on disk is a body of its own: it counts and is evicted by itself, is verified when it is read, outlives its
process, and is shared by all mounts of an account. So a body that is bigger than the cache can be read, and what is
fetched of it stays. Not here: which blocks are fetched (parts.py), the files (cache/persistent/blobs.py).
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from contextlib import suppress

import trio

from cometfs.cache.memory import Which
from cometfs.cache.persistent.blobs import BLOCK as BLOCK
from cometfs.cache.persistent.blobs import BlobStore
from cometfs.cache.persistent.stored_blocks import Flaw, Summed, read_all
from cometfs.host.buffers import Block
from cometfs.telemetry.gauges import Lookups

log = logging.getLogger(__name__)

MEMORY = 96 << 20
"""Bytes of blocks in memory, for all readers: what a reader reads now, and what has just arrived."""

BEHIND = 16
"""Blocks that may wait for the disk, of all readers. Each fetch waits from then on: what arrives faster than the disk
takes it would fill the memory."""

BATCH = 4
"""Blocks that one trip to a thread brings from the disk: a trip costs less than to read one, but not by much."""

LOADING = 32
"""Blocks on their way from the disk, of all readers, from which on no more are loaded ahead of any: they would push
each other out of the memory before they are read."""


class Blocks:
    """Blocks by key. A block is in memory, on disk, in both or nowhere: it may be evicted at any time."""

    def __init__(self, blobs: BlobStore, loads: trio.Nursery, memory: int = MEMORY) -> None:
        """`loads`: for what is written behind; `memory` in bytes."""
        self._blobs, self._loads, self._room = blobs, loads, memory
        self.lookups = Lookups()
        """Blocks that readers wanted."""
        self._held: OrderedDict[Hashable, Block] = OrderedDict()
        self._loading: dict[Hashable, trio.Event] = {}
        """What is on its way from the disk: the kernel asks for the parts of a block together, and once is enough."""
        self._due: dict[Hashable, Summed] = {}
        """What waits for its turn to be written, ..."""
        self._being_written: dict[Hashable, Summed] = {}
        """... and what is written now. Until it is on disk it is at hand, although newer blocks may need its memory."""
        self._writes = False
        """Whether a task writes, iff something is due or written."""
        self._written = trio.Event()
        """Set and replaced when what is due is taken to be written."""
        self._refused = False
        """Whether the disk did not take a block, which is logged once: it may take every other one."""

    def has(self, key: Hashable) -> bool:
        """Whether the block is at hand, as far as the index knows."""
        return self.peek(key) is not None or self._blobs.size(key) is not None

    def kept(self, keys: Iterable[Hashable]) -> list[Hashable]:
        """Which of them are at hand, found out with one question to the index."""
        keys = list(keys)
        stored = self._blobs.kept(keys)
        return [key for key in keys if key in stored or self.peek(key) is not None]

    def peek(self, key: Hashable) -> Block | None:
        """The block, if it is in memory."""
        if key in self._held:
            self._held.move_to_end(key)
            return self._held[key]
        waiting = self._due.get(key) or self._being_written.get(key)
        return waiting and waiting.block

    async def load(self, key: Hashable) -> Block | None:
        """The block; None where it is nowhere, or not what was kept."""
        while (found := self.peek(key)) is None and (loading := self._loading.get(key)) is not None:
            await loading.wait()
        if found is None:
            found = (await self._from_disk([key], self._begin_loading([key]))).get(key)
        return found

    def load_ahead(self, keys: Iterable[Hashable]) -> None:
        """Has those of the blocks in memory soon that are on disk."""
        wanted = [key for key in keys if key not in self._loading and self.peek(key) is None]
        for begin in range(0, len(wanted), BATCH):
            batch = wanted[begin : begin + BATCH]
            self._loads.start_soon(self._ahead, batch, self._begin_loading(batch))

    async def _ahead(self, keys: Sequence[Hashable], loaded: trio.Event) -> None:
        try:
            await self._from_disk(keys, loaded)
        except Exception:  # nothing waits for this task; a reader that comes tries it itself
            log.exception("bug in loading blocks from the cache")

    def is_loading_enough(self) -> bool:
        """Whether so much is on its way from the disk that what is only ahead must wait."""
        return len(self._loading) >= LOADING

    def _begin_loading(self, keys: Sequence[Hashable]) -> trio.Event:
        loaded = trio.Event()
        self._loading.update(dict.fromkeys(keys, loaded))
        return loaded

    async def _from_disk(self, keys: Sequence[Hashable], loaded: trio.Event) -> Mapping[Hashable, Block]:
        """Those of the blocks that are what was kept; they are held from now on."""
        try:
            stored = self._blobs.blocks(keys)
            read = await trio.to_thread.run_sync(read_all, stored)
        finally:
            for key in keys:
                del self._loading[key]
            loaded.set()
        for key, flaw in read.items():
            if isinstance(flaw, Flaw):
                self._blobs.lost(stored[key], flaw)
        found = {key: block for key, block in read.items() if not isinstance(block, Flaw)}
        for key, block in found.items():
            self._blobs.bytes_read["block"] += len(block)
            self.hold(key, block)
        return found

    def keep(self, key: Hashable, fresh: Summed) -> None:
        """Holds a block, and has it written to the disk later.

        Blocks that come while others are written are written together: a transaction costs more than a block.
        """
        self.hold(key, fresh.block)
        self._due[key] = fresh
        if not self._writes:
            self._writes = True
            self._loads.start_soon(self._write)

    def has_room(self) -> bool:
        """Whether the disk keeps up with what comes."""
        return len(self._due) <= BEHIND

    async def room(self) -> None:
        """Waits while much waits for the disk."""
        while not self.has_room():
            await self._written.wait()

    async def _write(self) -> None:
        """Writes all that is due, also when the mount ends: what has come stays. Where the disk has no room, readers go
        on without."""
        try:
            with trio.CancelScope(shield=True):
                while self._due:
                    await self._write_due()
        finally:
            self._writes = False

    async def _write_due(self) -> None:
        due, self._due = self._due, {}
        self._being_written = due
        self._written.set()
        self._written = trio.Event()
        refused = False
        try:
            refused = not await trio.to_thread.run_sync(self._lay, due)
        except Exception:  # nothing waits for this task: the nursery of all loads lives on
            log.exception("bug in writing blocks to the cache")
        finally:
            self._being_written = {}
        if refused and not self._refused:
            log.warning("The cache has no room for what is read of big files: it is read from Comet each time")
        self._refused = self._refused or refused
        self._blobs.changed()

    def hold(self, key: Hashable, block: Block) -> None:
        """Has a block in memory, for a while."""
        self._room += len(self._held.pop(key, b"")) - len(block)
        self._held[key] = block
        while self._room < 0 and len(self._held) > 1:
            self._room += len(self._held.popitem(last=False)[1])

    def _lay(self, blocks: Mapping[Hashable, Summed]) -> bool:
        """Whether the disk took them; in a thread."""
        return self._blobs.lay(blocks) or all(self._laid(*one) for one in blocks.items())

    def _laid(self, key: Hashable, fresh: Summed) -> bool:
        with suppress(OSError):
            self._blobs.make_way(len(fresh.block))
        return self._blobs.lay({key: fresh})

    def drop_all(self, which: Which) -> None:
        """Forgets the blocks in memory under those keys; what is on disk is the blob store's."""
        for key in [key for key in self._due if which(key)]:
            del self._due[key]
        for key in [key for key in self._held if which(key)]:
            self._room += len(self._held.pop(key))
