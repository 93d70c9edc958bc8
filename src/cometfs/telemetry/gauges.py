"""What a mount holds and has done, as numbers: gauges rise and fall, lookups and histograms only rise.

Each is kept where it changes, and asked when it is shown. Gauges that do not fall back when nothing is asked of the
mount show a leak. Not here: how they are called and shown (metrics.py), and what was used up over time
(quota/limiter.py).
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable

import trio

Gauges = dict[str, Callable[[], int]]
"""By name; asked when they are shown."""

BOUNDS = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
"""Seconds up to which requests are counted together: what is at hand takes 0.1 ms, a call 0.1 s, and 30 s is the
deadline."""


class Lookups(Counter[tuple[str, str]]):
    """What readers wanted, by kind and where it was: in "memory", on "disk", or nowhere, so that Comet was "asked".

    A kind is an "answer" of Comet's, a "file" that is made of one, a "body" as Comet has it, or a "block" of a big one.
    """

    def record(self, kind: str, *, here: bool, kept: bool) -> None:
        """`here`: in memory; `kept`: at hand at all."""
        self[kind, "memory" if here else "disk" if kept else "asked"] += 1

    def at(self, where: str, *kinds: str) -> int:
        """How many of those kinds were there."""
        return sum(self[kind, where] for kind in kinds)


class Histogram:
    """How many took how long; some 0.2 us each."""

    __slots__ = ("counts", "seconds")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        """For each of `BOUNDS` those that took no longer, but longer than the one before; the last took longer than
        all."""
        self.seconds = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds


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
