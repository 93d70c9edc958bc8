"""How long a command runs: until a signal or an error ends it.

Not here: what it does meanwhile (app.py, serving.py).
"""

from __future__ import annotations

import gc
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import trio

from cometfs.errors import CometFSError
from cometfs.process.daemon import notify_systemd

GARBAGE = (5_000, 20, 20)
"""Thresholds of the garbage collector: Python's own, of 700 objects, take a tenth of the CPU time of a copy."""


@asynccontextmanager
async def until_signal() -> AsyncIterator[trio.Nursery]:
    """Runs the body in a nursery that a signal to end cancels, without an error."""
    async with trio.open_nursery() as nursery:
        await nursery.start(_await_signal, nursery)
        yield nursery
        nursery.cancel_scope.cancel()


async def _await_signal(nursery: trio.Nursery, task_status: trio.TaskStatus[None]) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        task_status.started()
        async for _ in signals:
            notify_systemd("STOPPING=1")
            nursery.cancel_scope.cancel()


def run(main: Callable[..., Awaitable[None]], *arguments: object) -> None:
    """Runs `main` in trio. One of our errors comes out as itself, not as the group that nurseries make of it."""
    # What was imported stays to the end.
    gc.freeze()
    gc.set_threshold(*GARBAGE)
    try:
        trio.run(main, *arguments)
    except BaseExceptionGroup as group:
        ours = group.subgroup(CometFSError)
        if ours is None or group.split(CometFSError)[1] is not None:
            raise
        raise _first(ours) from None


def _first(group: BaseExceptionGroup[CometFSError]) -> CometFSError:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
