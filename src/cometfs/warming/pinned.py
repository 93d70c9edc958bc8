"""What a part of the tree is kept under in the cache, so that it can be pinned: the owners of its answers.

Not here: what eviction makes of pins (cache/persistent/pins.py).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from cometfs.errors import SetupError
from cometfs.vfs.engine.vfs import Vfs
from cometfs.vfs.layout import ARCHIVED
from cometfs.vfs.nodes import Node
from cometfs.vfs.schema.declaration import Dir
from cometfs.walking.mount_tree import name_of

KEY = "user.comet.key"
"""The extended attribute of a mount that has the key of an experiment, or the id of a project."""

PROJECT = 2
"""How deep projects lie in a mount: what is deeper has no other owner below it than experiments."""


async def owners_below(vfs: Vfs, node: Node) -> list[str]:
    """The owner of a node, and those of workspaces, projects and experiments below it."""
    found = [str(node.at.key[0])] if node.at.key else []
    if node.at.experiment is None and isinstance(node.entry, Dir):
        listing, _ = await vfs.listings.children(node)
        for child in listing.nodes.values():
            if child.at.key[:1] != node.at.key[:1] or child.entry is ARCHIVED:
                found += await owners_below(vfs, child)
    return list(dict.fromkeys(found))


def owners_of_mounted(mountpoint: Path, path: Path) -> list[str]:
    """The same, of a path in a mount. Raises SetupError."""
    try:
        return list(dict.fromkeys(_owners(path, len(path.relative_to(mountpoint).parts))))
    except OSError as error:
        raise SetupError(f"cannot look at {path}: {error.strerror}") from error


def _owners(path: Path, depth: int) -> Iterator[str]:
    own = _key_of(path)
    if own is not None:
        yield own
    elif depth == 1:
        yield name_of(path)
    if depth > PROJECT and path.name != ARCHIVED.name:
        return
    for directory in _directories(path):
        if depth < PROJECT:
            yield from _owners(directory, depth + 1)
        elif (key := _key_of(directory)) not in (None, own):
            yield str(key)
        elif directory.name == ARCHIVED.name:
            yield from _owners(directory, depth + 1)


def _directories(path: Path) -> list[Path]:
    if not path.is_dir():
        return []
    with os.scandir(path) as entries:
        return [Path(one.path) for one in entries if one.is_dir(follow_symlinks=False) and not one.name.startswith(".")]


def _key_of(path: Path) -> str | None:
    try:
        return os.getxattr(path, KEY, follow_symlinks=False).decode()
    except OSError:
        return None
