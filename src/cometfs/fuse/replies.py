"""Replies to the kernel's requests: entries, attributes, open files, and for how long it may believe them.

Size, lease and whether the kernel's pages are right come from one snapshot, and are stated here. Not here: what it asks
(operations.py), notifications (notify.py), and files being written (writable.py).
"""

from __future__ import annotations

import pyfuse3
import trio
from pyfuse3 import EntryAttributes, FileInfo, ReaddirToken

from cometfs.errors import Superseded
from cometfs.fuse.notify import KernelInvalidator
from cometfs.mountstate.access import MOUNTING, Owner
from cometfs.mountstate.follow import Follower
from cometfs.mountstate.handles import Handles, OpenDir
from cometfs.mountstate.inodes import Inode, Inodes
from cometfs.vfs.engine.vfs import Vfs
from cometfs.vfs.nodes import Attributes, Content, Node, Opened
from cometfs.vfs.schema import names

LONGEST = 300.0
"""Seconds for which the kernel may at most keep entries and attributes: at 0, every read(2) costs a getattr."""

OPEN = 1.0
"""Seconds for which the attributes of an open file hold at least: its snapshot cannot change under its handles."""

GROWING = 0.1
"""The same of one that is being added to: what is added is pushed, but a look must reach us to be one."""

BLOCK = 512
"""What st_blocks counts in, in bytes."""

PAGE = 4096
"""Bytes of a page of the kernel's, or a part of one."""

BEST_READ = 128 << 10
"""st_blksize: what the kernel reads at once anyway."""


class Replies:
    """Makes replies of what the tree says, and takes note of what the kernel knows then."""

    def __init__(
        self,
        vfs: Vfs,
        inodes: Inodes,
        handles: Handles,
        follower: Follower,
        invalidator: KernelInvalidator,
        owner: Owner = MOUNTING,
    ) -> None:
        self._vfs = vfs
        self._inodes = inodes
        self._handles = handles
        self._follower = follower
        self._invalidator = invalidator
        self.pushed = 0
        """Bytes that the kernel was given before it asked."""
        self._owner = owner.ids
        self._modes = owner.modes
        self._top = owner.top

    def entry(self, parent: Inode, node: Node, lease: float) -> EntryAttributes:
        """A child of a directory, which the kernel refers to once more from then on."""
        now = trio.current_time()
        until = parent.bound(now + lease)
        inode = self._inodes.child(parent, node, until)
        self._inodes.remember(inode)
        reply = self._blank(lease)
        self._describe(reply, inode, self._vfs.glance(node), until - now)
        return reply

    def absence(self, parent: Inode, name: bytes, lease: float) -> EntryAttributes:
        """An entry that says that there is none, which the kernel remembers."""
        reply = EntryAttributes()
        reply.st_ino = pyfuse3.InodeT(0)
        reply.entry_timeout = self._invalidator.absent(parent.number, name, min(LONGEST, lease))
        return reply

    def entries(self, opened: OpenDir, start: int, token: ReaddirToken) -> None:
        """The children in an open directory, from the one of that index on, as many as the kernel takes at once."""
        parent, _, nodes, until = opened
        assert nodes is not None
        now = trio.current_time()
        reply = self._blank(max(0.0, until - now))  # one for all: pyfuse3 copies what is in it
        until = parent.bound(until)
        for index in range(start, len(nodes)):
            node = nodes[index]
            inode = self._inodes.child(parent, node, until)
            self._describe(reply, inode, self._vfs.glance(node), until - now)
            if not pyfuse3.readdir_reply(token, names.encoded(node.name), reply, index + 1):
                return
            # Only a reply that was taken counts as a reference of the kernel's.
            self._inodes.remember(inode)

    def attributes(self, inode: Inode, seen: Attributes | None = None, lease: float = LONGEST) -> EntryAttributes:
        """What `stat` shows; `seen`: what is known of it, None for what is known without a call."""
        seen = self._vfs.glance(inode.node) if seen is None else seen
        reply = self._blank(lease)
        self._describe(reply, inode, seen, inode.until - trio.current_time())
        return reply

    def open_file(self, inode: Inode, opened: Opened) -> FileInfo:
        """A handle on `opened`. Raises Superseded where open handles must keep another version.

        The kernel then looks the name up again, and gets another inode.
        """
        shared = inode.shared
        if shared is not None and shared.opened is not opened and not self._follower.take(shared, opened):
            raise Superseded(f"{inode.node.name} is open in a former version")
        shown = opened if shared is None else shared.opened
        handle, paged = self._handles.share(inode, opened)
        resized = shown.size != inode.reported_size
        if shared is None and isinstance(shown, Content) and not shown.grows:
            paged = self._push(inode, shown, paged, resized)
        if resized:
            # The kernel asks for the attributes again before it reads, and then learns the size of these very bytes.
            self._invalidator.invalidate_attrs(inode.number)
        # What grows is read past the kernel's pages: its last one would have zeros where the next bytes will be.
        return FileInfo(fh=handle, keep_cache=paged, direct_io=not self._handles.is_paged(handle))

    def _push(self, inode: Inode, opened: Content, paged: bool, resized: bool) -> bool:
        """Stores bytes of a file that has no other handle in the kernel's pages: all of a small one, unless they are
        there (`paged`), else the last page of one that the kernel takes for another size (`resized`). Returns whether
        the kernel's pages are right now.

        Small files: what is pushed is not asked for by a read(), which would make a mount that takes `touch` ask for
        the attributes again at the next look, too. Not one that may have been longer: where the kernel still takes it
        for that, a read() is what tells it the end, and pages that are there would end in what they were.
        The last page: it raises the kernel's size. A reply with a former size that another process has not taken in
        yet would else do so later, and make the kernel drop the attributes that it asks for now: a read would then
        find an empty file. After this it drops that reply.
        """
        view = inode.viewed()
        whole = not paged and view.largest <= opened.size <= BEST_READ
        if not opened.size or not (whole or resized):
            return paged
        start = 0 if whole else (opened.size - 1) // PAGE * PAGE
        view.push(opened.size)
        try:
            pushed = bytes(opened.part(start, BEST_READ))
            pyfuse3.notify_store(inode.number, start, pushed)
        except OSError:  # a kernel that does not take it reads, after it has asked for the attributes
            return paged
        self.pushed += len(pushed)
        return paged or whole

    def _blank(self, lease: float) -> EntryAttributes:
        """A reply with what is the same for all entries of a directory."""
        reply = EntryAttributes()
        reply.st_nlink = 1
        reply.st_uid, reply.st_gid = self._owner
        reply.st_blksize = BEST_READ
        reply.entry_timeout = min(LONGEST, lease)
        return reply

    def _describe(self, reply: EntryAttributes, inode: Inode, seen: Attributes, stands: float) -> None:
        """Fills in the rest. While the inode is open, size and lease are those of the open snapshot.

        `stands`: seconds for which the inode is known to stand for what it stands for. The kernel asks again after
        them, so that a `stat` in what is gone does not succeed for longer than a listing holds.
        """
        shared = inode.shared
        opened = None if shared is None else shared.opened
        size = opened.size if opened is not None else seen.size
        reply.st_ino = inode.number
        reply.st_mode = self._modes[seen.kind]
        if inode.parent is None:
            reply.st_uid, reply.st_mode = self._top
        reply.st_mtime_ns = reply.st_ctime_ns = reply.st_atime_ns = int(seen.modified_ms * 1_000_000)
        # A size that is not known yet is asked for again when it is next wanted.
        least = 0.0 if opened is None else GROWING if opened.grows else OPEN
        lease = max(min(seen.lease, stands), least)
        reply.attr_timeout = 0.0 if size is None else min(LONGEST, lease)
        if size is not None:
            inode.report_size(size)
        reply.st_size = size = inode.reported_size
        reply.st_blocks = -(-size // BLOCK)
