"""How pyfuse3 waits for the kernel's next request: first by looking whether there is one already.

pyfuse3 makes two trips through trio's scheduler for every request, which under load cost more than answering it. A
look at the descriptor costs a microsecond. Every `AT_ONCE` requests trio has its turn all the same: timers, signals
and other tasks. Not here: what the requests are (operations.py).
"""

from __future__ import annotations

import logging
import os
import select
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyfuse3

log = logging.getLogger(__name__)

AT_ONCE = 32
"""Requests that may be taken in a row before trio has its turn: a millisecond or two."""

KNOWN = frozenset({"3.5.0"})
"""Versions of pyfuse3 whose private waiting function is what is replaced here."""

NAME = "_wait_fuse_readable"

Wait = Callable[[], Awaitable[bool]]


def descriptors() -> set[int]:
    """The descriptors of this process by which kernels ask it something."""
    found = set()
    for entry in os.scandir("/proc/self/fd"):
        try:
            if Path(entry.path).readlink() == Path("/dev/fuse"):
                found.add(int(entry.name))
        except OSError:
            continue  # the one that this loop reads from is gone by now
    return found


@contextmanager
def looking_first(opened: set[int]) -> Iterator[None]:
    """Lets pyfuse3 wait this way while the body runs, where it is a version that is known to allow it.

    `opened`: the descriptor of the mount, and no other.
    """
    original: Wait | None = getattr(pyfuse3, NAME, None)
    if original is None or pyfuse3.__version__ not in KNOWN or len(opened) != 1:
        log.debug("pyfuse3 %s waits for requests in its own way", pyfuse3.__version__)
        yield
        return
    setattr(pyfuse3, NAME, look_first(original, *opened))
    try:
        yield
    finally:
        setattr(pyfuse3, NAME, original)


def look_first(original: Wait, descriptor: int) -> Wait:
    """Returns True when a request can be read without blocking, False when the mount has ended; like `original`."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    look = poll.poll
    in_a_row = 0

    async def wait() -> bool:
        nonlocal in_a_row
        if in_a_row < AT_ONCE and look(0):
            in_a_row += 1
            return True
        while await original():
            in_a_row = 0
            # Another task may have taken the request since, and reading would block the whole process.
            if look(0):
                return True
        return False

    return wait
