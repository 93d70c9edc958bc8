"""Big bodies: fetched in parts, wherever a program reads.

A body consists of blocks, which are kept one by one (blocks.py). A fetch brings blocks in order, beginning with one
that is missing. What has arrived stays when a connection breaks. The next request begins behind it, and asks for the
same version (ETag).

Not here: bodies that come as one stream (downloads.py), how far to fetch ahead (cursor.py), requests (comet/).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence

import trio

from cometfs.cache.downloads.blocks import BATCH, BLOCK, Blocks
from cometfs.cache.downloads.cursor import FORWARD, Cursor, Cursors
from cometfs.cache.downloads.fetch import AskPart, Crossing, Fetch, Part, Slots, Unwanted, UpToStop
from cometfs.cache.downloads.pump import ended
from cometfs.cache.persistent.stored_blocks import Summed
from cometfs.caller import CALLER, PROGRESS
from cometfs.errors import Stale, Unintelligible, Unreachable, Withheld
from cometfs.host.buffers import Block

PART = 8
"""Blocks of a part, at most: eight of them abreast are the widest window."""

TRIES = 4
"""Fetches one after the other that bring next to nothing before their readers get the error."""

WORTH = 4 << 10
"""Bytes that are more than next to nothing: each of a drip's takes as long as a part may stall."""

WAITS = 1.0
"""Seconds between two fetches one after the other that bring less than a block, at most."""

LOOKED_UP = 256
"""Blocks that are looked for at once: nothing else happens meanwhile."""

LOADED = 16
"""Blocks behind a program that reads on that come from the disk before they are asked for."""

PAUSE = 5.0
"""Seconds that a connection waits for its reader to read on before it is given up. One that would have to begin at the
front of the body again waits until another needs its place."""


KeyOf = Callable[[str, int], Hashable]
"""Where a block is kept: by the version (ETag) of its body, and its number."""


class PartedBody:
    """A body of known size, of which any part may be at hand.

    `_here` are the blocks that were at hand when they were last looked for: some may have been evicted since, and
    others may have come by another mount. At most one of `_fetches` brings a block at a time. `_changed` is set and
    replaced whenever a block arrives, a limit moves or a fetch ends.
    """

    def __init__(
        self,
        size: int,
        etag: str | None,
        key_of: KeyOf,
        ask: AskPart,
        blocks: Blocks,
        loads: trio.Nursery,
        slots: Slots,
    ) -> None:
        """`size` in bytes; `etag`: its version, None if it is not known yet; `slots`: of parts that arrive at once, of
        all bodies."""
        self.size = size
        self.etag = etag or ""
        self._checked = etag is not None
        """Whether the server is known to have a body of that size, in parts."""
        self.error: Exception | None = None
        self.superseded: Callable[[Stale], None] = lambda error: None  # noqa: ARG005
        """Called when there is another version now, or the body has another size than the listing says."""
        self.readers = 0
        self._key_of, self._ask, self._blocks = key_of, ask, blocks
        self._loads, self._slots = loads, slots
        self._count = -(-size // BLOCK)
        self._wholes = False
        """Whether the server refuses ranges: then one stream brings everything."""
        self._bounded = False
        self._here: set[int] = set()
        self._looked: set[int] = set()
        """Stretches of `LOOKED_UP` blocks that were looked for on the disk, all at once."""
        self._fetches: list[Fetch] = []
        self._cursors = Cursors()
        self._changed = trio.Event()

    @property
    def version(self) -> Hashable:
        """Equal for equal bytes."""
        return ("etag", self.etag)

    @property
    def is_new(self) -> bool:
        """Nothing is learned from it of how a program reads a directory."""
        return False

    async def read(self, offset: int, length: int) -> memoryview:
        """The bytes (fewer only at the end of the body); raises what keeps them away."""
        end = min(offset + length, self.size)
        if end <= offset:
            return memoryview(b"")
        wanted = range(offset // BLOCK, -(-end // BLOCK))
        waited = not all(map(self._is_here, wanted))
        cursor = self._cursors.read(offset, end, waited=waited)
        ahead = cursor.window // BLOCK
        found = [await self._block(block, max(wanted.stop - block, ahead)) for block in wanted]
        self._fetch_ahead(cursor)
        return _cut(found, offset, end)

    def read_nowait(self, offset: int, length: int) -> memoryview | None:
        """What `read` returns, where it is in memory."""
        end = min(offset + length, self.size)
        blocks = range(offset // BLOCK, -(-end // BLOCK)) if end > offset else ()
        found = [block for block in map(self._blocks.peek, map(self._key, blocks)) if block is not None]
        if len(found) < len(blocks):
            return None
        if found:
            self._blocks.lookups["block", "memory"] += len(found)
            self._fetch_ahead(self._cursors.read(offset, end, waited=False))
        return _cut(found, offset, end)

    async def check(self) -> None:
        """Returns when the size and the version are known to be right. Raises NotInParts for a body that must come as
        one stream, and what else keeps its first block away."""
        while not self._checked:
            await self._fetched(0, 1)

    def give_up(self) -> None:
        """The last reader has gone: what is on its way is not wanted."""
        for fetch in self._fetches:
            fetch.give_up()

    # -- blocks that are missing -----------------------------------------------------------------------------------

    async def _block(self, block: int, count: int) -> Block:
        """The block; `count`: how many to fetch if it does not come. Raises what keeps it away."""
        here, waited = self._blocks.peek(self._key(block)) is not None, False
        while True:
            kept = self._is_here(block) or self._blocks.has(self._key(block))
            found = await self._blocks.load(self._key(block)) if kept else None
            if found is not None:
                self._here.add(block)
                if not waited:
                    self._blocks.lookups.record("block", here=here, kept=True)
                return found
            self._here.discard(block)
            if not waited:
                self._blocks.lookups.record("block", here=False, kept=False)
            waited = True
            if self.error is not None:
                raise self.error.with_traceback(None)
            await self._fetched(block, count)

    async def _fetched(self, block: int, count: int) -> None:
        """Returns when the block has come, or nothing brings it any more."""
        fetch = self._nearest(block) or self._start(block, count)
        self._want(fetch, block + 1)
        progress = PROGRESS.get()
        fetch.waiting.append(progress)
        try:
            while block not in self._here and fetch.brings(block):
                await self._changed.wait()
        finally:
            fetch.waiting.remove(progress)
        if fetch.error is None or block in self._here:
            return
        if isinstance(fetch.error, Withheld) and CALLER.get().waits:
            return  # it was put off, being only ahead; the next fetch is this reader's own
        raise fetch.error.with_traceback(None)

    def _key(self, block: int) -> Hashable:
        return self._key_of(self.etag, block)

    def _is_here(self, block: int) -> bool:
        """Whether it is at hand, as far as is known."""
        if block // LOOKED_UP not in self._looked:
            self._look(block // LOOKED_UP)
        return block in self._here

    def _look(self, stretch: int) -> None:
        self._looked.add(stretch)
        first = stretch * LOOKED_UP
        keys = {self._key(block): block for block in range(first, min(first + LOOKED_UP, self._count))}
        self._here.update(keys[key] for key in self._blocks.kept(keys))

    def _nearest(self, block: int) -> Fetch | None:
        """What brings the block before a fetch of its own would."""
        reach = self._count if self._wholes else FORWARD // BLOCK
        return next((one for one in self._fetches if one.brings(block) and block - one.at <= reach), None)

    def _fetch_ahead(self, cursor: Cursor) -> None:
        """Has the window behind a reader filled up, once half of it is used."""
        first, stop = cursor.end // BLOCK, min(self._count, -(-(cursor.end + cursor.window) // BLOCK))
        if cursor.seen_to == (first, stop):  # by the read before, of the same block
            return
        cursor.seen_to = first, stop
        if cursor.window and first >= cursor.loaded_to - LOADED + BATCH and not self._blocks.is_loading_enough():
            self._load_ahead(cursor, first)
        for fetch in self._fetches:
            if not fetch.ended and first <= fetch.at < stop:
                self._want(fetch, stop)
        if not self._bounded:
            return
        block = self._first_unfetched(max(first, cursor.sure_to), stop)
        cursor.sure_to = stop if block is None else block
        if block is None:
            return
        if block - first > (stop - first) // 2 and stop - block < PART:  # of a wide window, a part is soon begun
            return
        while block is not None:
            block = self._first_unfetched(self._start(block, stop - block).stop, stop)
        cursor.sure_to = stop

    def _load_ahead(self, cursor: Cursor, first: int) -> None:
        """Has in memory what is on the disk, some of it while the rest is read."""
        blocks = range(max(first, cursor.loaded_to), min(first + LOADED, self._count))
        cursor.loaded_to = blocks.stop
        self._blocks.load_ahead([self._key(block) for block in blocks if self._is_here(block)])

    def _first_unfetched(self, first: int, stop: int) -> int | None:
        return next((block for block in range(first, stop) if not self._is_coming(block)), None)

    def _is_coming(self, block: int) -> bool:
        return self._is_here(block) or any(fetch.brings(block) for fetch in self._fetches)

    def _until_next(self, block: int, stop: int) -> int:
        """The first block from `block` on that is there or comes, else `stop`."""
        return next((other for other in range(block, stop) if self._is_coming(other)), stop)

    def _start(self, block: int, count: int) -> Fetch:
        """Begins to fetch up to `count` blocks, up to the next one that is there or comes."""
        self._fetches = [fetch for fetch in self._fetches if not fetch.ended]
        for other in self._fetches:
            if other.brings(block) and not self._wholes:
                other.stop = block  # it is too far behind
                self._cursors.doubt()
        if self._wholes:
            fetch = Fetch(0, self._count, block + count)
        else:
            most = min(block + min(count, PART), self._count)
            fetch = Fetch(block, self._until_next(block + 1, most), block + count)
        self._fetches.append(fetch)
        self._loads.start_soon(self._run, fetch)
        return fetch

    def _want(self, fetch: Fetch, limit: int) -> None:
        if limit > fetch.limit:
            fetch.limit = limit
            self._announce()

    def _announce(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    # -- one fetch -------------------------------------------------------------------------------------------------

    async def _run(self, fetch: Fetch) -> None:
        try:
            with fetch.scope:
                await self._persistently(fetch)
        except Unwanted:
            pass
        except Exception as error:  # its readers get it, a bug too; the nursery of all loads lives on
            fetch.error = error
            if isinstance(error, Stale):
                self.error = error
                self.superseded(error)
        except BaseException:  # all loads end
            fetch.error = Unreachable("the download was given up")
            raise
        finally:
            fetch.ended = True
            if fetch.at < fetch.stop:
                self._cursors.doubt()
            self._announce()

    async def _persistently(self, fetch: Fetch) -> None:
        """Asks again for what a broken connection has not brought."""
        fruitless = poor = 0
        while fetch.at < fetch.stop:
            before, fetch.answered = fetch.offset, False
            try:
                await self._attempt(fetch)
            except Unreachable:
                fruitless = 0 if fetch.offset - before >= WORTH else fruitless + 1
                # What does not even begin was asked for several times already.
                if fruitless == TRIES or not fetch.answered:
                    raise
                # Each of these may be a call.
                poor = 0 if fetch.offset - before >= BLOCK else poor + 1
                await trio.sleep(backoff(poor))

    async def _attempt(self, fetch: Fetch) -> None:
        stop = min(fetch.stop * BLOCK, self.size)
        try:
            async with self._slots, self._ask(fetch.offset, stop, self.etag) as part:
                await self._take(fetch, part)
        except (NotInParts, Stale) as error:
            raise self._meaning(error) from error
        if fetch.at < fetch.stop:
            raise Unreachable(f"a download ended after {fetch.offset} of {self.size} bytes")

    def _meaning(self, error: Exception) -> Exception:
        """What it means that the server has other bytes than the listing says, or than came before."""
        if not self._checked:
            return NotInParts()  # nothing was shown of it yet: one stream will show what it is
        return Unintelligible("a part of a file came compressed") if isinstance(error, NotInParts) else error

    async def _take(self, fetch: Fetch, part: Part) -> None:
        self._agree(part)
        fetch.answered, fetch.bounded = True, part.bounded
        if part.start != fetch.offset:
            self._begin_at_front(fetch)
        if not part.bounded:
            self._go_on(fetch)
        async with ended(aiter(UpToStop(part, fetch, self.size))) as chunks:
            async for chunk in chunks:
                fetch.add(chunk)
                await self._append(fetch)
                while fetch.at < fetch.stop and await self._take_blocks(fetch, part):
                    pass
                if fetch.at >= fetch.stop:
                    return

    async def _take_blocks(self, fetch: Fetch, part: Part) -> bool:
        """Takes whole blocks, as long as they come fast; whether any came."""
        at, stop = fetch.at, fetch.stop if fetch.bounded else min(fetch.stop, fetch.limit)
        whole = min(stop, self.size // BLOCK)
        if at < whole:
            crossing = Crossing(fetch, lambda one: self._came(fetch, one), self._blocks.has_room)
            await part.blocks(fetch.begun, whole - at, crossing.give)
            await self._onward(fetch)
        return fetch.at > at

    def _agree(self, part: Part) -> None:
        """Raises Stale where the part is one of another body than those before, or than the listing has."""
        unsaid = part.total is None and (part.size is None or self._checked)
        if not unsaid and part.total != self.size:
            raise Stale("a file has changed at Comet while it was read: open it again")
        if self.etag != (self.etag or part.etag):
            self._looked.clear()
        self.etag, self._checked = self.etag or part.etag, True
        self._bounded = part.bounded

    def _begin_at_front(self, fetch: Fetch) -> None:
        """The server gives wholes only: one stream brings all blocks."""
        self._wholes = True
        if any(other is not fetch and other.brings(fetch.at) for other in self._fetches):
            raise Unwanted
        fetch.at, fetch.begun, fetch.come = 0, [], 0

    def _go_on(self, fetch: Fetch) -> None:
        """What is no bounded part goes on to the end, as long as it is wanted: another request would cost a call.

        It stops where another fetch begins, and where so much is at hand that to read through it costs more. That is
        found out for some blocks at a time, since each of them is looked up.
        """
        if self._wholes:
            fetch.stop = self._count
            return
        at_hand = 0
        for block in range(fetch.stop, min(fetch.stop + LOOKED_UP, self._count)):
            if any(other.brings(block) for other in self._fetches):
                return
            at_hand = at_hand + 1 if self._is_here(block) else 0
            if at_hand > FORWARD // BLOCK:
                return
            if not at_hand:
                fetch.stop = block + 1

    async def _append(self, fetch: Fetch) -> None:
        while fetch.at < fetch.stop and fetch.come >= (length := min(BLOCK, self.size - fetch.at * BLOCK)):
            number = fetch.at
            self._keep(number, Summed(fetch.taken(length)))
        await self._onward(fetch)

    def _came(self, fetch: Fetch, one: Summed) -> None:
        self._keep(fetch.at, one)
        fetch.has_come()

    def _keep(self, number: int, one: Summed) -> None:
        self._blocks.keep(self._key(number), one)
        self._here.add(number)
        self._announce()

    async def _onward(self, fetch: Fetch) -> None:
        await self._blocks.room()
        # What is nearer to its end than this may have ended already.
        if not fetch.bounded and FORWARD // BLOCK <= fetch.stop - fetch.at < LOOKED_UP // 4:
            self._go_on(fetch)
        await self._until_wanted(fetch)

    async def _until_wanted(self, fetch: Fetch) -> None:
        """Lets a connection wait until its reader comes near. Raises Unwanted where that takes long, or another fetch
        wants its place."""
        if fetch.bounded or fetch.at < fetch.limit or fetch.at == fetch.stop:
            return
        with self._slots.paused(math.inf if self._wholes else PAUSE):
            while fetch.at >= fetch.limit:
                await self._changed.wait()
            return
        raise Unwanted


def backoff(poor: int) -> float:
    """Seconds until the next fetch after so many in a row that brought less than a block."""
    return min(WAITS, 0.05 * 2.0**poor) if poor else 0.0


def _cut(blocks: Sequence[Block], offset: int, end: int) -> memoryview:
    """The bytes from `offset` up to before `end` of a body, whose blocks begin with the one that has the first."""
    start = offset % BLOCK
    return memoryview(blocks[0] if len(blocks) == 1 else b"".join(blocks))[start : start + end - offset]


class NotInParts(Exception):
    """The server has another size than the listing: one stream shows what the body is."""
