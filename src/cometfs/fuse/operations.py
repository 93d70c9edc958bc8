"""The handlers: each takes a place from an inode, makes one call to the tree, and replies.

Not here: what replies are made of (replies.py), and requests to change something (readonly.py, writable.py).
"""

from __future__ import annotations

import errno
import os
import select
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import msgspec
import pyfuse3
import trio
from pyfuse3 import EntryAttributes, FileHandleT, FileInfo, InodeT, ReaddirToken, RequestContext, SetattrFields

from cometfs.caller import command_of
from cometfs.errors import NoSuchEntry, NotPermitted
from cometfs.fuse.failing import subject
from cometfs.fuse.notify import KernelInvalidator
from cometfs.fuse.procfs import Programs, wants_size
from cometfs.fuse.readonly import ReadOnlyOperations, is_touch, refuse, runs, writes
from cometfs.fuse.replies import BLOCK, Replies
from cometfs.fuse.requests import at_once, handler, handler_after
from cometfs.mountstate.access import MOUNTING, Owner
from cometfs.mountstate.asked_twice import AskedTwice, Together
from cometfs.mountstate.follow import Follower
from cometfs.mountstate.handles import Handles, OpenDir
from cometfs.mountstate.inodes import Inode, Inodes
from cometfs.mountstate.invalidate import Invalidation
from cometfs.mountstate.kernel_view import Shared
from cometfs.mountstate.limits import RequestLimiter
from cometfs.mountstate.revalidate import Revalidator
from cometfs.telemetry import logs, metrics
from cometfs.telemetry.gauges import Histogram
from cometfs.vfs.engine.vfs import Vfs
from cometfs.vfs.engine.walk_prefetch import FOLLOWED
from cometfs.vfs.nodes import Content, Listing, Node, Opened, OpenedBody
from cometfs.vfs.schema import names

READABLE = select.POLLIN | select.POLLRDNORM
"""What poll(2) reports of a file that can be read on."""

ATTRIBUTE = b"user.comet."
"""How extended attributes begin that tell where a file comes from."""

LOG_LEVEL = logs.ATTRIBUTE.encode()

COST = ATTRIBUTE + b"cost."
"""In no listing, for it may make calls: as many as the number says that follows. A word behind that is the same for
paths whose cost is added up: what they share is counted once."""


class Operations(ReadOnlyOperations):
    """What the kernel asks of a mounted tree.

    A request that can often be answered at once has two ways, which share what they decide: `_*_nowait` looks whether
    all is at hand; the handler waits for what is not, and goes on as the other does.
    """

    def __init__(self, vfs: Vfs, limiter: RequestLimiter, owner: Owner = MOUNTING) -> None:
        super().__init__()
        self.limiter = limiter
        self.timings = defaultdict(Histogram)
        self.errnos = Counter()
        self._served = 0
        """Bytes of files that were read."""
        self._vfs = vfs
        self.invalidator = KernelInvalidator()
        self._inodes = Inodes(vfs.root, lambda inode: self.invalidator.invalidate_attrs(inode.number))
        self._revalidator = Revalidator(vfs, self._inodes, limiter)
        self._handles = Handles()
        self.follower = Follower(vfs, self._inodes, self._revalidator, self.invalidator.invalidate_attrs)
        self._refresh = Invalidation(vfs, self._inodes, self._handles, self.follower, self.invalidator)
        self.programs = Programs()
        self._costs = AskedTwice()
        self._together = Together[Node]()
        self._replies = Replies(vfs, self._inodes, self._handles, self.follower, self.invalidator, owner)
        vfs.gauges |= {
            "open_files": self._handles.count,
            "open_directories": self._handles.count_dirs,
            "requests": limiter.count,
            "inodes": lambda: len(self._inodes),
        }
        vfs.meters |= {
            metrics.REQUESTS: lambda: {(name,): taken for name, taken in self.timings.items()},
            metrics.ERRORS: lambda: {(name,): count for name, count in self.errnos.items()},
            metrics.SERVED: lambda: {(): self._served + self._replies.pushed},
        }

    def failed(self, request: str, args: tuple[Any, ...], name: str, sentence: str) -> Mapping[str, Any]:
        if (request, name) == ("read", "ETIMEDOUT"):
            self._handles.note_late(*args)
        path, pid = subject(request, args, self._inodes, self._handles)
        program = self.programs.of(pid) if pid else 0
        self._vfs.error_log.add(name, sentence, path=path, pid=program)
        return {"path": path, "pid": program, "program": command_of(program)}

    async def run(self) -> None:
        """What goes on between requests; until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.follower.run)
            nursery.start_soon(self._inodes.run)

    def _place_nowait(self, number: InodeT) -> Inode | None:
        """The inode, where it is known whether it still stands for what it stood for. Raises Stale."""
        place = self._inodes.at(number)
        return place if self._revalidator.is_fresh(place) else None

    async def _place(self, number: InodeT) -> Inode:
        """The same, where a listing must be fetched for that."""
        place = self._inodes.at(number)
        await self._revalidator.revalidate(place)
        return place

    def _lookup_nowait(self, parent_inode: InodeT, name: bytes, ctx: RequestContext) -> EntryAttributes | None:
        parent = self._place_nowait(parent_inode)
        return None if parent is None else self._entry_at_hand(parent, name)

    def _entry_at_hand(self, parent: Inode, name: bytes) -> EntryAttributes | None:
        if name in (b".", b".."):
            return self._replies.attributes(parent if name == b"." else parent.parent or parent)
        try:
            found = self._vfs.listings.child_nowait(parent.node, names.decoded(name))
        except NoSuchEntry as error:
            return self._replies.absence(parent, name, error.lease)
        return None if found is None else self._replies.entry(parent, *found)

    @handler_after(_lookup_nowait, again=True)
    async def lookup(self, parent_inode: InodeT, name: bytes, ctx: RequestContext) -> EntryAttributes:
        with self.invalidator.looking_up(parent_inode):
            parent = await self._place(parent_inode)
            found = self._entry_at_hand(parent, name)
            if found is not None:
                return found
            try:
                return self._replies.entry(parent, *await self._vfs.listings.child(parent.node, names.decoded(name)))
            except NoSuchEntry as error:
                return self._replies.absence(parent, name, error.lease)

    def _getattr_nowait(self, inode: InodeT, ctx: RequestContext) -> EntryAttributes | None:
        place = self._inodes.at(inode)
        shared = place.shared
        if not self._revalidator.is_fresh(place) if shared is None else self.follower.is_due(shared):
            return None
        return self._attributes_at_hand(place)

    def _attributes_at_hand(self, place: Inode) -> EntryAttributes | None:
        seen = self._vfs.glance(place.node)
        return None if seen.size is None and place.shared is None else self._replies.attributes(place, seen)

    @handler_after(_getattr_nowait)
    async def getattr(self, inode: InodeT, ctx: RequestContext) -> EntryAttributes:
        place = self._inodes.at(inode)
        if place.shared is not None:
            # An open file keeps its version, whatever happens at Comet.
            await self.follower.look(place.shared)
        else:
            await self._revalidator.revalidate(place)
        found = self._attributes_at_hand(place)
        if found is not None:
            return found
        if not wants_size(ctx.pid):
            return self._replies.attributes(place)  # which holds for no longer than this reply
        directory = place.parent.node if place.parent else None
        return self._replies.attributes(place, await self._vfs.attributes(place.node, directory))

    @handler
    async def setattr(
        self, inode: InodeT, attr: EntryAttributes, fields: SetattrFields, fh: FileHandleT | None, ctx: RequestContext
    ) -> EntryAttributes:
        """`touch` asks again; nothing can be set."""
        if not is_touch(attr, fields):
            refuse()
        return await self._touched(self._inodes.at(inode))

    async def _touched(self, place: Inode) -> EntryAttributes:
        await self._refresh(place)
        reply = self._replies.attributes(place)
        reply.attr_timeout = 0.0
        return reply

    def _readlink_nowait(self, inode: InodeT, ctx: RequestContext) -> pyfuse3.FileNameT | None:
        place = self._place_nowait(inode)
        return None if place is None else self._target(place)

    def _target(self, place: Inode) -> pyfuse3.FileNameT | None:
        found = self._vfs.readlink_nowait(place.node)
        return None if found is None else pyfuse3.FileNameT(names.encoded(found))

    @handler_after(_readlink_nowait)
    async def readlink(self, inode: InodeT, ctx: RequestContext) -> pyfuse3.FileNameT:
        place = await self._place(inode)
        return self._target(place) or pyfuse3.FileNameT(names.encoded(await self._vfs.readlink(place.node)))

    def _open_nowait(self, inode: InodeT, flags: int, ctx: RequestContext) -> FileInfo | None:
        if writes(flags):
            refuse()
        place = self._place_nowait(inode)
        found = None if place is None else self._open_at_hand(place, ctx)
        if place is not None and place.parent is not None and found is not None:
            self._vfs.reads(place.node, place.parent.node, self.programs.of(ctx.pid))
        return found

    def _open_at_hand(self, place: Inode, ctx: RequestContext) -> FileInfo | None:
        shared = place.shared
        # A body stands for the file as long as it is open; so does a dirty file.
        lasts = shared is not None and not isinstance(shared.opened, Content)
        files = self._vfs.files
        opened = shared.opened if shared is not None and lasts else files.open_nowait(place.node)
        if opened is None:
            opened = files.body_nowait(place.node)
        return None if opened is None else self._open_file(place, opened, ctx)

    def _open_file(self, place: Inode, opened: Opened, ctx: RequestContext) -> FileInfo:
        reply = self._replies.open_file(place, opened)
        self._handles.opened_by(reply.fh, ctx.pid)
        return reply

    @handler_after(_open_nowait)
    async def open(self, inode: InodeT, flags: int, ctx: RequestContext) -> FileInfo:
        return await self._opened(inode, ctx)

    async def _opened(self, inode: InodeT, ctx: RequestContext) -> FileInfo:
        place = await self._place(inode)
        found = self._open_at_hand(place, ctx)
        if found is not None:
            return found
        directory, program = (place.parent or place).node, self.programs.of(ctx.pid)
        self._vfs.reads(place.node, directory, program)
        opened = await self._vfs.files.open(place.node)
        self._vfs.has_opened(place.node, directory, opened, program)
        return self._open_file(place, opened, ctx)

    def _read_nowait(self, fh: FileHandleT, off: int, size: int) -> bytes | None:
        shared = self._handles.behind(fh)
        if self._handles.was_late(fh, off):
            raise pyfuse3.FUSEError(errno.ETIMEDOUT)
        if shared.goes_on and off >= shared.opened.size and self.follower.is_due(shared):
            return None
        return self._part_at_hand(shared, fh, off, size)

    def _part_at_hand(self, shared: Shared, fh: FileHandleT, off: int, size: int) -> bytes | None:
        found = self._part_of(shared, fh, off, size)
        self._served += 0 if found is None else len(found)
        return found

    def _part_of(self, shared: Shared, fh: FileHandleT, off: int, size: int) -> bytes | None:
        opened = shared.opened
        if isinstance(opened, OpenedBody):
            return opened.part(off, size)  # type: ignore[return-value]  # a memoryview is as good as bytes
        if not isinstance(opened, Content):
            return None
        if shared.goes_on:
            self._handles.note_read(fh, min(off + size, opened.size))
        return opened.part(off, size)  # type: ignore[return-value]

    @handler_after(_read_nowait)
    async def read(self, fh: FileHandleT, off: int, size: int) -> bytes:
        shared = self._handles.behind(fh)
        if shared.goes_on:
            await self.follower.look(shared)
        found = self._part_at_hand(shared, fh, off, size)
        if found is not None:
            return found
        came = await shared.opened.read(off, size)
        self._served += len(came)
        return came  # type: ignore[return-value]

    @at_once
    def poll(self, inode: InodeT, fh: FileHandleT, poll_handle: pyfuse3.PollHandle | None, ctx: RequestContext) -> int:
        if self._handles.has_more(fh):
            return READABLE
        if poll_handle is not None:
            self.follower.wait(self._handles.behind(fh), fh, poll_handle, ctx.pid)
        return 0

    @at_once
    def release(self, fh: FileHandleT) -> None:
        self.follower.forget(fh)
        self._handles.release(fh)

    def _opendir_nowait(self, inode: InodeT, ctx: RequestContext) -> FileHandleT | None:
        place = self._place_nowait(inode)
        return None if place is None else self._open_dir(place, ctx)

    @handler_after(_opendir_nowait)
    async def opendir(self, inode: InodeT, ctx: RequestContext) -> FileHandleT:
        return self._open_dir(await self._place(inode), ctx)

    def _open_dir(self, place: Inode, ctx: RequestContext) -> FileHandleT:
        found = self._vfs.listings.children_nowait(place.node)
        handle = self._handles.open_dir(OpenDir(place, ctx.pid, None))
        if found is not None:
            self._list(handle, found[0])
        return handle

    def _list(self, handle: FileHandleT, listing: Listing) -> OpenDir:
        opened = self._handles.list_dir(handle, list(listing.nodes.values()), listing.until)
        program, inode = self.programs.of(opened.pid), opened.inode
        self._vfs.listed(inode.node, len(listing.nodes), program, inode.number)
        return opened

    def _reader(self, fh: FileHandleT, _start_id: int, _token: ReaddirToken) -> int:
        return self._handles.dir(fh).pid

    def _readdir_nowait(self, fh: FileHandleT, start_id: int, token: ReaddirToken) -> Any:
        opened = self._handles.dir(fh)
        if opened.nodes is None:
            return None
        self._replies.entries(opened, start_id, token)
        return True

    @handler_after(_readdir_nowait, _reader)
    async def readdir(self, fh: FileHandleT, start_id: int, token: ReaddirToken) -> Any:
        place = self._handles.dir(fh).inode
        listing, _ = await self._vfs.listings.children(place.node)
        self._replies.entries(self._list(fh, listing), start_id, token)

    @at_once
    def releasedir(self, fh: FileHandleT) -> None:
        self._vfs.closed(self._handles.dir(fh).inode.node)
        self._handles.release_dir(fh)

    async def forget(self, inode_list: Sequence[tuple[InodeT, int]]) -> None:
        self._inodes.forget(inode_list)
        gone = [number for number, _ in inode_list if number not in self._inodes]
        self.invalidator.forget(gone)
        self._revalidator.forget(gone)

    @at_once
    def setxattr(self, inode: InodeT, name: bytes, value: bytes, ctx: RequestContext) -> None:
        """Of the mountpoint the level of the log; nothing else can be set."""
        if inode != pyfuse3.ROOT_INODE or name != LOG_LEVEL:
            self._refuse_attribute(inode)
        if ctx.uid not in (0, os.geteuid()):
            raise NotPermitted("the log is its owner's alone")
        level = names.decoded(value)
        if level not in logs.LEVELS:
            raise pyfuse3.FUSEError(errno.EINVAL)
        logs.set_level(level)

    def _refuse_attribute(self, inode: InodeT) -> NoReturn:
        """Raises ReadOnly: none can be set."""
        refuse()

    def _getxattr_nowait(self, inode: InodeT, name: bytes, ctx: RequestContext) -> bytes | None:
        if name.startswith(COST):
            return self._costs.pop(inode, name)
        if not name.startswith(b"user."):
            # One refusal of this kind, and the kernel asks for no attribute of that class again (security, ACLs).
            raise pyfuse3.FUSEError(errno.EOPNOTSUPP)
        if inode == pyfuse3.ROOT_INODE and name == LOG_LEVEL:
            return logs.level().encode()
        found = self._provenance(inode)
        word = names.decoded(name.removeprefix(ATTRIBUTE))
        if not name.startswith(ATTRIBUTE) or word not in found:
            raise pyfuse3.FUSEError(pyfuse3.ENOATTR)
        return names.encoded(found[word])

    @handler_after(_getxattr_nowait)
    async def getxattr(self, inode: InodeT, name: bytes, ctx: RequestContext) -> bytes:
        calls, _, word = name.removeprefix(COST).decode("ascii", "replace").partition(".")
        if not calls.isdecimal():
            raise pyfuse3.FUSEError(pyfuse3.ENOATTR)
        nodes = self._together.with_others(word, (await self._place(inode)).node)
        cost = await self._vfs.cost(nodes, int(calls), pace=FOLLOWED)
        return self._costs.keep(msgspec.json.encode(cost), inode, name)

    @at_once
    def listxattr(self, inode: InodeT, ctx: RequestContext) -> Sequence[pyfuse3.XAttrNameT]:
        found = self._provenance(inode)
        if self._vfs.glance(self._inodes.at(inode).node).kind == "link":
            return ()  # the kernel lets no program read those of links: what is listed would be ENODATA
        return [pyfuse3.XAttrNameT(ATTRIBUTE + names.encoded(word)) for word in found]

    def _provenance(self, inode: InodeT) -> dict[str, str]:
        place = self._inodes.at(inode)
        self._revalidator.is_fresh(place)
        return self._vfs.provenance(place.node, (directory.node for directory in place.above()))

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
