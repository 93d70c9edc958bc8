"""Bodies that are too big for memory: each arrives once, as a stream, into an unnamed file, and is read anywhere.

A body is shared by all who have it open and kept for the next ones within a budget of bytes. Not here: what a body is
and where it comes from (tree/), and answers (store.py). The files have no names, so nothing is left behind by a crash.
"""

from __future__ import annotations

import os
import tempfile
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

import trio

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
    """Bytes that arrive in order. `arrived` only grows; `size` is final as soon as it is known.

    `_changed` is set and replaced whenever `size`, `arrived` or `error` moves. `arriving` is True until the download
    has ended, well or not: until then the file is not closed.
    """

    def __init__(self, folder: Path | None) -> None:
        self._file = tempfile.TemporaryFile(dir=folder, prefix="cometfs-", buffering=0)  # noqa: SIM115  # lives until close()
        self.size: int | None = None
        self.arrived = 0
        self.error: Exception | None = None
        self.readers = 0
        self._begun = trio.current_time()
        self.arriving = True
        self.fetch = trio.CancelScope()
        self._changed = trio.Event()

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
        await self._until(lambda: self.arrived >= end)
        return os.pread(self._file.fileno(), max(0, end - offset), offset)

    async def append(self, chunk: bytes) -> None:
        """Adds what came next."""
        try:
            await trio.to_thread.run_sync(_write_all, self._file.fileno(), chunk, self.arrived)
        except OSError as error:
            raise OutOfSpace(f"no room for a downloaded file: {error.strerror}") from error
        self.arrived += len(chunk)
        self._announce()

    def settle(self, size: int | None) -> None:
        """The size is known now."""
        if size is not None and self.size is None:
            self.size = size
            self._announce()

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

    def __init__(self, loads: trio.Nursery, budget: int, folder: Path | None = None) -> None:
        """`budget`: bytes of complete bodies that are kept for nobody; `folder`: where the unnamed files lie."""
        self._loads = loads
        self._budget = budget
        self._folder = folder
        self._kept: OrderedDict[Hashable, Body] = OrderedDict()

    def peek(self, key: Hashable) -> Body | None:
        """The body under `key`, arriving or arrived, if there is one."""
        return self._kept.get(key)

    async def open(self, key: Hashable, begin: Begin) -> Body:
        """The body under `key` with its size known, begun if it is not at hand; `release` it when done."""
        body = self._kept.get(key)
        if body is None or body.error is not None or body.fetch.cancel_called:
            body = self._kept[key] = self._begin_body()
            self._loads.start_soon(self._fetch, key, body, begin)
        self._kept.move_to_end(key)
        body.readers += 1
        try:
            await body.known_size()
        except BaseException:
            self.release(key, body)
            raise
        return body

    def _begin_body(self) -> Body:
        try:
            if self._folder is not None:
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return Body(self._folder)
        except OSError as error:
            raise OutOfSpace(f"no place for a download: {error}") from error

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
        elif body.error is not None or self._kept.get(key) is not body:
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
