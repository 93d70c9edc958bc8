"""The tree of a mount, as every program sees it. The mount has key and cache; nothing else is needed.

Not here: finding the mount (fuse/mountinfo.py).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import trio

from cometfs.vfs.nodes import Kind
from cometfs.vfs.schema import names
from cometfs.walking.items import Item, Version, Wanted


class MountTree:
    """Paths below one that lies in a mount."""

    def __init__(self, place: Path) -> None:
        kind = _kind(place.lstat().st_mode)
        # One file alone has a path, its name: there is no directory that it is found in.
        self._place = os.fsencode(place if kind == "dir" else place.parent)
        self.root = Item(() if kind == "dir" else (names.decoded(os.fsencode(place.name)),), kind, None)

    async def children(self, directory: Item) -> list[Item]:
        return await trio.to_thread.run_sync(self._children, directory, abandon_on_cancel=True)

    def _children(self, directory: Item) -> list[Item]:
        with os.scandir(self._path(directory)) as entries:
            return [Item((*directory.path, names.decoded(entry.name)), _kind_of(entry), None) for entry in entries]

    def groups(self, directories: Sequence[Item]) -> list[list[Item]]:
        return [[item] for item in directories]

    async def gather(self, directories: Sequence[Item], wanted: Wanted | None) -> None:
        """The mount sees itself what is read."""

    def version(self, file: Item) -> Version | None:  # noqa: ARG002
        return None

    async def open(self, file: Item) -> OpenedFile:
        return await trio.to_thread.run_sync(OpenedFile.of, self._path(file), abandon_on_cancel=True)

    async def readlink(self, link: Item) -> str:
        return names.decoded(await trio.to_thread.run_sync(os.readlink, self._path(link), abandon_on_cancel=True))

    async def modified_ns(self, item: Item) -> int:
        return (await trio.to_thread.run_sync(os.lstat, self._path(item), abandon_on_cancel=True)).st_mtime_ns

    def _path(self, item: Item) -> bytes:
        return b"/".join([self._place, *map(names.encoded, item.path)])


@dataclass(frozen=True, slots=True)
class OpenedFile:
    """A file of the mount, open."""

    descriptor: int
    size: int

    @classmethod
    def of(cls, path: bytes) -> OpenedFile:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        return cls(descriptor, os.fstat(descriptor).st_size)

    async def read(self, offset: int, length: int) -> bytes:
        return await trio.to_thread.run_sync(os.pread, self.descriptor, length, offset)

    def close(self) -> None:
        os.close(self.descriptor)


def _kind_of(entry: os.DirEntry[bytes]) -> Kind:
    if entry.is_symlink():
        return "link"
    return "dir" if entry.is_dir(follow_symlinks=False) else "file"


def _kind(mode: int) -> Kind:
    return "dir" if stat.S_ISDIR(mode) else "link" if stat.S_ISLNK(mode) else "file"


def name_of(path: Path) -> str:
    """What the last part of a path is called in the tree."""
    return names.decoded(os.fsencode(path.name))
