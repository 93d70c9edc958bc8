"""Bodies that are too big for memory: each arrives once, as a stream, into an unnamed file, and is read anywhere.

A body is shared by all that have it open. A complete one is kept: on disk where there is a blob store, else
as long as the process lives, within a budget of bytes. What is arriving has no name, so a crash leaves nothing behind.
Not here: what a body is and where it comes from (vfs/), answers (store.py), the files that stay (blobs.py).
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from pathlib import Path

import trio

from cometfs.cache.downloads.pump import Begin, Piece, pour
from cometfs.cache.downloads.pump import ByteStream as ByteStream  # what `Begin` gives, for callers that make one
from cometfs.cache.downloads.tmpfile import unnamed
from cometfs.cache.memory import Which
from cometfs.cache.persistent.blobs import BlobStore, StoredBlob, Sums
from cometfs.errors import OutOfSpace, Stale, Unreachable
from cometfs.files import write_all

IDLE = 256
"""Bodies that are kept without a reader, at most: each holds a file descriptor."""

NEARLY_DONE = 8 << 20
"""A download with no more than this many bytes to go is finished even without a reader."""


class Body:
    """Bytes that arrive in order, or are on disk. `size` is final as soon as it is known.

    `_changed` is set and replaced whenever `size`, `arrived` or `error` moves. `arriving` is True until the download
    has ended, well or not: until then the file is not closed. `arrived` only grows, unless what lay on disk turns out
    to be damaged: then it begins again.
    """

    def __init__(self, folder: Path | None, blobs: BlobStore | None = None, kept: StoredBlob | None = None) -> None:
        """`folder`: where its unnamed file is; `kept`: a body on disk, without which it arrives. Raises
        OutOfSpace where there is no place for it."""
        self._folder = folder
        self._blobs = blobs
        self._kept = kept
        self._file = kept.file if kept else unnamed(folder)
        self._damaged: StoredBlob | None = None
        """What it was read from before: what arrives now must be the same bytes."""
        self._sums = Sums()
        self.size: int | None = None
        self.arrived = 0
        self._written = 0
        self.error: Exception | None = None
        self.readers = 0
        self.opens = 0
        self.wanted = True
        """False once it was dropped: it gets no place on disk then."""
        self._begun = trio.current_time()
        self.arriving = True
        self.fetch = trio.CancelScope()
        self._changed = trio.Event()
        self.digest = b""
        """Equal for equal bytes; empty until it is kept."""
        self.digest_due = b""
        """What that will be, once all has arrived."""
        self.mend: Callable[[], None] | None = None
        """Begins the download of a body that is damaged on disk."""
        self.make_way: Callable[[int], Awaitable[None]] = _nothing
        """Drops others for so many bytes of this one."""
        if kept is not None:
            self.size = self.arrived = kept.size
            self.digest, self.arriving = kept.sums, False

    @property
    def complete(self) -> bool:
        return self.size is not None and self.arrived >= self.size

    @property
    def is_new(self) -> bool:
        """Whether its first reader has caused the download."""
        return self._kept is None and self.opens == 1

    @property
    def age(self) -> float:
        """Seconds since it was asked for."""
        return trio.current_time() - self._begun

    @property
    def left(self) -> int | None:
        """Bytes that have not arrived, where the size is known."""
        return None if self.size is None else self.size - self.arrived

    async def known_size(self) -> int:
        """Waits until the size in bytes is known; raises what broke the download."""
        await self._until(lambda: self.size is not None)
        assert self.size is not None
        return self.size

    async def read(self, offset: int, length: int) -> bytes:
        """Waits for exactly the bytes asked for (fewer only at the true end); raises what broke the download."""
        size = await self.known_size()
        end = min(offset + length, size)
        if self._kept is not None and end > offset:
            found = await _read(self._kept, offset, end)
            if found is not None:
                return found
            self._begin_again()
        await self._until(lambda: self.arrived >= end)
        return os.pread(self._file.fileno(), max(0, end - offset), offset)

    async def append(self, piece: Piece) -> None:
        """Adds what came next. Raises OutOfSpace."""
        try:
            await trio.to_thread.run_sync(self._add, piece)
        except OSError:
            # What is wanted now goes before what may be wanted again.
            await self.make_way(max(sum(map(len, piece)), (self.size or 0) - self._written))
            await self._add_at_last(piece)
        self._check_the_same()
        # Of what arrives for the second time only whole blocks are known to be the same bytes.
        self.arrived = self._sums.whole if self._damaged else self._written
        self._announce()

    async def _add_at_last(self, piece: Piece) -> None:
        try:
            await trio.to_thread.run_sync(self._add, piece)
        except OSError as error:
            raise OutOfSpace(f"no room for a downloaded file: {error.strerror}") from error

    def end(self) -> None:
        """Nothing comes any more. Raises Unreachable where that is too early."""
        self.digest_due = self._sums.all()
        self._check_the_same()
        self.settle(self._written)
        self.arrived = self._written
        self._announce()

    def _add(self, piece: Piece) -> None:
        write_all(self._file.fileno(), piece, self._written)
        for chunk in piece:
            self._written += len(chunk)
            self._sums.add(chunk)

    def _check_the_same(self) -> None:
        """Raises Stale where a reader may have seen other bytes before: a file never mixes two versions."""
        if self._damaged is not None and not self._sums.agree(self._damaged.sums):
            raise Stale("a file that was damaged in the cache has changed at Comet since: open it again")

    def settle(self, size: int | None) -> None:
        """The size is known now. Raises Unreachable where it is not what a reader was given before."""
        if size is not None and self.size not in (None, size):
            raise Unreachable(f"a download has {size} bytes now instead of {self.size}")
        if size is not None and self.size is None:
            self.size = size
            self._announce()

    def lay(self, key: Hashable) -> None:
        """Gives the complete body a place on disk, if there is one; in a thread."""
        file = self._file.fileno()
        if self._blobs and self._blobs.adopt(key, file, self.arrived, self.digest_due, lambda: self.wanted):
            self.digest = self.digest_due

    def _begin_again(self) -> None:
        """Lets go of what is damaged, and waits for the download like all other readers."""
        if self._kept is None:
            return  # another reader was faster
        assert self.mend is not None
        self._file = unnamed(self._folder)
        self._kept.reject()
        # It stays open: another reader's thread may be looking at it.
        self._damaged, self._kept = self._kept, None
        self.arrived, self.digest, self.arriving = 0, b"", True
        self.mend()

    def fail(self, error: Exception) -> None:
        """No more bytes will come."""
        self.error = error
        self._announce()

    def close(self) -> None:
        self._file.close()
        if self._damaged is not None:
            self._damaged.file.close()

    async def _until(self, met: Callable[[], bool]) -> None:
        while not met():
            if self.error is not None:
                raise self.error.with_traceback(None)
            await self._changed.wait()

    def _announce(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


class Bodies:
    """Bodies by key. A body is in `_kept` iff it has readers, is arriving, or is complete and within the budget.

    One that is dropped while it has readers or arrives is in `_parted` until it is closed.
    """

    def __init__(
        self, loads: trio.Nursery, budget: int, folder: Path | None = None, blobs: BlobStore | None = None
    ) -> None:
        """`budget`: bytes of complete bodies that are kept without a reader and not on disk; `folder`: where the
        unnamed files are; `blobs`: where complete bodies go."""
        self._blobs = blobs
        self._loads = loads
        self._budget = budget
        self._folder = folder
        self._kept: OrderedDict[Hashable, Body] = OrderedDict()
        self._parted: set[Body] = set()

    def peek(self, key: Hashable) -> Body | None:
        """The body under `key`, arriving or arrived, if there is one."""
        return self._kept.get(key)

    def size(self, key: Hashable) -> int | None:
        """The size in bytes of a body at hand or on disk, without a call."""
        body = self._kept.get(key)
        if body is not None:
            return body.size
        return self._blobs.size(key) if self._blobs else None

    async def open(self, key: Hashable, begin: Begin) -> Body:
        """The body under `key` with its size known, begun if it is not at hand; `release` it when done."""
        body = self._kept.get(key)
        if body is None or body.error is not None or body.fetch.cancel_called:
            body = self._kept[key] = self._found(key) or Body(self._folder, self._blobs)
            fetched = body
            body.mend = lambda: self._loads.start_soon(self._fetch, key, fetched, begin)
            body.make_way = self._make_way
            if body.arriving:
                body.mend()
        self._kept.move_to_end(key)
        body.readers += 1
        body.opens += 1
        try:
            await body.known_size()
        except BaseException:
            self.release(key, body)
            raise
        return body

    def _found(self, key: Hashable) -> Body | None:
        stored = self._blobs.open(key) if self._blobs else None
        return None if stored is None else Body(self._folder, self._blobs, stored)

    def release(self, key: Hashable, body: Body) -> None:
        """One reader fewer; an unwanted download with much left to do is given up."""
        body.readers -= 1
        self._settle(key, body)

    def drop_all(self, which: Which) -> None:
        """Forgets those bodies; one that is open is read to its end. What is on disk is the blob store's."""
        for key, body in [(key, body) for key, body in self._kept.items() if which(key)]:
            del self._kept[key]
            self._parted.add(body)
            body.wanted = False
            self._settle(key, body)

    def close(self) -> None:
        """Closes every file; for when the nursery of loads has ended and no reader is left."""
        for body in (*self._kept.values(), *self._parted):
            body.close()
        self._kept.clear()
        self._parted.clear()

    async def _fetch(self, key: Hashable, body: Body, begin: Begin) -> None:
        with body.fetch:
            try:
                async with begin() as stream:
                    body.settle(stream.size)
                    await pour(stream, body.append)
                body.end()
                if self._blobs is not None:
                    await trio.to_thread.run_sync(body.lay, key)
                    self._blobs.changed()
            except Exception as error:  # its readers get it, a bug too; the nursery of all loads lives on
                body.fail(error)
        body.arriving = False
        if not body.complete and body.error is None:
            body.fail(Unreachable("the download was given up"))
        self._settle(key, body)

    def _settle(self, key: Hashable, body: Body) -> None:
        """Keeps, gives up or closes a body that just lost its last reader or its download."""
        if body.readers:
            return
        if body.arriving:
            # The file stays open until the download has really ended: a thread may be writing to it.
            if body.left is None or body.left > NEARLY_DONE:
                body.fetch.cancel()
        elif body.error is not None or body.digest or self._kept.get(key) is not body:
            self._drop(key, body)
        else:
            self._make_room()

    def _drop(self, key: Hashable, body: Body) -> None:
        if self._kept.get(key) is body:
            del self._kept[key]
        self._parted.discard(body)
        body.close()

    async def _make_way(self, wanted: int) -> None:
        for key, body in self._idle():
            self._drop(key, body)
        if self._blobs is not None:
            await trio.to_thread.run_sync(self._blobs.make_way, wanted)

    def _idle(self) -> list[tuple[Hashable, Body]]:
        return [(key, body) for key, body in self._kept.items() if not body.readers and not body.arriving]

    def _make_room(self) -> None:
        idle = self._idle()
        total = sum(body.arrived for _, body in idle)
        for count, (key, body) in zip(range(len(idle), 0, -1), idle, strict=True):
            if total <= self._budget and count <= IDLE:
                return
            total -= body.arrived
            self._drop(key, body)


async def _nothing(_wanted: int) -> None:
    """There is nothing to drop."""


async def _read(kept: StoredBlob, offset: int, end: int) -> bytes | None:
    if kept.seen(offset, end):
        return kept.read(offset, end)
    return await trio.to_thread.run_sync(kept.read, offset, end)
