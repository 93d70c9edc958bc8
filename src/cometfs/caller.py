"""The program that a call is made for: a value that follows a request from the kernel down to the call that it costs.

Not here: what is made of it (quota/limiter.py counts, the tree decides what may wait).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple


class Urgency(IntEnum):
    """How much it matters that something is fetched now; less first."""

    WAITING = 0
    """A program waits."""
    AHEAD = 1
    """A program will probably want it next."""
    RENEWAL = 2
    """What is at hand will not hold much longer."""


class Caller(NamedTuple):
    """What makes a request."""

    pid: int = 0
    """The program that waits; 0 where none is known."""
    urgency: Urgency = Urgency.WAITING

    @property
    def waits(self) -> bool:
        """Whether a program waits."""
        return self.urgency is Urgency.WAITING


UNKNOWN = Caller()

AHEAD = Caller(urgency=Urgency.AHEAD)

RENEWAL = Caller(urgency=Urgency.RENEWAL)

CALLER: ContextVar[Caller] = ContextVar("CALLER", default=UNKNOWN)
"""Tasks inherit it from where they are started, so a load is counted to the program that asked first."""

PATIENCE: ContextVar[float] = ContextVar("PATIENCE", default=math.inf)
"""Seconds within which an answer must begin, all tries together, but what a 429 asks to wait: less than its deadline
where there is another way."""


PROGRESS: ContextVar[Callable[[], None]] = ContextVar("PROGRESS", default=lambda: None)
"""To be called when something comes that the request waits for: its deadline is for silence."""


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Calls that the body makes, or starts, must begin to be answered by then."""
    before = PATIENCE.set(seconds)
    try:
        yield
    finally:
        PATIENCE.reset(before)


def command_of(pid: int) -> str:
    """The name of the program with that pid; "cometfs" for 0, which is the mount itself."""
    if not pid:
        return "cometfs"
    try:
        return Path(f"/proc/{pid}/comm").read_text("utf-8", errors="replace").strip()
    except OSError:
        return "(ended)"
