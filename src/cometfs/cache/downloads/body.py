"""One body: it arrives once, as a stream, into memory or an unnamed file, and is read anywhere.

Not here: all of them (downloads.py), and what stays on disk (blobs.py).
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Hashable
from pathlib import Path
from typing import BinaryIO

import trio

from cometfs.cache.downloads.again import Again
from cometfs.cache.downloads.pump import ByteStream, Piece, ended
from cometfs.cache.downloads.tmpfile import unnamed
from cometfs.cache.persistent.blobs import BlobStore, StoredBlob, Sums, Whole
from cometfs.caller import PROGRESS
from cometfs.errors import OutOfFiles, OutOfSpace, Stale, Unreachable, no_place
from cometfs.host.files import write_all


class Body:
    """Bytes that arrive in order, or are on disk. `size` is final as soon as it is known. A small one is in memory once
    it has come.

    `_changed` is set and replaced whenever `size`, `arrived` or `error` moves. `arriving` is True until the download
    has ended, well or not: until then the file is not closed. `arrived` only grows, unless what lay on disk turns out
    to be damaged: then it begins again.
    """

    def __init__(self, folder: Path | None, blobs: BlobStore | None = None, kept: StoredBlob | None = None) -> None:
        """`folder`: where its unnamed file is; `kept`: a body on disk, without which it arrives."""
        self._folder = folder
        self._blobs = blobs
        self._kept = kept
        self._file = kept.file if kept else None
        """None where there is nothing to write yet, and of a small body, but while it gets its place."""
        self._small: bytearray | None = None
        """What has come of a small one."""
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
    def version(self) -> Hashable:
        """Equal for equal bytes: known as soon as all has arrived."""
        return self.digest or self.digest_due or id(self)

    @property
    def is_new(self) -> bool:
        """Whether its first reader has caused the download."""
        return self._kept is None and self.opens == 1

    @property
    def is_light(self) -> bool:
        """Whether it is in memory, and needs no file."""
        return self._small is not None

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
                self._kept.count(len(found))
                return found
            self._begin_again()
        await self._until(lambda: self.arrived >= end)
        return self._come(offset, end) if end > offset else b""

    def read_nowait(self, offset: int, length: int) -> bytes | None:
        """The same, where it is in memory."""
        if self._small is None or self.error is not None or not self.complete:
            return None
        return self._part(offset, offset + length)

    def _part(self, offset: int, end: int) -> bytes:
        assert self._small is not None
        return bytes(self._small[offset:end])

    def _opened(self) -> BinaryIO:
        """Its file. Raises OutOfSpace where there is no place for it, and OutOfFiles."""
        if self._file is None:
            self._file = unnamed(self._folder)
        return self._file

    async def gather(self, stream: ByteStream) -> None:
        """Takes in a small body, in memory."""
        self._small = bytearray() if self._small is None else self._small
        async with ended(aiter(stream)) as chunks:
            async for chunk in chunks:
                self._small += chunk
                self._count(chunk)
                self._advance()

    def again(self, stream: ByteStream) -> ByteStream:
        """What is missing of it, from a stream that begins at the front; for one that has broken."""
        return Again(stream, self._written, self._come) if self._written else stream

    def _come(self, offset: int, end: int) -> bytes:
        if self._small is not None:
            return self._part(offset, end)
        return os.pread(self._opened().fileno(), end - offset, offset)

    async def append(self, piece: Piece) -> None:
        """Adds what came next. Raises OutOfSpace and OutOfFiles."""
        try:
            await trio.to_thread.run_sync(self._add, piece)
        except (OSError, OutOfSpace, OutOfFiles):
            # What is wanted now goes before what may be wanted again.
            await self.make_way(max(sum(map(len, piece)), (self.size or 0) - self._written))
            await self._add_at_last(piece)
        self._advance()

    def _advance(self) -> None:
        self._check_the_same()
        # Of what arrives for the second time only whole blocks are known to be the same bytes.
        self.arrived = self._sums.whole if self._damaged else self._written
        self._announce()

    async def _add_at_last(self, piece: Piece) -> None:
        try:
            await trio.to_thread.run_sync(self._add, piece)
        except OSError as error:
            raise no_place(error, "a downloaded file") from error

    def end(self) -> None:
        """Nothing comes any more. Raises Unreachable where that is too early."""
        self.digest_due = self._sums.all()
        self._check_the_same()
        self.settle(self._written)
        self.arrived = self._written
        self._announce()

    def _add(self, piece: Piece) -> None:
        write_all(self._opened().fileno(), piece, self._written)
        for chunk in piece:
            self._count(chunk)

    def _count(self, chunk: bytes) -> None:
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

    def whole(self, key: Hashable) -> Whole | None:
        """The complete body in its file, to be given a place; None where there is no room for it. In a thread."""
        try:
            file = self._opened().fileno()
            if self._small is not None:
                write_all(file, [bytes(self._small)], 0)
        except (OSError, OutOfSpace, OutOfFiles):
            return None
        return Whole(key, file, self.arrived, self.digest_due, lambda: self.wanted)

    def _begin_again(self) -> None:
        """Lets go of what is damaged, and waits for the download like all other readers."""
        if self._kept is None:
            return  # another reader was faster
        assert self.mend is not None
        self._file = None
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
        self.close_file()
        if self._damaged is not None:
            self._damaged.file.close()

    def close_file(self) -> None:
        """It is not needed any more, or for now."""
        if self._file is not None:
            self._file.close()
            self._file = None

    async def _until(self, met: Callable[[], bool]) -> None:
        while not met():
            if self.error is not None:
                raise self.error.with_traceback(None)
            whole = self._sums.whole
            await self._changed.wait()
            if self._sums.whole > whole:
                PROGRESS.get()()

    def _announce(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


async def _nothing(_wanted: int) -> None:
    """There is nothing to drop."""


async def _read(kept: StoredBlob, offset: int, end: int) -> bytes | None:
    if kept.seen(offset, end):
        return kept.read(offset, end)
    return await trio.to_thread.run_sync(kept.read, offset, end)
