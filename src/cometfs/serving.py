"""What `serve` runs. Nothing of a mount is loaded for it.

Not here: options and sentences for the terminal (cli/), and the server itself (server/).
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

import trio

from cometfs import exposure
from cometfs.config import ServeSettings
from cometfs.errors import SetupError
from cometfs.process.lifetime import until_signal
from cometfs.server.http import listener
from cometfs.server.http.hosts import OwnNames, machine_names
from cometfs.server.http.lifespan import opened
from cometfs.server.http.middleware import with_log_and_latency
from cometfs.server.http.object_store import ObjectStore

NAMING = 3.0
"""Seconds that a name server may take for this machine's own name."""


async def serve(settings: ServeSettings, ready: Callable[[str], None]) -> None:
    """The embedded Comet until a signal ends it; `ready` gets its address. Raises SetupError if it cannot start."""
    names = await _own_names(settings)
    store = ObjectStore() if settings.assets == "redirect" else None
    directory = opened(
        settings.archives,
        replicate=settings.replicate,
        crashed_after=settings.crashed_after,
        api_key=settings.api_key,
        latency=settings.latency_ms / 1000,
        access_log=settings.access_log,
        names=names,
        object_store=store,
        in_parts=settings.assets != "stream-no-range",
    )
    with directory as app:
        async with until_signal() as nursery:
            try:
                if store is not None:
                    await nursery.start(_serve_objects, store, settings)
                url = await nursery.start(listener.serve, app, settings.bind)
            except (OSError, ValueError) as error:
                raise SetupError(f"cannot serve at {settings.bind}: {error}") from error
            ready(url)
            await trio.sleep_forever()


async def _serve_objects(
    store: ObjectStore, settings: ServeSettings, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """The object store at another port of the same address, a free one."""
    app = with_log_and_latency(store, settings.access_log, settings.latency_ms / 1000)
    host, _ = listener.parsed(settings.bind)
    async with trio.open_nursery() as nursery:
        url = await nursery.start(listener.serve, app, f"{host}:0")
        store.port = urlsplit(url).port or 0
        task_status.started()


async def _own_names(settings: ServeSettings) -> OwnNames:
    try:
        bound = {listener.parsed(settings.bind)[0]}
        if await trio.to_thread.run_sync(exposure.is_reachable, settings.bind):
            with trio.move_on_after(NAMING):
                bound |= await trio.to_thread.run_sync(machine_names, abandon_on_cancel=True)
        return OwnNames(bound, settings.hosts)
    except ValueError as error:
        raise SetupError(f"cannot serve at {settings.bind}: {error}") from error
