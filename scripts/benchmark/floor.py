"""A bare file system on pyfuse3, for the floor: files in memory, every trick of the book, nothing else.

`python floor.py SOURCE MOUNTPOINT` reads the folder SOURCE into memory and mounts it, read-only, in the foreground.
The tricks: `ro`, long timeouts, `keep_cache`, no `flush`, a cheap refusal of extended attributes, attributes made
once, and a look at the kernel's descriptor before pyfuse3 waits for it (`look_first`).

Not here: anything of cometfs. What it and this have in common is what nobody can do without.
"""

from __future__ import annotations

import errno
import os
import select
import stat
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pyfuse3
import trio

LONG = 300.0
IN_A_ROW = 32
"""Requests that are taken before trio has its turn."""


class Node:
    """A file or a folder."""

    __slots__ = ("attributes", "children", "content")

    def __init__(self, number: int, content: bytes | None) -> None:
        self.content = content
        self.children: dict[bytes, Node] = {}
        found = self.attributes = pyfuse3.EntryAttributes()
        found.st_ino = pyfuse3.InodeT(number)
        found.st_mode = pyfuse3.ModeT(stat.S_IFDIR | 0o755 if content is None else stat.S_IFREG | 0o644)
        found.st_size = len(content or b"")
        found.st_nlink = 1
        found.entry_timeout = found.attr_timeout = LONG


class Floor(pyfuse3.Operations):
    """Answers from dictionaries."""

    def __init__(self, source: Path) -> None:
        super().__init__()
        self._nodes: list[Node] = []
        self._add(source)
        self._listings: dict[int, list[tuple[bytes, Node]]] = {}

    def _add(self, path: Path) -> Node:
        node = Node(len(self._nodes) + 1, None if path.is_dir() else path.read_bytes())
        self._nodes.append(node)
        if node.content is None:
            for entry in sorted(path.iterdir()):
                node.children[os.fsencode(entry.name)] = self._add(entry)
        return node

    async def lookup(self, parent_inode: int, name: bytes, _ctx: Any) -> pyfuse3.EntryAttributes:
        found = self._nodes[parent_inode - 1].children.get(name)
        if found is None:
            raise pyfuse3.FUSEError(errno.ENOENT)
        return found.attributes

    async def getattr(self, inode: int, _ctx: Any) -> pyfuse3.EntryAttributes:
        return self._nodes[inode - 1].attributes

    async def opendir(self, inode: int, _ctx: Any) -> Any:
        if inode not in self._listings:
            self._listings[inode] = list(self._nodes[inode - 1].children.items())
        return inode

    async def readdir(self, fh: int, start_id: int, token: Any) -> None:
        listing = self._listings[fh]
        for index in range(start_id, len(listing)):
            name, node = listing[index]
            if not pyfuse3.readdir_reply(token, pyfuse3.FileNameT(name), node.attributes, index + 1):
                return

    async def open(self, inode: int, _flags: int, _ctx: Any) -> pyfuse3.FileInfo:
        return pyfuse3.FileInfo(fh=inode, keep_cache=True)

    async def read(self, fh: int, off: int, size: int) -> bytes:
        content = self._nodes[fh - 1].content
        assert content is not None
        return content[off : off + size]

    async def release(self, _fh: int) -> None:
        pass

    async def releasedir(self, _fh: int) -> None:
        pass

    async def flush(self, _fh: int) -> None:
        raise pyfuse3.FUSEError(errno.ENOSYS)

    async def getxattr(self, _inode: int, _name: bytes, _ctx: Any) -> bytes:
        raise pyfuse3.FUSEError(errno.EOPNOTSUPP)

    async def statfs(self, _ctx: Any) -> pyfuse3.StatvfsData:
        return pyfuse3.StatvfsData()

    async def forget(self, _inode_list: Sequence[tuple[Any, int]]) -> None:
        pass


def look_first(original: Callable[[], Awaitable[bool]], descriptor: int) -> Callable[[], Awaitable[bool]]:
    """pyfuse3's waiting for a request, but with a look whether there is one before trio is asked."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    taken = 0

    async def wait() -> bool:
        nonlocal taken
        if taken < IN_A_ROW and poll.poll(0):
            taken += 1
            return True
        while await original():
            taken = 0
            if poll.poll(0):
                return True
        return False

    return wait


def fuse_descriptor() -> int:
    for entry in Path("/proc/self/fd").iterdir():
        if entry.exists() and entry.readlink() == Path("/dev/fuse"):
            return int(entry.name)
    raise SystemExit("floor: nothing is mounted")


def main(source: Path, mountpoint: str) -> None:
    operations = Floor(source)
    pyfuse3.init(operations, mountpoint, {"ro", "nosuid", "nodev", "fsname=floor"})
    try:
        untyped: Any = pyfuse3
        if hasattr(untyped, "_wait_fuse_readable"):
            untyped._wait_fuse_readable = look_first(untyped._wait_fuse_readable, fuse_descriptor())
        trio.run(pyfuse3.main)
    finally:
        pyfuse3.close(unmount=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
