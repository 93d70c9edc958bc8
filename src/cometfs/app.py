"""The composition root: puts client, cache, tree and face together and runs them until somebody ends it.

Not here: options and sentences for the terminal (cli/).
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

import trio

from cometfs import exposure
from cometfs._version import __version__
from cometfs.cache.downloads.downloads import Bodies
from cometfs.cache.memory import Memory
from cometfs.cache.persistent.account_lock import AccountLock
from cometfs.cache.persistent.blobs import BlobStore
from cometfs.cache.persistent.eviction import Evictor
from cometfs.cache.persistent.index import Index
from cometfs.cache.persistent.writebehind import WriteBehind
from cometfs.cache.singleflight import Flights
from cometfs.cache.store import Store
from cometfs.comet.api import API
from cometfs.config import MountSettings, ServeSettings, account_in_use, cache_directory
from cometfs.daemon import claim, tell_systemd
from cometfs.errors import CometFSError, KeyRejected, NotFound, SetupError, Unreachable
from cometfs.fuse import session
from cometfs.lease import RUNNING, Lease
from cometfs.quota.limiter import Budget
from cometfs.vfs.answers.resolver import AnswerResolver
from cometfs.vfs.engine.vfs import Vfs
from cometfs.vfs.keys import owner_of
from cometfs.vfs.layout import tree

if TYPE_CHECKING:
    from cometfs.server.http.hosts import OwnNames

# Nothing of server/ up here: a web server and its framework are imported by the commands that run it. With them `mount`
# takes half as long again to start.

log = logging.getLogger(__name__)

MEMORY = 128 << 20
"""Bytes of answers and rendered files that are kept in memory."""

SPOOL = 1 << 30
"""Bytes of downloaded assets that are kept for the next reader."""

START = 20.0
"""Seconds that the server may take for its first answer."""

NAMING = 3.0
"""Seconds that a name server may take to tell this machine's own name."""

SAMPLE_KEY = "demo"
"""The demo's key: the embedded Comet takes any."""


class Cache(NamedTuple):
    """Where what was fetched from one account lasts, and how many bytes of it."""

    folder: Path
    size: int


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


@asynccontextmanager
async def open_vfs(
    api: API,
    workspaces: Sequence[str] = (),
    *,
    rw: bool = False,
    live: Lease = RUNNING,
    cache: Cache | None = None,
    budget: Budget | None = None,
) -> AsyncIterator[Vfs]:
    """A mounted Comet without a kernel, in this process, as an async context manager that gives a `Vfs`.

    - `api`: an open `API`; it stays open when the block ends
    - `workspaces`: names of those at the root; by default all that the API key can see
    - `rw`: whether the files of Comet's key-value store are writable
    - `live`: how long answers hold about an experiment that may be running (5 s)
    - `cache`: the directory and the bytes for answers and assets that last; None keeps them until the block ends
    - `budget`: the calls of `api`, from `open_budget`; None does not count them

    Nothing is asked of Comet until something is looked at:

        >>> async with open_vfs(api) as vfs:
        ...     (workspaces, _lease) = await vfs.listings.children(vfs.root)
        ...     sorted(workspaces.nodes)
        ['.api', '.cometfs', 'README.md', 'tabular', 'vision-lab']

    Raises nothing by itself: a cache that cannot be used is logged as a warning. What is looked at raises the errors of
    every call of `API`, NoSuchEntry, NotADirectory and IsADirectory for names, and OutOfSpace for a download without
    room. Loads that are under way end with the block.
    """
    with ExitStack() as ending:
        async with trio.open_nursery() as writing, trio.open_nursery() as loads:
            index = blobs = writebehind = None
            if cache is not None:
                index = Index(cache.folder)
                ending.callback(index.close)
                await trio.to_thread.run_sync(index.open)
                room = Evictor(index, cache.size)
                blobs = BlobStore(index, room)
                writebehind = WriteBehind(index, room, blobs)
                writing.start_soon(writebehind.run)
            bodies = Bodies(loads, SPOOL, cache.folder if cache else None, blobs)
            ending.callback(bodies.close)
            try:
                store = Store(Memory(MEMORY, owner=owner_of), Flights(loads), writebehind)
                spare = budget.spare if budget else lambda _urgency: True
                answers = AnswerResolver(api, store, bodies, loads, spare, partial(_status, api.root, budget, index))
                yield Vfs(answers, tree(workspaces), time.time() * 1000, rw=rw, live=live)
            finally:
                loads.cancel_scope.cancel()
                writing.cancel_scope.cancel()


@asynccontextmanager
async def open_budget(folder: Path, rate: float) -> AsyncIterator[Budget]:
    """The calls of the account whose cache lies in `folder`; `rate` an hour."""
    budget = Budget(folder, rate)
    async with trio.open_nursery() as writing:
        writing.start_soon(budget.run)
        try:
            yield budget
        finally:
            writing.cancel_scope.cancel()


async def _status(root: str, budget: Budget | None, index: Index | None) -> dict[str, Any]:
    """What `.cometfs/status.json` shows."""
    return {
        "version": __version__,
        "server": root,
        "calls": (await budget.status()).as_object() if budget else None,
        "cache": (await trio.to_thread.run_sync(index.totals)).as_object() if index else None,
    }


async def mount(settings: MountSettings, ready: Callable[[], None]) -> None:
    """Mounts and serves until unmounted or told to end by SIGTERM, SIGINT or SIGHUP; `ready` is called when it answers.

    Raises SetupError if it cannot start.
    """
    session.prepare(settings.mountpoint, allow_non_empty=settings.allow_non_empty)
    with ExitStack() as claimed:
        claimed.enter_context(claim(settings.mountpoint))

        def mounted() -> None:
            # The mount itself keeps others away from here on.
            claimed.close()
            ready()

        await _mount(settings, mounted)


async def _mount(settings: MountSettings, ready: Callable[[], None]) -> None:
    with _caches(settings) as caches, account_in_use(caches, settings.url, settings.api_key) as (folder, keep):

        def mounted() -> None:
            keep()
            ready()

        await _mount_cached(settings, Cache(folder, settings.cache_size), mounted)


async def _mount_cached(settings: MountSettings, cache: Cache, ready: Callable[[], None]) -> None:
    async with (
        _until_signal(),
        open_budget(cache.folder, settings.rate) as budget,
        API(api_key=settings.api_key, url=settings.url, gate=budget, alone=AccountLock(cache.folder).held) as api,
        open_vfs(
            api,
            settings.workspaces,
            rw=settings.rw,
            live=Lease(settings.live_interval),
            cache=cache,
            budget=budget,
        ) as vfs,
    ):
        await _check(vfs, api.root, settings.workspaces)
        # The place was free when this began; asking Comet may have taken a while.
        session.prepare(settings.mountpoint, allow_non_empty=settings.allow_non_empty)
        await _serve(vfs, settings, api.root, ready)


async def demo(
    archives: Path, mountpoint: Path, ready: Callable[[str], None], *, allow_non_empty: bool = False
) -> None:
    """The embedded Comet with a run that goes on, and a mount of it, in one process; `ready` gets the server's address.

    Ends like `mount`. The archives are only read; what the demo writes lies in a directory that goes with it.
    """
    from cometfs import demo_run
    from cometfs.server.http import listener
    from cometfs.server.http.lifespan import opened

    with _temporary_directory() as folder, _writing_to(folder):
        served = _copied(archives, folder / "comet")
        directory = opened(served, replicate=1, crashed_after=30, api_key=None, latency=0, access_log=None)
        with directory as app:
            async with _until_signal() as nursery:
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
                await mount(settings, lambda: ready(url))
                nursery.cancel_scope.cancel()


def _copied(archives: Path, place: Path) -> Path:
    """A copy that can be logged into, whoever may write where the archives are installed."""
    shutil.copytree(archives, place, copy_function=shutil.copyfile)
    place.chmod(0o700)
    return place


@contextmanager
def _writing_to(folder: Path) -> Iterator[None]:
    """What this process and its libraries keep for a user (locks, matplotlib's list of fonts) lies in `folder`."""
    names = {"XDG_STATE_HOME": "state", "XDG_CACHE_HOME": "caches", "MPLCONFIGDIR": "matplotlib"}
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


async def serve(settings: ServeSettings, ready: Callable[[str], None]) -> None:
    """The embedded Comet until it is told to end; `ready` gets its address. Raises SetupError if it cannot start."""
    from cometfs.server.http import listener
    from cometfs.server.http.lifespan import opened

    names = await _own_names(settings)
    directory = opened(
        settings.archives,
        replicate=settings.replicate,
        crashed_after=settings.crashed_after,
        api_key=settings.api_key,
        latency=settings.latency_ms / 1000,
        access_log=settings.access_log,
        names=names,
    )
    with directory as app:
        async with _until_signal() as nursery:
            try:
                url = await nursery.start(listener.serve, app, settings.bind)
            except (OSError, ValueError) as error:
                raise SetupError(f"cannot serve at {settings.bind}: {error}") from error
            ready(url)
            await trio.sleep_forever()


async def _own_names(settings: ServeSettings) -> OwnNames:
    from cometfs.server.http.hosts import OwnNames, machine_names
    from cometfs.server.http.listener import parsed

    try:
        bound = {parsed(settings.bind)[0]}
        if await trio.to_thread.run_sync(exposure.is_reachable, settings.bind):
            with trio.move_on_after(NAMING):
                bound |= await trio.to_thread.run_sync(machine_names, abandon_on_cancel=True)
        return OwnNames(bound, settings.hosts)
    except ValueError as error:
        raise SetupError(f"cannot serve at {settings.bind}: {error}") from error


async def _serve(vfs: Vfs, settings: MountSettings, source: str, ready: Callable[[], None]) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(session.serve, vfs, settings.mountpoint, source=source, deadline=settings.deadline))
        ready()
        tell_systemd("READY=1")


async def _check(vfs: Vfs, root: str, workspaces: Sequence[str]) -> None:
    """Asks what the root will be asked first, so that a wrong key or address is told now and not by `ls`."""
    try:
        with trio.fail_after(START):
            shown = (await vfs.listings.children(vfs.root))[0].nodes
            for node in shown.values() if workspaces else ():
                if node.at.workspace:
                    await vfs.listings.children(node)
    except KeyRejected as error:
        raise SetupError(f"{root} does not accept the API key: check COMET_API_KEY or --api-key-file") from error
    except NotFound as error:
        raise SetupError(f"{error}: check --workspace, and that this key may see it") from error
    except trio.TooSlowError as error:
        raise SetupError(f"{root} did not answer within {START:g} s: check the network and --url") from error
    except Unreachable as error:
        raise SetupError(f"cannot reach Comet at {root}: check the network and --url ({error})") from error
    except CometFSError as error:
        raise SetupError(f"{root} does not answer as Comet does: check --url ({error})") from error


@asynccontextmanager
async def _until_signal() -> AsyncIterator[trio.Nursery]:
    """Runs the body in a nursery that a signal to end cancels, without an error."""
    async with trio.open_nursery() as nursery:
        await nursery.start(_await_signal, nursery)
        yield nursery
        nursery.cancel_scope.cancel()


async def _await_signal(nursery: trio.Nursery, task_status: trio.TaskStatus[None]) -> None:
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
        task_status.started()
        async for _ in signals:
            tell_systemd("STOPPING=1")
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
