"""How long a command runs: until a signal or an error ends it.

Not here: what it does meanwhile (app.py, serving.py).
"""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import trio

from cometfs.daemon import notify_systemd
from cometfs.errors import CometFSError


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
