"""What the kernel may hold of one inode beside its name and its last attributes: open handles, pages, former sizes.

Such a thing lives and dies with its inode: nothing has to be forgotten by number. Not here: how handles are given and
taken back (handles.py), and what is reported to the kernel (fuse/replies.py).
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

from cometfs.vfs.nodes import Opened

if TYPE_CHECKING:
    from cometfs.mountstate.inodes import Inode


class Shared:
    """The snapshot of an inode that is open, which all its handles share."""

    __slots__ = ("handles", "inode", "opened", "paged", "parted", "rests_until")

    def __init__(self, inode: Inode, opened: Opened) -> None:
        self.inode = inode
        self.opened = opened
        self.handles: set[int] = set()
        self.paged = not opened.grows
        """Whether it is read through the kernel's pages, which cannot grow without tearing: whatever was not growing
        when it was first opened."""
        self.parted = False
        """Whether the file has become another one, under another inode: nothing will be added to this one any more."""
        self.rests_until = 0.0
        """Until when it is not asked what the file is now, on trio's clock: asking has just failed, or takes long."""

    @property
    def goes_on(self) -> bool:
        """Whether what is added to the file can be shown by its open handles."""
        return not self.paged and not self.parted

    @property
    def is_open(self) -> bool:
        """Whether a handle is open on it, and the next open may share it."""
        return bool(self.handles) and not self.opened.broken


class KernelView:
    """One inode as the kernel may see it. An inode has one iff it was ever opened, or reported smaller than before:
    the many that are only listed do not."""

    __slots__ = ("largest", "pages", "reported", "shared")

    def __init__(self, reported: int) -> None:
        self.reported = reported
        """The size last reported to the kernel."""
        self.largest = reported
        """The largest size ever reported to it, or stored into its pages. It may take the file to be that long at any
        time: it drops replies that it finds late, and believes what was reported before them."""
        self.pages: Hashable = None
        """The version that is all the kernel's pages of it can hold; None where they may hold anything."""
        self.shared: Shared | None = None
        """What the handles on it share, of which there is one at least."""

    def tell(self, size: int) -> None:
        """This size is reported to the kernel."""
        self.reported = size
        self.push(size)

    def push(self, size: int) -> None:
        """The kernel is given bytes up to here."""
        self.largest = max(self.largest, size)
