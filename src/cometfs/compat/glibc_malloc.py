"""glibc keeps freed memory for later, and the more of it the bigger the blocks were: a mount that has read some large
answers stays as big as they were. Fixed limits give it back to the system.

To go when Python has a way to say so. With other libraries of C nothing is done.
"""

from __future__ import annotations

M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8
"""Of mallopt(3)."""

BIG = 1 << 19
"""Bytes of a block that is the system's again when it is freed: what is received at once is one."""

ARENAS = 2
"""Parts that threads take memory from; by default eight for each core."""


def give_back() -> bool:
    """Sets the limits, for this process; whether there are any."""
    import ctypes  # it takes 8 ms, which a start can do without

    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, BIG) and mallopt(M_ARENA_MAX, ARENAS))
