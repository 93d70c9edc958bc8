"""Bodies that are too big for memory: each arrives once, as a stream, into an unnamed file, and is read anywhere.

A body is shared by all that have it open. A complete one is kept: on disk where there is a blob store, else
as long as the process lives, within a budget of bytes. What is arriving has no name, so a crash leaves nothing behind.
Not here: what a body is and where it comes from (vfs/), answers (store.py), the files that stay (blobs.py).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from pathlib import Path

import trio

from cometfs.cache.downloads.body import Body
from cometfs.cache.downloads.pump import Begin, pour
from cometfs.cache.downloads.pump import ByteStream as ByteStream  # what `Begin` gives, for callers that make one
from cometfs.cache.memory import Which
from cometfs.cache.persistent.blobs import BlobStore
from cometfs.errors import DeadlineExceeded, ServerFailed, Unreachable

IDLE = 256
"""Bodies that are kept without a reader, at most: each holds a file descriptor."""

TOGETHER = 32
"""Bodies that get their places on disk together, at most: each has a file open meanwhile."""

TRIES = 2
"""Streams that are begun for one body before its readers get the error of a broken connection."""

NEARLY_DONE = 8 << 20
"""A download with no more than this many bytes to go is finished even without a reader ..."""

SOON = 10.0
"""... if it will have come in so many seconds, by what has come so far: the next reader of a drip begins anew."""

BEGUN = 1.0
"""Seconds of a download that say nothing about how fast it is."""

SMALL = 128 << 10
"""Bytes of the biggest body that is held in memory while it arrives: a trip to a thread for each piece, and a file that
is opened and verified anew, cost more than all else about such a body."""

AT_HAND = 16 << 20
"""Bytes of such bodies that stay in memory when they are on disk: what is fetched ahead is read soon."""


class Bodies:
    """Bodies by key. A body is in `_kept` iff it has readers, is arriving, or is complete and within the budget.

    It is in `_light`, too, iff it has no readers, is on disk, and in memory all the same: `_light_bytes` of them.
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
        self._light: OrderedDict[Hashable, Body] = OrderedDict()
        self._light_bytes = 0
        self._due: list[tuple[Hashable, Body]] = []
        self._laying = trio.Lock()

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
        self._open(key, body)
        try:
            await body.known_size()
        except BaseException:
            self.release(key, body)
            raise
        return body

    def open_nowait(self, key: Hashable) -> Body | None:
        """The same, where all of it is in memory."""
        body = self._kept.get(key)
        if body is None or not body.is_light or not body.complete or body.error is not None:
            return None
        self._open(key, body)
        return body

    def _open(self, key: Hashable, body: Body) -> None:
        self._kept.move_to_end(key)
        self._take(key, body)
        body.readers += 1
        body.opens += 1

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
                await _arrive(body, begin)
                body.end()
                if self._blobs is not None:
                    # It is here: a process that ends now, such as `cometfs warm`, must not lose it.
                    with trio.CancelScope(shield=True):
                        await self._lay(self._blobs, key, body)
                    self._blobs.changed()
            except Exception as error:  # its readers get it, a bug too; the nursery of all loads lives on
                body.fail(error)
        body.arriving = False
        if not body.complete and body.error is None:
            body.fail(Unreachable("the download was given up"))
        self._settle(key, body)

    async def _lay(self, blobs: BlobStore, key: Hashable, body: Body) -> None:
        """Gives a body its place, with all that are due meanwhile: one trip to a thread for them."""
        self._due.append((key, body))
        async with self._laying:
            due, self._due = self._due, []
            if due:
                await trio.to_thread.run_sync(_lay_all, blobs, due)

    def _settle(self, key: Hashable, body: Body) -> None:
        """Keeps, gives up or closes a body that just lost its last reader or its download."""
        if body.readers:
            return
        if body.arriving:
            # The file stays open until the download has really ended: a thread may be writing to it.
            if not _ends_soon(body):
                body.fetch.cancel()
        elif body.error is not None or (body.digest and not body.is_light) or self._kept.get(key) is not body:
            self._drop(key, body)
        elif body.digest:
            self._keep_at_hand(key, body)
        else:
            self._make_room()

    def _drop(self, key: Hashable, body: Body) -> None:
        if self._kept.get(key) is body:
            del self._kept[key]
        self._take(key, body)
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
        idle = [(key, body) for key, body in self._idle() if not body.digest]
        total = sum(body.arrived for _, body in idle)
        for count, (key, body) in zip(range(len(idle), 0, -1), idle, strict=True):
            if total <= self._budget and count <= IDLE:
                return
            total -= body.arrived
            self._drop(key, body)

    def _keep_at_hand(self, key: Hashable, body: Body) -> None:
        body.close_file()  # there may be thousands
        self._light[key] = body
        self._light_bytes += body.arrived
        while self._light_bytes > AT_HAND:
            self._drop(*next(iter(self._light.items())))

    def _take(self, key: Hashable, body: Body) -> None:
        if self._light.get(key) is body:
            del self._light[key]
            self._light_bytes -= body.arrived


async def _arrive(body: Body, begin: Begin) -> None:
    """Takes in a body, also over a second connection where the first one breaks: each may be a call."""
    for left in reversed(range(TRIES)):
        begun = False
        try:
            async with begin() as stream:
                body.settle(stream.size)
                begun = True
                if stream.size is not None and stream.size <= SMALL:
                    await body.gather(body.again(stream))
                else:
                    await pour(body.again(stream), body.append)
            return
        except Unreachable as error:
            # What does not even begin was asked for several times already.
            if not (begun and left) or isinstance(error, ServerFailed | DeadlineExceeded):
                raise


def _ends_soon(body: Body) -> bool:
    """Whether a download is worth finishing without a reader."""
    if body.left is None or body.left > NEARLY_DONE:
        return False
    return body.left * max(0.0, body.age - BEGUN) <= SOON * body.arrived


def _lay_all(blobs: BlobStore, due: Sequence[tuple[Hashable, Body]]) -> None:
    for begin in range(0, len(due), TOGETHER):
        _lay_some(blobs, due[begin : begin + TOGETHER])


def _lay_some(blobs: BlobStore, due: Sequence[tuple[Hashable, Body]]) -> None:
    whole = [(body, body.whole(key)) for key, body in due]
    kept = blobs.adopt(*(one for _, one in whole if one is not None))
    for body, one in whole:
        if one in kept:
            body.digest = body.digest_due
        if body.is_light:
            body.close_file()
