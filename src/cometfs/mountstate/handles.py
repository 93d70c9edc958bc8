"""What the kernel has open: snapshots of files and of listings, by handle.

A handle is a snapshot: `open` fixes the bytes, the first `readdir` the list. The kernel keeps one page cache and one
size per inode, so all handles of an inode that are open at once share one snapshot: two versions can never mix in it. A
snapshot that grows gets its new bytes for all of them at once; one that the file has turned away from stays with its
inode, and the name is given another one.

Not here: when it is asked again what an open file is now (follow.py).
"""

from __future__ import annotations

from typing import NamedTuple

import trio

from cometfs.errors import Stale
from cometfs.mountstate.inodes import Inode
from cometfs.mountstate.kernel_view import Shared
from cometfs.vfs.nodes import Node, Opened

SAME = 0.25
"""Seconds within which the kernel asks again for a page that it did not get, on behalf of the same read."""


class OpenDir(NamedTuple):
    """An open directory: its inode, the program that opened it, what was found in it, and the moment on trio's clock
    until which that holds."""

    inode: Inode
    pid: int
    nodes: list[Node] | None
    """None until it is first read, where a call is needed: searches open directories that they never read."""
    until: float = 0.0


class Handles:
    """Open files and directories. The view of an inode has a `shared` iff one of its handles is in `_files`, and
    `pages`, which outlive that, iff the kernel's pages of it hold nothing but that version.
    """

    def __init__(self) -> None:
        self._next = 0
        self._files: dict[int, Shared] = {}
        self._read_to: dict[int, int] = {}
        """How far a file that grows was read, by handle, in bytes."""
        self._openers: dict[int, int] = {}
        """The program that opened a file, by handle: the kernel does not tell which one reads."""
        self._late: dict[int, tuple[range, float]] = {}
        """The last read that did not come in time, by handle, and until when that is remembered."""
        self._dirs: dict[int, OpenDir] = {}

    def inodes(self) -> list[Inode]:
        """Of which files are open."""
        return list(dict.fromkeys(shared.inode for shared in self._files.values()))

    def count(self) -> int:
        """How many files are open."""
        return len(self._files)

    def count_dirs(self) -> int:
        """How many directories are."""
        return len(self._dirs)

    def share(self, inode: Inode, opened: Opened) -> tuple[int, bool]:
        """A handle on `opened`, or on the snapshot that the inode has already and that takes `opened`; and whether the
        kernel's pages of the inode are still right.

        It is read through them unless the snapshot grows, or did when others opened it: a handle that is read through
        pages would keep those from seeing more, if the run is taken up again.
        """
        view, shared = inode.viewed(), inode.shared
        if shared is None:
            shared = view.shared = Shared(inode, opened)
        elif shared.opened is not opened:
            opened.close()
        handle = self._number()
        shared.handles.add(handle)
        self._files[handle] = shared
        if not shared.paged:
            # It grows past the pages, of which a private mapping may leave some.
            view.pages = None
            return handle, False
        before, view.pages = view.pages, shared.opened.version
        return handle, view.pages == before

    def file(self, handle: int) -> Opened:
        """The snapshot behind a handle. Raises Stale for one that is not open."""
        return self.behind(handle).opened

    def behind(self, handle: int) -> Shared:
        """What a handle shares with the others of its inode. Raises Stale for one that is not open."""
        try:
            return self._files[handle]
        except KeyError:
            raise Stale(f"file handle {handle} is not open") from None

    def opened_by(self, handle: int, pid: int) -> None:
        """A program has opened a file."""
        self._openers[handle] = pid

    def opener(self, handle: int) -> int:
        """That program; 0 where it is not known."""
        return self._openers.get(handle, 0)

    def is_paged(self, handle: int) -> bool:
        """Whether it is read through the kernel's pages."""
        return self.behind(handle).paged

    def note_read(self, handle: int, end: int) -> None:
        """A file that grows was read up to `end`."""
        self._read_to[handle] = max(self._read_to.get(handle, 0), end)

    def has_more(self, handle: int) -> bool:
        """Whether there is something behind what was read; always of a file that does not grow, as for any file."""
        shared = self.behind(handle)
        waits = shared.opened.grows and not shared.parted
        return not waits or self._read_to.get(handle, 0) < shared.opened.size

    def note_late(self, handle: int, offset: int, size: int) -> None:
        """A read did not come in time."""
        self._late[handle] = (range(offset, offset + size), trio.current_time() + SAME)

    def was_late(self, handle: int, offset: int) -> bool:
        """Whether a read of this place has just not come in time, once: of a program that waits for one page, the
        kernel asks for many, and then for that one."""
        part, until = self._late.pop(handle, (range(0), 0.0))
        return offset in part and trio.current_time() < until

    def release(self, handle: int) -> None:
        """Closes a handle; the last one of an inode closes its snapshot."""
        self._read_to.pop(handle, None)
        self._openers.pop(handle, None)
        self._late.pop(handle, None)
        shared = self._files.pop(handle, None)
        if shared is None:
            return
        shared.handles.discard(handle)
        if not shared.handles:
            view = shared.inode.viewed()
            if view.shared is shared:  # not so if it broke and others began anew
                view.shared = None
                if not shared.opened.broken and view.pages is not None:
                    # A download has a lasting version only when all of it has come.
                    view.pages = shared.opened.version
            shared.opened.close()

    def open_dir(self, opened: OpenDir) -> int:
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

    def dirs(self) -> list[OpenDir]:
        """All listings that are open."""
        return list(self._dirs.values())

    def list_dir(self, handle: int, nodes: list[Node], until: float) -> OpenDir:
        """Fixes what is in it, once: one that was listed meanwhile keeps its list."""
        opened = self.dir(handle)
        if opened.nodes is None:
            opened = self._dirs[handle] = opened._replace(nodes=nodes, until=until)
        return opened

    def release_dir(self, handle: int) -> None:
        """Closes a handle on a listing."""
        self._dirs.pop(handle, None)

    def close(self) -> None:
        """Closes everything; for the end of the mount."""
        for handle in list(self._files):
            self.release(handle)
        self._dirs.clear()

    def _number(self) -> int:
        self._next += 1
        return self._next
