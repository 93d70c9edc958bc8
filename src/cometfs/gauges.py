"""What a mount holds now, as counts: those that do not fall back when nothing is asked of it show a leak.

Not here: what was used up over time (quota/limiter.py), and where the counts are shown (composition.py).
"""

from __future__ import annotations

import os
from collections.abc import Callable

import trio

Gauges = dict[str, Callable[[], int]]
"""By name; asked when they are shown."""


def of_process() -> Gauges:
    """What any process has. The descriptors include the one that looks."""
    return {
        "tasks": lambda: trio.lowlevel.current_statistics().tasks_living,
        "descriptors": lambda: len(os.listdir("/proc/self/fd")),  # noqa: PTH208  # names, not paths
        "resident_bytes": _resident_bytes,
    }


def _resident_bytes() -> int:
    with open("/proc/self/statm", "rb") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
