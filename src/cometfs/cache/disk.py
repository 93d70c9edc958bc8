"""Bodies that are too big for memory: each arrives once, as a stream, into an unnamed file, and is read anywhere.

A body is shared by all who have it open. What has arrived completely is kept: on disk where there is a library, else
as long as the process lives, within a budget of bytes. What is arriving has no name, so a crash leaves nothing behind.
Not here: what a body is and where it comes from (tree/), answers (store.py), the files that stay (library.py).
"""

from __future__ import annotations

import os
import tempfile
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import BinaryIO, Protocol

import trio

from cometfs.cache.library import Library, Lying, Sums
from cometfs.errors import OutOfSpace, Unreachable

CHUNK = 1 << 20
"""Bytes gathered before one write: a trip to a thread costs 0.1 ms, which 1 MiB hides."""

IDLE = 256
"""Bodies that are kept for nobody, at most: each holds a file descriptor."""

NEARLY_DONE = 8 << 20
"""A download with no more than this many bytes to go is finished even when nobody waits for it any more."""


class Stream(Protocol):
    """A body on its way: its size in bytes where the sender told it, then the bytes."""

    @property
    def size(self) -> int | None: ...

    def __aiter__(self) -> AsyncIterator[bytes]: ...


Begin = Callable[[], AbstractAsyncContextManager[Stream]]


class Body:
    """Bytes that arrive in order, or lie on disk. `size` is final as soon as it is known.

    `_changed` is set and replaced whenever `size`, `arrived` or `error` moves. `arriving` is True until the download
    has ended, well or not: until then the file is not closed. `arrived` only grows, unless what lay on disk turns out
    to be damaged: then it begins again.
    """

    def __init__(self, file: BinaryIO, kept: Lying | None = None) -> None:
        """`kept`: what is known of a body that lies on disk; without it the file is empty and the body arrives."""
        self._file = file
        self._kept = kept
        self._sums = Sums()
        self.size: int | None = None
        self.arrived = 0
        self.error: Exception | None = None
        self.readers = 0
        self._begun = trio.current_time()
        self.arriving = True
        self.fetch = trio.CancelScope()
        self._changed = trio.Event()
        self.digest = b""
        """Equal for equal bytes; empty until it is kept."""
        self.mend: Callable[[], None] | None = None
        """Begins the download of a body that lies damaged on disk."""
        if kept is not None:
            self.size = self.arrived = kept.size
            self.digest, self.arriving = kept.sums, False

    @property
    def complete(self) -> bool:
        return self.size is not None and self.arrived >= self.size

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
        if self._kept is not None and end > offset and not await self._is_sound(self._kept, offset, end):
            self._begin_again()
        await self._until(lambda: self.arrived >= end)
        return os.pread(self._file.fileno(), max(0, end - offset), offset)

    async def append(self, chunk: bytes) -> None:
        """Adds what came next."""
        try:
            await trio.to_thread.run_sync(self._add, chunk)
        except OSError as error:
            raise OutOfSpace(f"no room for a downloaded file: {error.strerror}") from error
        self.arrived += len(chunk)
        self._announce()

    def _add(self, chunk: bytes) -> None:
        _write_all(self._file.fileno(), chunk, self.arrived)
        self._sums.add(chunk)

    def settle(self, size: int | None) -> None:
        """The size is known now. Raises Unreachable where it is not what a reader was told before."""
        if size is not None and self.size not in (None, size):
            raise Unreachable(f"a download has {size} bytes now instead of {self.size}")
        if size is not None and self.size is None:
            self.size = size
            self._announce()

    def lay(self, library: Library, key: Hashable) -> None:
        """Gives the complete body a place on disk; in a thread."""
        sums = self._sums.all()
        if library.adopt(key, self._file.fileno(), self.arrived, sums):
            self.digest = sums

    async def _is_sound(self, kept: Lying, offset: int, end: int) -> bool:
        return kept.seen(offset, end) or await trio.to_thread.run_sync(kept.check, self._file.fileno(), offset, end)

    def _begin_again(self) -> None:
        """Lets go of what is damaged, and waits for the download like everybody else."""
        if self._kept is None:
            return  # another reader was faster
        self._kept.set_aside()
        self._file.close()
        self._file = unnamed(None)
        self._kept, self._sums = None, Sums()
        self.arrived, self.digest, self.arriving = 0, b"", True
        assert self.mend is not None
        self.mend()

    def fail(self, error: Exception) -> None:
        """No more bytes will come."""
        self.error = error
        self._announce()

    def close(self) -> None:
        self._file.close()

    async def _until(self, met: Callable[[], bool]) -> None:
        while not met():
            if self.error is not None:
                raise self.error.with_traceback(None)
            await self._changed.wait()

    def _announce(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


class Bodies:
    """Bodies by key. A body is in `_kept` iff it has readers, is arriving, or is complete and within the budget."""

    def __init__(
        self, loads: trio.Nursery, budget: int, folder: Path | None = None, library: Library | None = None
    ) -> None:
        """`budget`: bytes of complete bodies that are kept for nobody and not on disk; `folder`: where the unnamed
        files lie; `library`: where those go that have arrived."""
        self._library = library
        self._loads = loads
        self._budget = budget
        self._folder = folder
        self._kept: OrderedDict[Hashable, Body] = OrderedDict()

    def peek(self, key: Hashable) -> Body | None:
        """The body under `key`, arriving or arrived, if there is one."""
        return self._kept.get(key)

    def size(self, key: Hashable) -> int | None:
        """The size in bytes of a body at hand or on disk; asks nobody."""
        body = self._kept.get(key)
        if body is not None:
            return body.size
        return self._library.size(key) if self._library else None

    async def open(self, key: Hashable, begin: Begin) -> Body:
        """The body under `key` with its size known, begun if it is not at hand; `release` it when done."""
        body = self._kept.get(key)
        if body is None or body.error is not None or body.fetch.cancel_called:
            body = self._kept[key] = self._found(key) or self._begin_body()
            fetched = body
            body.mend = lambda: self._loads.start_soon(self._fetch, key, fetched, begin)
            if body.arriving:
                body.mend()
        self._kept.move_to_end(key)
        body.readers += 1
        try:
            await body.known_size()
        except BaseException:
            self.release(key, body)
            raise
        return body

    def _found(self, key: Hashable) -> Body | None:
        lying = self._library.open(key) if self._library else None
        return None if lying is None else Body(lying.file, lying)

    def _begin_body(self) -> Body:
        return Body(unnamed(self._folder))

    def release(self, key: Hashable, body: Body) -> None:
        """One reader fewer; an unwanted download with much left to do is given up."""
        body.readers -= 1
        self._settle(key, body)

    def close(self) -> None:
        """Closes every file; for when the nursery of loads has ended and nobody reads any more."""
        while self._kept:
            self._kept.popitem()[1].close()

    async def _fetch(self, key: Hashable, body: Body, begin: Begin) -> None:
        with body.fetch:
            try:
                async with begin() as stream:
                    body.settle(stream.size)
                    await _pour(stream, body)
                body.settle(body.arrived)
                if self._library is not None and body.complete:
                    await trio.to_thread.run_sync(body.lay, self._library, key)
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
        body.close()

    def _make_room(self) -> None:
        idle = [(key, body) for key, body in self._kept.items() if not body.readers and not body.arriving]
        total = sum(body.arrived for _, body in idle)
        for count, (key, body) in zip(range(len(idle), 0, -1), idle, strict=True):
            if total <= self._budget and count <= IDLE:
                return
            total -= body.arrived
            self._drop(key, body)


def unnamed(folder: Path | None) -> BinaryIO:
    """A file that nobody else sees and that goes with the process. Raises OutOfSpace where there is no place."""
    try:
        if folder is not None:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return _nameable(folder) or _hidden(folder)
    except OSError as error:
        raise OutOfSpace(f"no place for a download: {error}") from error


def _nameable(folder: Path | None) -> BinaryIO | None:
    """One that can be given a name when it is complete, which Python's own cannot; None where there is none (NFS)."""
    if folder is None:
        return None
    try:
        descriptor = os.open(folder, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
    except OSError:
        return None
    return os.fdopen(descriptor, "r+b", buffering=0)


def _hidden(folder: Path | None) -> BinaryIO:
    file: BinaryIO = tempfile.TemporaryFile(dir=folder, prefix="cometfs-", buffering=0)  # noqa: SIM115  # closed by its Body
    return file


async def _pour(stream: Stream, body: Body) -> None:
    gathered = bytearray()
    async for chunk in stream:
        gathered += chunk
        # The first bytes go on at once, for a reader who wants only them.
        if len(gathered) >= CHUNK or body.arrived == 0:
            await body.append(bytes(gathered))
            gathered.clear()
    if gathered:
        await body.append(bytes(gathered))


def _write_all(descriptor: int, chunk: bytes, offset: int) -> None:
    view = memoryview(chunk)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written
