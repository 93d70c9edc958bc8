"""Memory for blocks of big bodies, used again and again.

Memory that is new to a process costs a fault for each of its pages, and giving it back as much again: together 0.6 s of
CPU time a GiB, more than to receive the bytes or to verify them (Linux 6.18, 2 virtual cores). It begins at the start
of a page, so that disks take it as it is (O_DIRECT). Not here: how many blocks are held (cache/downloads/blocks.py).
"""

from __future__ import annotations

import mmap
import weakref
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

ROOM = 1 << 20
"""Bytes of a buffer: those of a whole block."""

SPARE = 16
"""Buffers that are kept for what comes next."""

Block = bytes | memoryview

Give = Callable[[Block], bool]
"""Takes a block that has come, in a thread; whether the next one is wanted."""

_spare: list[mmap.mmap] = []


def lent() -> memoryview:
    """A buffer of `ROOM` bytes, which holds anything. It is taken back when nothing refers to it any more, nor to a
    part of it."""
    try:
        memory = _spare.pop()
    except IndexError:
        memory = mmap.mmap(-1, ROOM, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)  # shared memory costs more
    # Every view of this array, and every view of that one, keeps the array; so it goes with the last of them.
    array = _kind().from_buffer(memory)
    weakref.finalize(array, _take_back, memory).atexit = False
    return memoryview(array).cast("B")


def is_lent(block: Block) -> bool:
    """Whether it is a whole buffer: it begins at the start of a page then."""
    return isinstance(block, memoryview) and isinstance(block.obj, _kind()) and len(block) == ROOM


def joined(chunks: Sequence[Block]) -> Block:
    """What comes one after the other, in one piece."""
    if len(chunks) == 1:
        return chunks[0]
    if sum(map(len, chunks)) != ROOM:
        return b"".join(chunks)
    found, begin = lent(), 0
    for chunk in chunks:
        found[begin : begin + len(chunk)] = chunk
        begin += len(chunk)
    return found.toreadonly()


def _take_back(memory: mmap.mmap) -> None:
    """In any thread: each of these is one step of the interpreter."""
    if len(_spare) < SPARE:
        _spare.append(memory)


@cache
def _kind() -> Any:
    import ctypes  # it takes 8 ms, which a start can do without

    return ctypes.c_char * ROOM
