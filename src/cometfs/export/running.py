"""From what a user names to a tree and a directory: an export from beginning to end.

Not here: going through the tree (copying.py).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import trio

from cometfs.account import check, open_account
from cometfs.composition import Cache
from cometfs.config import MountSettings
from cometfs.errors import SetupError
from cometfs.export.comet_tree import CometTree, find
from cometfs.export.cometx_tree import CometxTree
from cometfs.export.copying import Copying, Result
from cometfs.export.globs import Selection
from cometfs.export.items import Tree
from cometfs.export.mount_tree import MountTree
from cometfs.export.target import Target
from cometfs.folders import account_in_use, cache_directory
from cometfs.fuse.mountinfo import mounts, resolve
from cometfs.lifetime import until_signal

Layout = Literal["mount", "cometx"]

Watch = Callable[[Result], None]
"""Is called a few times a second while files are written."""

TICK = 0.2
"""Seconds between two calls of it."""


@dataclass(frozen=True)
class ExportSettings:
    """Everything that `cometfs export` needs to know."""

    source: str
    target: Path
    layout: Layout
    selection: Selection
    account: Callable[[tuple[str, ...]], MountSettings]
    """The account, where no mount is read, with these workspaces at its root; raises SetupError without a key."""


def place_in_mount(source: str) -> Path | None:
    """The path that is meant, where it lies in a mount of ours. Raises SetupError where it can only be a path."""
    place = resolve(Path(source))
    around = [mount for mount in mounts() if place.is_relative_to(mount.path)]
    mount = max(reversed(around), key=lambda found: len(found.path.parts), default=None)
    if mount is not None and mount.ours:
        return place
    if source.startswith(("/", "./", "../", "~")) or source in (".", ".."):
        raise SetupError(f"{source} is in no mount of cometfs: name one, or WORKSPACE/PROJECT/EXPERIMENT")
    return None


async def run(settings: ExportSettings, result: Callable[[Result], None], watch: Watch) -> None:
    """Exports until all is done or a signal ends it; `result` is given what came of it. Raises SetupError, and what
    ends all."""
    async with until_signal(), _tree(settings) as tree:
        with Target(settings.target) as target:
            copying = Copying(tree, target, settings.selection)
            result(copying.result)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_watch, copying.result, watch)
                await copying.run()
                nursery.cancel_scope.cancel()


async def _watch(result: Result, watch: Watch) -> None:
    while True:
        watch(result)
        await trio.sleep(TICK)


@asynccontextmanager
async def _tree(settings: ExportSettings) -> AsyncIterator[Tree]:
    mounted = place_in_mount(settings.source)
    if mounted is not None and settings.layout == "mount":
        yield _mounted(mounted)
        return
    if mounted is not None:
        raise SetupError("--layout cometx asks Comet itself: name WORKSPACE/PROJECT/EXPERIMENT, not a path of a mount")
    place = settings.source.strip("/")
    account = settings.account((place.split("/")[0],))
    with account_in_use(cache_directory(account.cache_dir), account.url, account.api_key) as (folder, keep):
        async with open_account(account, Cache(folder, account.cache_size)) as (vfs, api):
            await check(vfs, api, account.workspaces)
            keep()
            node = await find(vfs, place)
            yield CometxTree(vfs, node) if settings.layout == "cometx" else CometTree(vfs, node)


def _mounted(place: Path) -> MountTree:
    try:
        return MountTree(place)
    except OSError as error:
        raise SetupError(f"cannot read {place}: {error.strerror}") from error
