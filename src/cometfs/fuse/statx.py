"""Whether a program that waits for attributes waits for a size.

The kernel passes on no mask of what is wanted, so a size that costs calls would be fetched for `ls --color`, which only
looks for the permission to execute, and follows links for that. But while a program waits, the system tells the
arguments of its system call to those that may trace it; where it does not, the command line tells enough of some
programs. Not here: what is answered then (operations.py).
"""

from __future__ import annotations

import platform
from pathlib import Path

from cometfs.fuse.procfs import shows_no_size

_NUMBERS = {"x86_64": 332, "aarch64": 291, "riscv64": 291, "loongarch64": 291, "ppc64le": 383, "s390x": 379}
"""The number of statx(2)."""

_STATX = _NUMBERS.get(platform.machine())

_SIZED = 0x200 | 0x400
"""STATX_SIZE, STATX_BLOCKS."""


def wants_size(thread: int) -> bool:
    """Whether a thread that waits for the attributes of a file may want its size; True where that cannot be known."""
    return _masks_size(thread) and not shows_no_size(thread)


def _masks_size(thread: int) -> bool:
    if _STATX is None or not thread:
        return True
    try:
        call = Path(f"/proc/{thread}/syscall").read_text("ascii").split()
    except OSError:
        return True  # of another user, or on a system that forbids tracing (kernel.yama.ptrace_scope)
    # The number, then the arguments: directory, path, flags, mask.
    return len(call) < 5 or call[0] != str(_STATX) or bool(int(call[4], 16) & _SIZED)
