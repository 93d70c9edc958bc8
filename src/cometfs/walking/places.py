"""From what a user names to a tree: a path in a mount, or names of an account without one.

Not here: going through the tree (walk.py).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from cometfs.comet.api import API
from cometfs.composition.account import check, open_account
from cometfs.composition.assembly import Cache
from cometfs.config import MountSettings
from cometfs.errors import SetupError
from cometfs.folders import account_in_use, cache_directory
from cometfs.fuse.mountinfo import mounts, resolve
from cometfs.vfs.engine.vfs import Vfs
from cometfs.vfs.nodes import Node
from cometfs.walking.comet_tree import find
from cometfs.walking.mount_tree import MountTree

Account = Callable[[tuple[str, ...]], MountSettings]
"""The account, where no mount is read, with these workspaces at its root; raises SetupError without a key."""


class Place(NamedTuple):
    """Where a path lies in a mount of ours."""

    mountpoint: Path
    path: Path


def place_in_mount(source: str) -> Place | None:
    """The path that is meant, where it lies in a mount of ours. Raises SetupError where it can only be a path."""
    place = resolve(Path(source))
    around = [mount for mount in mounts() if place.is_relative_to(mount.path)]
    mount = max(reversed(around), key=lambda found: len(found.path.parts), default=None)
    if mount is not None and mount.ours:
        return Place(mount.path, place)
    if source.startswith(("/", "./", "../", "~")) or source in (".", ".."):
        raise SetupError(f"{source} is in no mount of cometfs: name one, or WORKSPACE/PROJECT/EXPERIMENT")
    return None


def mounted(place: Path) -> MountTree:
    """The tree below a path in a mount. Raises SetupError."""
    try:
        return MountTree(place)
    except OSError as error:
        raise SetupError(f"cannot read {place}: {error.strerror}") from error


class Opened(NamedTuple):
    """An account that is open, without a mount."""

    vfs: Vfs
    api: API
    folder: Path
    """Its cache."""


@asynccontextmanager
async def opened(account: MountSettings) -> AsyncIterator[Opened]:
    """Raises SetupError where nothing answers."""
    with account_in_use(cache_directory(account.cache_dir), account.url, account.api_key) as (folder, keep):
        async with open_account(account, Cache(folder, account.cache_size)) as (vfs, api):
            await check(vfs, api, account.workspaces)
            keep()
            yield Opened(vfs, api, folder)


async def node_at(vfs: Vfs, source: str) -> Node:
    """What a user has named. Raises SetupError where there is none."""
    return await find(vfs, source.strip("/"))
