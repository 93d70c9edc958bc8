"""The handlers: each takes a place from an inode, makes one call to the tree, and replies. Decides nothing."""

from __future__ import annotations

import errno
import os
import select
import stat
from collections.abc import Sequence

import pyfuse3
import trio
from pyfuse3 import EntryAttributes, FileHandleT, FileInfo, InodeT, ReaddirToken, RequestContext, SetattrFields

from cometfs.errors import NoSuchEntry, Superseded
from cometfs.fuse.handles import Handles, OpenDir
from cometfs.fuse.inodes import Inode, Inodes
from cometfs.fuse.live import Live
from cometfs.fuse.notices import end_attributes
from cometfs.fuse.refresh import Refresh
from cometfs.fuse.refusals import Refusals, is_touch, refuse, runs, writes
from cometfs.fuse.requests import Patience, at_once, handler, handler_after
from cometfs.fuse.standing import DOUBTED, WAIT, Standing
from cometfs.tree.place import Attributes, Content, Listing, Node, Opened
from cometfs.tree.vfs import Vfs

LONGEST = 300.0
"""Seconds for which the kernel may at most keep entries and attributes: at 0, every read(2) costs a getattr."""

OPEN = 1.0
"""Seconds for which the attributes of an open file hold at least: its snapshot cannot change under its handles."""

GROWING = 0.1
"""The same of one that is being added to: what is added is pushed, but a look must reach us to be one."""

READABLE = select.POLLIN | select.POLLRDNORM
"""What poll(2) is told of a file that can be read on."""

ATTRIBUTE = b"user.comet."
"""How extended attributes begin that tell where a file comes from."""

BLOCK = 512
"""What st_blocks counts in, in bytes."""

PAGE = 4096
"""Bytes of a page of the kernel's, or a part of one."""

BEST_READ = 128 << 10
"""st_blksize: what the kernel reads at once anyway."""


_MODES = {"dir": stat.S_IFDIR | 0o555, "file": stat.S_IFREG | 0o444, "link": stat.S_IFLNK | 0o777}


class Operations(Refusals):
    """What the kernel asks of a mounted tree."""

    def __init__(self, vfs: Vfs, patience: Patience) -> None:
        super().__init__()
        self.patience = patience
        self._vfs = vfs
        self._inodes = Inodes(vfs.root, _outdated)
        self._standing = Standing(vfs, self._inodes, patience)
        self._handles = Handles()
        self.live = Live(vfs, self._inodes, self._handles, self._standing)
        self.refresh = Refresh(vfs, self._inodes, self._handles, self.live)
        self._owner = (os.getuid(), os.getgid())

    def _place_at_hand(self, number: InodeT) -> Inode | None:
        """The inode, where it is known whether it still stands for what it stood for. Raises Stale."""
        place = self._inodes.at(number)
        return place if self._standing.holds(place) else None

    async def _place(self, number: InodeT) -> Inode:
        """The same, where somebody must be asked."""
        place = self._inodes.at(number)
        await self._standing.look(place)
        return place

    def _lookup_at_hand(self, parent_inode: InodeT, name: bytes, ctx: RequestContext) -> EntryAttributes | None:
        parent = self._place_at_hand(parent_inode)
        if parent is None:
            return None
        if name in (b".", b".."):
            inode = parent if name == b"." else parent.parent or parent
            return self._attributes(inode, self._vfs.glance(inode.node))
        try:
            found = self._vfs.listings.child_at_hand(parent.node, os.fsdecode(name))
        except NoSuchEntry as error:
            return self._absence(parent, name, error.lease)
        return None if found is None else self._entry(parent, *found)

    @handler_after(_lookup_at_hand)
    async def lookup(self, parent_inode: InodeT, name: bytes, ctx: RequestContext) -> EntryAttributes:
        with self.refresh.notices.looking_up(parent_inode):
            parent = await self._place(parent_inode)
            try:
                wait = min(WAIT, self.patience.deadline / 4)
                return self._entry(parent, *await self.live.child(parent, os.fsdecode(name), wait))
            except NoSuchEntry as error:
                return self._absence(parent, name, error.lease)

    def _absence(self, parent: Inode, name: bytes, lease: float) -> EntryAttributes:
        """An entry that says that there is none, which the kernel remembers."""
        reply = EntryAttributes()
        reply.st_ino = pyfuse3.InodeT(0)
        reply.entry_timeout = self.refresh.notices.absent(parent.number, name, min(LONGEST, lease))
        return reply

    def _entry(self, parent: Inode, node: Node, lease: float) -> EntryAttributes:
        now = trio.current_time()
        until = max(DOUBTED, min(parent.until, now + lease))
        inode = self._inodes.child(parent, node, until)
        self._inodes.remember(inode)
        reply = self._blank(lease)
        self._describe(reply, inode, self._vfs.glance(node), until - now)
        return reply

    def _getattr_at_hand(self, inode: InodeT, ctx: RequestContext) -> EntryAttributes | None:
        place = self._inodes.at(inode)
        is_open = self._handles.opened(place) is not None
        if self.live.is_due(place) if is_open else not self._standing.holds(place):
            return None
        seen = self._vfs.glance(place.node)
        return None if seen.size is None and not is_open else self._attributes(place, seen)

    @handler_after(_getattr_at_hand)
    async def getattr(self, inode: InodeT, ctx: RequestContext) -> EntryAttributes:
        place = self._inodes.at(inode)
        if self._handles.opened(place) is not None:
            # Who has it open has one version of it, whatever happens at Comet.
            await self.live.look(place)
            return self._attributes(place, self._vfs.glance(place.node))
        await self._standing.look(place)
        directory = place.parent.node if place.parent else None
        return self._attributes(place, await self._vfs.attributes(place.node, directory))

    @handler
    async def setattr(
        self, inode: InodeT, attr: EntryAttributes, fields: SetattrFields, fh: FileHandleT | None, ctx: RequestContext
    ) -> EntryAttributes:
        """`touch` asks again; nothing can be set."""
        if not is_touch(attr, fields):
            refuse()
        place = self._inodes.at(inode)
        await self.refresh(place)
        reply = self._attributes(place, self._vfs.glance(place.node))
        reply.attr_timeout = 0.0
        return reply

    def _readlink_at_hand(self, inode: InodeT, ctx: RequestContext) -> pyfuse3.FileNameT | None:
        place = self._place_at_hand(inode)
        return None if place is None else pyfuse3.FileNameT(os.fsencode(self._vfs.readlink(place.node)))

    @handler_after(_readlink_at_hand)
    async def readlink(self, inode: InodeT, ctx: RequestContext) -> pyfuse3.FileNameT:
        return pyfuse3.FileNameT(os.fsencode(self._vfs.readlink((await self._place(inode)).node)))

    def _open_at_hand(self, inode: InodeT, flags: int, ctx: RequestContext) -> FileInfo | None:
        if writes(flags):
            refuse()
        place = self._place_at_hand(inode)
        if place is None:
            return None
        shared = self._handles.shared(place)
        # A body is that of the file as long as anybody has it open; so is a draft.
        lasts = shared is not None and not isinstance(shared.opened, Content)
        opened = shared.opened if shared is not None and lasts else self._vfs.files.open_at_hand(place.node)
        return None if opened is None else self._opened(place, opened)

    @handler_after(_open_at_hand)
    async def open(self, inode: InodeT, flags: int, ctx: RequestContext) -> FileInfo:
        place = await self._place(inode)
        return self._opened(place, await self.live.open(place, self.patience.deadline / 2))

    def _opened(self, place: Inode, opened: Opened) -> FileInfo:
        """A handle on `opened`. Raises Superseded where who has the file open must keep another version.

        The kernel then looks the name up again, and is told of another inode.
        """
        shared = self._handles.shared(place)
        if shared is not None and shared.opened is not opened and not self.live.take(shared, opened):
            raise Superseded(f"{place.node.name} is open in a former version")
        shown = opened if shared is None else shared.opened
        handle, paged = self._handles.share(place, opened)
        resized = shown.size != place.told_size
        if shared is None and isinstance(shown, Content) and not shown.grows and (resized or not paged):
            paged = _push(place, shown, paged)
        if resized:
            # The kernel asks for the attributes again before it reads, and then learns the size of these very bytes.
            end_attributes(place.number)
        # What grows is read past the kernel's pages: its last one would have zeros where the next bytes will be.
        return FileInfo(fh=handle, keep_cache=paged, direct_io=shown.grows)

    def _read_at_hand(self, fh: FileHandleT, off: int, size: int) -> bytes | None:
        shared = self._handles.behind(fh)
        opened = shared.opened
        if not isinstance(opened, Content):
            return None
        if opened.grows:
            if off >= opened.size and self.live.is_due(shared.inode):
                return None
            self._handles.note_read(fh, min(off + size, opened.size))
        return opened.part(off, size)  # type: ignore[return-value]  # a memoryview is as good as bytes

    @handler_after(_read_at_hand)
    async def read(self, fh: FileHandleT, off: int, size: int) -> bytes:
        shared = self._handles.behind(fh)
        if shared.opened.grows:
            await self.live.look(shared.inode)
            self._handles.note_read(fh, min(off + size, shared.opened.size))
        return await shared.opened.read(off, size)  # type: ignore[return-value]

    @at_once
    def poll(self, inode: InodeT, fh: FileHandleT, poll_handle: pyfuse3.PollHandle | None, ctx: RequestContext) -> int:
        if self._handles.has_more(fh):
            return READABLE
        if poll_handle is not None:
            self.live.wait(fh, poll_handle, ctx.pid)
        return 0

    @at_once
    def release(self, fh: FileHandleT) -> None:
        self.live.forget(fh)
        self._handles.release(fh)

    def _opendir_at_hand(self, inode: InodeT, ctx: RequestContext) -> FileHandleT | None:
        place = self._place_at_hand(inode)
        found = None if place is None else self._vfs.listings.children_at_hand(place.node)
        return None if place is None or found is None else self._open_dir(place, found[0])

    @handler_after(_opendir_at_hand)
    async def opendir(self, inode: InodeT, ctx: RequestContext) -> FileHandleT:
        place = await self._place(inode)
        return self._open_dir(place, (await self._vfs.listings.children(place.node))[0])

    def _open_dir(self, place: Inode, listing: Listing) -> FileHandleT:
        self._vfs.listed(place.node)
        return self._handles.open_dir(OpenDir(place, list(listing.nodes.values()), listing.until))

    @at_once
    def readdir(self, fh: FileHandleT, start_id: int, token: ReaddirToken) -> None:
        parent, nodes, until = self._handles.dir(fh)
        now = trio.current_time()
        reply = self._blank(max(0.0, until - now))  # one for all: pyfuse3 copies what is in it
        until = max(DOUBTED, min(until, parent.until))
        for index in range(start_id, len(nodes)):
            node = nodes[index]
            inode = self._inodes.child(parent, node, until)
            self._describe(reply, inode, self._vfs.glance(node), until - now)
            if not pyfuse3.readdir_reply(token, os.fsencode(node.name), reply, index + 1):
                return
            # Only a reply that was taken counts as a reference of the kernel's.
            self._inodes.remember(inode)

    @at_once
    def releasedir(self, fh: FileHandleT) -> None:
        self._handles.release_dir(fh)

    async def forget(self, inode_list: Sequence[tuple[InodeT, int]]) -> None:
        self._inodes.forget(inode_list)
        self._handles.forget([number for number, _ in inode_list])
        self.refresh.notices.forget(number for number, _ in inode_list if number not in self._inodes)

    @at_once
    def getxattr(self, inode: InodeT, name: bytes, ctx: RequestContext) -> bytes:
        if not name.startswith(b"user."):
            # One refusal of this kind, and the kernel asks for no attribute of that class again (security, ACLs).
            raise pyfuse3.FUSEError(errno.EOPNOTSUPP)
        found = self._provenance(inode)
        word = os.fsdecode(name.removeprefix(ATTRIBUTE))
        if not name.startswith(ATTRIBUTE) or word not in found:
            raise pyfuse3.FUSEError(pyfuse3.ENOATTR)
        return os.fsencode(found[word])

    @at_once
    def listxattr(self, inode: InodeT, ctx: RequestContext) -> Sequence[pyfuse3.XAttrNameT]:
        found = self._provenance(inode)
        return [pyfuse3.XAttrNameT(ATTRIBUTE + os.fsencode(word)) for word in found]

    def _provenance(self, inode: InodeT) -> dict[str, str]:
        place = self._inodes.at(inode)
        self._standing.holds(place)
        return self._vfs.provenance(place.node)

    @at_once
    def access(self, inode: InodeT, mode: int, ctx: RequestContext) -> bool:
        if mode & os.W_OK:
            self._check_writable(inode)
        return not runs(mode, self._vfs.glance(self._inodes.at(inode).node))

    def _check_writable(self, inode: InodeT) -> None:
        """Raises ReadOnly: nothing is."""
        refuse()

    @at_once
    def statfs(self, ctx: RequestContext) -> pyfuse3.StatvfsData:
        figures = pyfuse3.StatvfsData()
        figures.f_bsize = figures.f_frsize = BLOCK
        figures.f_namemax = 255
        figures.f_files = len(self._inodes)
        return figures

    def close(self) -> None:
        """Closes what is still open; for the end of the mount."""
        self._handles.close()

    def _attributes(self, inode: Inode, seen: Attributes, lease: float = LONGEST) -> EntryAttributes:
        """What the kernel is told of `inode`."""
        reply = self._blank(lease)
        self._describe(reply, inode, seen, inode.until - trio.current_time())
        return reply

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
        opened = self._handles.opened(inode)
        size = opened.size if opened is not None else seen.size
        reply.st_ino = inode.number
        reply.st_mode = _MODES[seen.kind] | (stat.S_IWUSR if seen.writable else 0)
        reply.st_mtime_ns = reply.st_ctime_ns = reply.st_atime_ns = int(seen.modified_ms * 1_000_000)
        # A size that nobody knows yet is asked for again by whoever wants it.
        least = 0.0 if opened is None else GROWING if opened.grows else OPEN
        lease = max(min(seen.lease, stands), least)
        reply.attr_timeout = 0.0 if size is None or not seen.settled else min(LONGEST, lease)
        if size is not None:
            inode.told_size = size
        reply.st_size = inode.told_size
        reply.st_blocks = -(-inode.told_size // BLOCK)


def _push(inode: Inode, opened: Content, paged: bool) -> bool:
    """Stores bytes of a file that nobody else has open in the kernel's pages: all of a small one, unless they are there
    (`paged`), else the last page. Returns whether the kernel's pages are right now.

    Small files: what is pushed is not asked for by a read(), which would make a mount that takes `touch` ask for the
    attributes again at the next look, too.
    The last page: it raises the kernel's size. A reply with a former size that another process has not taken in yet
    would else do so later, and make the kernel drop the attributes that it asks for now: who reads then would find an
    empty file. After this it drops that reply.
    """
    start = 0 if opened.size <= BEST_READ and not paged else max(0, opened.size - 1) // PAGE * PAGE
    if not opened.size:
        return paged
    try:
        pyfuse3.notify_store(inode.number, start, bytes(opened.part(start, BEST_READ)))
    except OSError:  # a kernel that does not take it reads, after it has asked for the attributes
        return paged
    return paged or start == 0


def _outdated(inode: Inode) -> None:
    end_attributes(inode.number)
