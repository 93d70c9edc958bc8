"""How long requests may wait, and how many; and which of the processes that wait are being killed.

The kernel does not tell pyfuse3 when a waiting process is interrupted, and the process cannot die until it is answered;
so a watch looks for fatal signals that are pending on it. Not here: the handlers (requests.py).
"""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import trio

from cometfs.caller import PROGRESS
from cometfs.errors import Busy, CometFSError, DeadlineExceeded, Interrupted, Superseded

LOOK_EVERY = 0.2
"""Seconds between two looks at the processes that wait (each look costs some 30 us a process)."""

BLOCKS = 1.0
"""Seconds after which a lookup that waits is asked anew for the sake of those that queue behind it and are being
killed; and between two looks for those."""

AGAIN = 5.0
"""Seconds within which the kernel asks anew."""

LAST = 0.01
"""Seconds between two looks at whether all that waited are answered, at the end of a mount."""

BRIEF = 3.0
"""Seconds that a request waits at most for what it can do without."""

FATAL = {signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGKILL, signal.SIGTERM}
"""Signals that are to end a process. Others (a resized window, a timer) must not break a read."""


class _Wait:
    __slots__ = ("again", "began", "interrupted", "pid", "restarted", "scope")

    def __init__(self, pid: int, scope: trio.CancelScope, *, again: bool) -> None:
        self.pid = pid
        self.scope = scope
        self.again = again
        """Whether the kernel asks anew where it is answered ESTALE."""
        self.began = trio.current_time()
        self.interrupted = self.restarted = False

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
        self._restarts: dict[int, tuple[float, float]] = {}
        """By process: when its request was ended to be asked anew, and the deadline that it had."""
        self._let_through: set[int] = set()
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
    def limit(self, pid: int, *, again: bool = False) -> Iterator[None]:
        """Runs the body until nothing has come for the deadline (`PROGRESS`), and only until a fatal signal is pending
        on `pid` (0: no process). `again`: the kernel asks anew where it is answered ESTALE, once.

        Raises DeadlineExceeded, Interrupted, Superseded to be asked anew, or Busy: where too many wait already, a
        request must be answered from what is at hand, so that a server that stalls does not freeze what needs no
        server.
        """
        if self._ended:
            raise Interrupted("the mount ends")
        patience = 0.0 if self.saturated else self.deadline
        due = self._restarted(pid) if again else None
        with trio.CancelScope(deadline=due or trio.current_time() + patience) as scope:
            wait = _Wait(pid, scope, again=again and due is None)
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
            if wait.restarted:
                raise Superseded(f"process {pid} keeps one waiting that is being killed: it looks up anew")
            if not patience:
                raise Busy(f"{self._most} requests wait already")
            raise DeadlineExceeded(f"no answer within {self.deadline:g} s")

    async def watch(self) -> None:
        """Interrupts the requests of processes with a fatal signal pending; runs until it is cancelled."""
        looked = -math.inf
        while True:
            await trio.sleep(LOOK_EVERY)
            for wait in [wait for wait in self._waits if wait.pid]:
                if is_dying(wait.pid):
                    wait.interrupt()
            if trio.current_time() >= looked + BLOCKS and self._blocking():
                await self._let_the_dying_through()
                looked = trio.current_time()

    def _blocking(self) -> list[_Wait]:
        """Lookups that keep others waiting in the kernel, where no signal reaches them."""
        return [wait for wait in self._waits if wait.again and trio.current_time() >= wait.began + BLOCKS]

    async def _let_the_dying_through(self) -> None:
        """A lookup that is answered ESTALE is asked anew by the kernel, behind what was queued: the program that waits
        notices nothing."""
        dying = await trio.to_thread.run_sync(queued_and_dying)
        new, self._let_through = dying - self._let_through, dying
        for wait in self._blocking() if new else ():
            self._restarts[wait.pid] = (trio.current_time(), wait.scope.deadline)
            wait.restarted = True
            wait.scope.cancel()

    def _restarted(self, pid: int) -> float | None:
        """The deadline of a request that the kernel asks anew."""
        ended, due = self._restarts.pop(pid, (-math.inf, 0.0))
        return due if trio.current_time() < ended + AGAIN else None

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


def queued_and_dying() -> set[int]:
    """Processes that are being killed and cannot end: they wait for something of the kernel's, a directory perhaps."""
    return {pid for pid in _processes() if _is_stuck(pid) and is_dying(pid)}


def _processes() -> list[int]:
    with os.scandir("/proc") as found:
        return [int(entry.name) for entry in found if entry.name.isdigit()]


def _is_stuck(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:  # noqa: PTH123  # of every process
            return stat.read().rpartition(b") ")[2][:1] == b"D"
    except OSError:
        return False
