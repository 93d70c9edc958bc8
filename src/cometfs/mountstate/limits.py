"""How long requests may wait, and how many; and which of the processes that wait are being killed.

The kernel does not tell pyfuse3 when a waiting process is interrupted, and the process cannot die until it is answered;
so a watch looks for fatal signals that are pending on it. Not here: the handlers (requests.py).
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import trio

from cometfs.caller import PROGRESS
from cometfs.errors import Busy, CometFSError, DeadlineExceeded, Interrupted

LOOK_EVERY = 0.2
"""Seconds between two looks at the processes that wait (each look costs some 30 us a process)."""

LAST = 0.01
"""Seconds between two looks at whether all that waited are answered, at the end of a mount."""

BRIEF = 3.0
"""Seconds that a request waits at most for what it can do without."""

FATAL = {signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGKILL, signal.SIGTERM}
"""Signals that are to end a process. Others (a resized window, a timer) must not break a read."""


class _Wait:
    __slots__ = ("interrupted", "pid", "scope")

    def __init__(self, pid: int, scope: trio.CancelScope) -> None:
        self.pid = pid
        self.scope = scope
        self.interrupted = False

    def prolong(self, seconds: float) -> None:
        """From now on: something came of what it waits for."""
        self.scope.deadline = trio.current_time() + seconds

    def interrupt(self) -> None:
        self.interrupted = True
        self.scope.cancel()


class RequestLimiter:
    """How long requests may wait, and how many. A wait is in `_waits` iff its request is being handled."""

    def __init__(self, deadline: float, room: int) -> None:
        """`deadline`: seconds that a request may wait for something to come; `room`: how many may wait before others
        must do without."""
        self.deadline = deadline
        self._most = room
        self._waits: set[_Wait] = set()
        self._ended = False

    @property
    def brief(self) -> float:
        """Seconds that a request waits at most for what it can do without, which is only a part of what it may take."""
        return min(BRIEF, self.deadline / 4)

    def count(self) -> int:
        """How many requests wait."""
        return len(self._waits)

    @property
    def saturated(self) -> bool:
        """Whether so many wait that one more must do with what is at hand."""
        return len(self._waits) >= self._most

    @contextmanager
    def limit(self, pid: int) -> Iterator[None]:
        """Runs the body until nothing has come for the deadline (`PROGRESS`), and only until a fatal signal is pending
        on `pid` (0: no process).

        Raises DeadlineExceeded, Interrupted, or Busy: where too many wait already, a request must be answered from what
        is at hand, so that a server that stalls does not freeze what needs no server.
        """
        if self._ended:
            raise Interrupted("the mount ends")
        patience = 0.0 if self.saturated else self.deadline
        with trio.CancelScope(deadline=trio.current_time() + patience) as scope:
            wait = _Wait(pid, scope)
            self._waits.add(wait)
            outer = PROGRESS.set(partial(wait.prolong, patience))
            try:
                yield
            except CometFSError as error:
                if self._ended:  # all that it waited for ends as well
                    raise Interrupted("the mount ends") from error
                raise
            finally:
                PROGRESS.reset(outer)
                self._waits.discard(wait)
        if scope.cancelled_caught:
            if wait.interrupted:
                raise Interrupted("the mount ends" if self._ended else f"process {pid} was told to end")
            if not patience:
                raise Busy(f"{self._most} requests wait already")
            raise DeadlineExceeded(f"no answer within {self.deadline:g} s")

    async def watch(self) -> None:
        """Interrupts the requests of processes with a fatal signal pending; runs until it is cancelled."""
        while True:
            await trio.sleep(LOOK_EVERY)
            for wait in [wait for wait in self._waits if wait.pid]:
                if is_dying(wait.pid):
                    wait.interrupt()

    async def end(self) -> None:
        """Interrupts all that wait, and lets none wait any more; returns when none does."""
        self._ended = True
        for wait in self._waits:
            wait.interrupt()
        while self._waits:  # noqa: ASYNC110  # once in the life of a mount; an event would cost each request
            await trio.sleep(LAST)
        await trio.sleep(LAST)  # for the replies


def is_dying(pid: int) -> bool:
    """Whether a fatal signal that the process does not block or ignore is pending on it; False if it is gone."""
    try:
        with open(f"/proc/{pid}/status", "rb") as status:  # noqa: PTH123  # 30 us, many times a second
            lines = dict(line.split(b":", 1) for line in status.read().splitlines() if b":" in line)
    except OSError:
        return False
    pending = int(lines[b"SigPnd"], 16) | int(lines[b"ShdPnd"], 16)
    # A SIGKILL can be neither blocked nor ignored, and its bit is in neither mask.
    pending &= ~(int(lines[b"SigBlk"], 16) | int(lines[b"SigIgn"], 16))
    return any(pending >> (number - 1) & 1 for number in FATAL)
