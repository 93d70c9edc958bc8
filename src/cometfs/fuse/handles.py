"""What the kernel has open: snapshots of files and of listings, by handle.

A handle is a snapshot: `open` fixes the bytes, `opendir` the list. The kernel keeps one page cache per inode, so all
handles of an inode that are open at once share one snapshot: two versions can never mix in it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from typing import NamedTuple

import pyfuse3

from cometfs.errors import Stale
from cometfs.fuse.inodes import Inode
from cometfs.tree.place import Node, Opened


class _Open:
    __slots__ = ("handles", "inode", "opened")

    def __init__(self, inode: Inode, opened: Opened) -> None:
        self.inode = inode
        self.opened = opened
        self.handles = 0


class OpenDir(NamedTuple):
    """An open directory: its inode, and what `opendir` found in it and for how many seconds that held then."""

    inode: Inode
    nodes: list[Node]
    lease: float


class Handles:
    """Open files and directories. An inode is in `_open` iff it has a file handle; `_versions` outlives that."""

    def __init__(self) -> None:
        self._next = 0
        self._files: dict[int, _Open] = {}
        self._dirs: dict[int, OpenDir] = {}
        self._open: dict[int, _Open] = {}
        self._versions: dict[int, Hashable] = {}

    def opened(self, inode: Inode) -> Opened | None:
        """The snapshot that the open handles of `inode` share, if there are any."""
        shared = self._open.get(inode.number)
        return None if shared is None or shared.opened.broken else shared.opened

    async def open(self, inode: Inode, begin: Callable[[Node], Awaitable[Opened]]) -> tuple[pyfuse3.FileHandleT, bool]:
        """A handle on the shared snapshot or a new one, and whether the kernel's pages of the inode are still right."""
        return self.share(inode, self.opened(inode) or await begin(inode.node))

    def share(self, inode: Inode, opened: Opened) -> tuple[pyfuse3.FileHandleT, bool]:
        """The same with the snapshot at hand, which is closed where the inode has another already."""
        shared = self._open.get(inode.number)
        if shared is None or shared.opened.broken:
            shared = self._open[inode.number] = _Open(inode, opened)
        elif shared.opened is not opened:
            opened.close()  # somebody else was faster; all share the first one's
        shared.handles += 1
        handle = self._number()
        self._files[handle] = shared
        version = shared.opened.version
        same = self._versions.get(inode.number) == version
        self._versions[inode.number] = version
        return handle, same

    def file(self, handle: int) -> Opened:
        """The snapshot behind a handle. Raises Stale for one that is not open."""
        try:
            return self._files[handle].opened
        except KeyError:
            raise Stale(f"file handle {handle} is not open") from None

    def release(self, handle: int) -> None:
        """Closes a handle; the last one of an inode closes its snapshot."""
        shared = self._files.pop(handle, None)
        if shared is None:
            return
        shared.handles -= 1
        if shared.handles == 0:
            if self._open.get(shared.inode.number) is shared:  # not so if it broke and others began anew
                del self._open[shared.inode.number]
                if not shared.opened.broken:
                    # A download has a lasting version only when all of it has come.
                    self._versions[shared.inode.number] = shared.opened.version
            shared.opened.close()

    def open_dir(self, opened: OpenDir) -> pyfuse3.FileHandleT:
        """A handle on a listing."""
        handle = self._number()
        self._dirs[handle] = opened
        return handle

    def dir(self, handle: int) -> OpenDir:
        """The listing behind a handle. Raises Stale for one that is not open."""
        try:
            return self._dirs[handle]
        except KeyError:
            raise Stale(f"directory handle {handle} is not open") from None

    def release_dir(self, handle: int) -> None:
        """Closes a handle on a listing."""
        self._dirs.pop(handle, None)

    def forget(self, numbers: list[int]) -> None:
        """The kernel may have forgotten these inodes: their pages are gone with them."""
        for number in numbers:
            if number not in self._open:
                self._versions.pop(number, None)

    def close(self) -> None:
        """Closes everything; for the end of the mount."""
        for handle in list(self._files):
            self.release(handle)
        self._dirs.clear()

    def _number(self) -> pyfuse3.FileHandleT:
        self._next += 1
        return pyfuse3.FileHandleT(self._next)
