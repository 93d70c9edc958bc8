"""A process that uses the cache of an account as hard as it can, until it is killed: see test_torture.py.

Says a line after each round; ends with status 3 where it reads a byte that is not right.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path

import trio

from cometfs.cache.downloads.downloads import Bodies
from cometfs.cache.persistent import writebehind
from cometfs.cache.persistent.blobs import BlobStore
from cometfs.cache.persistent.eviction import Evictor
from cometfs.cache.persistent.index import Index
from cometfs.cache.persistent.writebehind import WriteBehind

KEYS = 60


def content(kind: str, number: int) -> bytes:
    """What is right under a key: a body of up to two blocks, an answer of up to 64 KiB."""
    length = int.from_bytes(sha256(f"length {number}".encode()).digest()[:3]) // (8 if kind == "body" else 256)
    return random.Random(f"{kind} {number}").randbytes(length)


class Source:
    """A body at Comet."""

    def __init__(self, number: int) -> None:
        self._content = content("body", number)
        self.size = len(self._content)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Source]:
        yield self

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, self.size, 100_000):
            yield self._content[start : start + 100_000]


async def read_body(bodies: Bodies, number: int) -> bool:
    """Whether a body is right."""
    body = await bodies.open(("body", number), Source(number).begin)
    read = await body.read(0, 1 << 30)
    bodies.release(("body", number), body)
    return read == content("body", number)


def read_answer(kept: WriteBehind, number: int) -> bool:
    """Whether an answer is right, or none."""
    found = kept.recall(("answer", number))
    if found is None:
        kept.keep(("answer", number), content("answer", number), time.time(), time.time() + 600)
        return True
    return found.value == content("answer", number)


async def main(folder: Path, budget: int, rounds: int) -> None:
    writebehind.FLUSH = 0.001
    index = Index(folder)
    index.open()
    room = Evictor(index, budget)
    library = BlobStore(index, room)
    kept = WriteBehind(index, room, library)
    async with trio.open_nursery() as loads:
        loads.start_soon(kept.run)
        bodies = Bodies(loads, 0, folder, library)
        for number in range(rounds):
            key = random.randrange(KEYS)
            if not read_answer(kept, key) or not await read_body(bodies, random.randrange(KEYS)):
                sys.exit(3)
            if number % 7 == 0:
                kept.forget(("answer", random.randrange(KEYS)))
            print(number, flush=True)
            await trio.lowlevel.checkpoint()
        loads.cancel_scope.cancel()
    bodies.close()
    index.close()


if __name__ == "__main__":
    trio.run(main, Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
