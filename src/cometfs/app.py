"""What `mount` and `demo` run, until a signal or an unmount ends it.

Not here: options and sentences for the terminal (cli/), the signal (lifetime.py), and how client, cache and tree are
put together (composition.py).
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import trio

from cometfs.compat.glibc_malloc import give_back
from cometfs.composition.account import check, open_account
from cometfs.composition.assembly import Cache
from cometfs.config import MountSettings
from cometfs.errors import SetupError
from cometfs.folders import account_in_use, cache_directory
from cometfs.fuse import mountpoints, session
from cometfs.process.daemon import claim, notify_systemd
from cometfs.process.lifetime import until_signal
from cometfs.status import statusline
from cometfs.vfs.engine.vfs import Vfs

log = logging.getLogger(__name__)

SAMPLE_KEY = "demo"
"""The demo's key: the embedded Comet takes any."""


@contextmanager
def _caches(settings: MountSettings) -> Iterator[Path]:
    """Where the caches of all accounts are: for as long as this mount alone, where nothing can be kept."""
    try:
        found = cache_directory(settings.cache_dir)
    except SetupError as error:
        if settings.cache_dir is not None or not settings.foreground:
            raise
        log.warning("nothing that is fetched outlives this mount: %s", error)
    else:
        yield found
        return
    with _temporary_directory() as folder:
        yield folder


@contextmanager
def _temporary_directory() -> Iterator[Path]:
    with ExitStack() as stack:
        try:
            made = TemporaryDirectory(prefix="cometfs-", ignore_cleanup_errors=True)
            folder = stack.enter_context(made)
        except OSError as error:
            raise SetupError(f"no place for what is fetched: set TMPDIR to one ({error.strerror})") from error
        yield Path(folder)


async def mount(settings: MountSettings, ready: Callable[[str], None]) -> None:
    """Mounts and serves until unmounted or ended by SIGTERM, SIGINT or SIGHUP; `ready` is called when it answers, with
    what a user must know: that Comet cannot be reached, or nothing.

    Raises SetupError if it cannot start.
    """
    mountpoints.prepare(settings.mountpoint, allow_non_empty=settings.allow_non_empty)
    with ExitStack() as claimed:
        claimed.enter_context(claim(settings.mountpoint))

        def mounted(note: str) -> None:
            # The mount itself keeps others away from here on.
            claimed.close()
            ready(note)

        await _mount(settings, mounted)


async def _mount(settings: MountSettings, ready: Callable[[str], None]) -> None:
    with _caches(settings) as caches, account_in_use(caches, settings.url, settings.api_key) as (folder, keep):

        def mounted(note: str) -> None:
            keep()
            ready(note)

        await _mount_cached(settings, Cache(folder, settings.cache_size), mounted)


async def _mount_cached(settings: MountSettings, cache: Cache, ready: Callable[[str], None]) -> None:
    async with until_signal(), open_account(settings, cache) as (vfs, api):
        await check(vfs, api, settings.workspaces)
        # The place was free when this began; asking Comet may have taken a while.
        mountpoints.prepare(settings.mountpoint, allow_non_empty=settings.allow_non_empty)
        await _serve(vfs, settings, api.root, lambda: ready(api.connectivity.sentence))


async def demo(
    archives: Path, mountpoint: Path, ready: Callable[[str], None], *, allow_non_empty: bool = False
) -> None:
    """The embedded Comet with a run that goes on, and a mount of it, in one process; `ready` gets the server's address.

    Ends like `mount`. The archives are only read; what the demo writes is in a directory that goes with it.
    """
    from cometfs.demo import run as demo_run
    from cometfs.server.http import listener
    from cometfs.server.http.lifespan import opened

    with _temporary_directory() as folder, _writing_to(folder):
        served = _copied(archives, folder / "comet")
        directory = opened(served, replicate=1, crashed_after=30, api_key=None, latency=0, access_log=None)
        with directory as app:
            async with until_signal() as nursery:
                url = await nursery.start(listener.serve, app, "127.0.0.1:0")
                await nursery.start(demo_run.train, url, SAMPLE_KEY)
                settings = MountSettings(
                    mountpoint,
                    SAMPLE_KEY,
                    url,
                    cache_dir=folder / "cache",
                    live_interval=demo_run.EPOCH,
                    allow_non_empty=allow_non_empty,
                )
                await mount(settings, lambda _note: ready(url))
                nursery.cancel_scope.cancel()


def _copied(archives: Path, place: Path) -> Path:
    """A copy that can be logged into, also where the installed archives are read-only."""
    shutil.copytree(archives, place, copy_function=shutil.copyfile)
    place.chmod(0o700)
    return place


@contextmanager
def _writing_to(folder: Path) -> Iterator[None]:
    """What this process and its libraries keep for a user (locks, caches) is in `folder`."""
    names = {"XDG_STATE_HOME": "state", "XDG_CACHE_HOME": "caches"}
    before = {name: os.environ.get(name) for name in names}
    os.environ.update({name: str(folder / part) for name, part in names.items()})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


async def _serve(vfs: Vfs, settings: MountSettings, root: str, ready: Callable[[], None]) -> None:
    async with trio.open_nursery() as beside:
        if settings.metrics:
            await _serve_metrics(beside, vfs, settings.metrics)
        async with trio.open_nursery() as serving:
            serve = partial(
                session.serve, source=settings.fsname or root, deadline=settings.deadline, access=settings.access
            )
            await serving.start(serve, vfs, settings.mountpoint)
            ready()
            notify_systemd("READY=1")
            beside.start_soon(statusline.keep, vfs.status)
            give_back()
        beside.cancel_scope.cancel()


async def _serve_metrics(nursery: trio.Nursery, vfs: Vfs, bind: str) -> None:
    """Serves them at HOST:PORT for as long as the nursery lasts. Raises SetupError."""
    from cometfs.server.http import listener
    from cometfs.telemetry.exposition import Exposition

    try:
        await nursery.start(listener.serve, Exposition(vfs.metrics), bind)
    except (OSError, ValueError) as error:
        raise SetupError(f"cannot serve the metrics at {bind}: {error}") from error
