"""The handlers of a mount made with `--rw`: those of every mount, and the ones that write.

What the kernel writes it knows itself. Not here: what may be changed (vfs/changes/changes.py), and when a dirty file
is stored (vfs/writeback/dirty_file.py)."""

# ruff: noqa: ARG002  # pyfuse3 decides what a handler is given

from __future__ import annotations

import errno
import os
from contextlib import suppress
from typing import NamedTuple, NoReturn, cast

import pyfuse3
from pyfuse3 import EntryAttributes, FileHandleT, FileInfo, InodeT, RequestContext, SetattrFields

from cometfs.errors import CometFSError, Unreachable
from cometfs.fuse.operations import Operations
from cometfs.fuse.procfs import chooses, moves, still_holds
from cometfs.fuse.readonly import is_touch, writes
from cometfs.fuse.requests import at_once, handler
from cometfs.mountstate.access import MOUNTING, Owner
from cometfs.mountstate.inodes import Inode
from cometfs.mountstate.limits import RequestLimiter
from cometfs.vfs.changes.changes import Changes
from cometfs.vfs.changes.editing import edit_of
from cometfs.vfs.engine.vfs import Vfs
from cometfs.vfs.nodes import Content, Node
from cometfs.vfs.schema import names
from cometfs.vfs.schema.declaration import Dir
from cometfs.vfs.writeback.dirty_file import DirtyFile

NOREPLACE = 1
"""renameat2: the new name must be free."""


def _upwards(directory: Inode) -> list[Node]:
    """A directory, and those that it lies in."""
    return [directory.node, *(one.node for one in directory.above())]


class _Writer(NamedTuple):
    """A file, the process that opened it, and whether all that it writes is put at the end."""

    inode: Inode
    pid: int
    appends: bool


class WritableOperations(Operations):
    """What the kernel asks of a mounted tree a part of which is writable."""

    def __init__(self, vfs: Vfs, limiter: RequestLimiter, owner: Owner = MOUNTING) -> None:
        super().__init__(vfs, limiter, owner)
        self._changes = Changes(vfs, limiter.deadline)
        self._writers: dict[int, _Writer] = {}
        """By handle, those of files that were opened to write."""

    @handler
    async def open(self, inode: InodeT, flags: int, ctx: RequestContext) -> FileInfo:
        place, program = self._inodes.at(inode), self.programs.of(ctx.pid)
        if writes(flags):
            self._changes.check_file(place.node)
        if writes(flags) and edit_of(place.node) is not None:
            reply = await self._open_edited(await self._place(inode), program, ctx)
        else:
            reply = self._open_nowait(inode, os.O_RDONLY, ctx) or await self._opened(inode, ctx)
            self._note_given(place, reply.fh, program)
        if writes(flags):
            self._writers[reply.fh] = _Writer(place, ctx.pid, bool(flags & os.O_APPEND))
            if flags & os.O_TRUNC:
                self._dirty_file(reply.fh).resize(0)
            # The kernel's own idea of the size may be one that could not be stored.
            self.invalidator.invalidate_attrs(place.number)
        return reply

    async def _open_edited(self, place: Inode, program: int, ctx: RequestContext) -> FileInfo:
        shared = place.shared
        if shared is not None and isinstance(shared.opened, DirtyFile):
            return self._open_file(place, shared.opened, ctx)
        edited = await self._changes.open(place.node, program)
        shared = place.shared
        if shared is not None and shared.opened is edited:  # opened meanwhile: all handles of it count once
            edited.references -= 1
            return self._open_file(place, edited, ctx)
        try:
            return self._open_file(place, edited, ctx)
        except BaseException:
            edited.close()
            raise

    def _note_given(self, place: Inode, handle: int, program: int) -> None:
        opened = self._handles.file(handle)
        if edit_of(place.node) is not None and isinstance(opened, Content | DirtyFile):
            self._changes.editor.gives(place.node, program, bytes(opened.part(0, opened.size)))

    async def lookup(self, parent_inode: InodeT, name: bytes, ctx: RequestContext) -> EntryAttributes:
        if self._changes.is_making_way(self._inodes.at(parent_inode).node, names.decoded(name)):
            raise pyfuse3.FUSEError(errno.ENOENT)
        return await super().lookup(parent_inode, name, ctx)

    @handler
    async def create(
        self, parent_inode: InodeT, name: bytes, mode: int, flags: int, ctx: RequestContext
    ) -> tuple[FileInfo, EntryAttributes]:
        parent = self._inodes.at(parent_inode)
        program, new = self.programs.of(ctx.pid), bool(flags & os.O_EXCL)
        node, dirty_file = await self._changes.create(parent.node, names.decoded(name), program, new=new)
        inode = self._inodes.child(parent, node)
        self._inodes.remember(inode)
        handle, _ = self._handles.share(inode, dirty_file)
        self._handles.opened_by(handle, ctx.pid)
        self._writers[handle] = _Writer(inode, ctx.pid, bool(flags & os.O_APPEND))
        return FileInfo(fh=handle, keep_cache=False), self._replies.attributes(inode, lease=0.0)

    @at_once
    def write(self, fh: FileHandleT, off: int, buf: bytes) -> int:
        dirty_file, writer = self._dirty_file(fh), self._writers[fh]
        try:
            # Where the end is the kernel may not know: it asks for sizes when a program does.
            return dirty_file.write(dirty_file.size if writer.appends else off, buf)
        except CometFSError:
            self.invalidator.invalidate_attrs(writer.inode.number)
            raise

    @handler
    async def flush(self, fh: FileHandleT) -> None:
        """Its errno is close's."""
        if fh not in self._writers:
            return
        inode, pid, _ = self._writers[fh]
        dirty_file = self._dirty_file(fh)
        if dirty_file.refused or (
            dirty_file.dirty and not (dirty_file.bare and still_holds(pid, inode.number, inode.node.name))
        ):
            await self._store(inode, dirty_file)

    @handler
    async def fsync(self, fh: FileHandleT, datasync: bool) -> None:
        if fh in self._writers:
            await self._store(self._writers[fh].inode, self._dirty_file(fh))

    @handler
    async def release(self, fh: FileHandleT) -> None:
        """After the last close: the kernel drops an error of it, so only the log has it."""
        if fh not in self._writers:
            self.follower.forget(fh)
            self._handles.release(fh)
            return
        inode = self._writers.pop(fh).inode
        dirty_file = self._dirty_file(fh)
        try:
            # A mapped file is written after it was closed.
            if dirty_file.dirty and not dirty_file.failed:
                await self._store(inode, dirty_file)
        finally:
            if all(other.inode is not inode for other in self._writers.values()):
                dirty_file.give_up()
            self._handles.release(fh)

    @handler
    async def setattr(
        self, inode: InodeT, attr: EntryAttributes, fields: SetattrFields, fh: FileHandleT | None, ctx: RequestContext
    ) -> EntryAttributes:
        """A new size. Owner, mode and times are taken without effect: `cp -p`, `sed -i` and editors cannot do without,
        and the store has none. `touch` asks again."""
        place = self._inodes.at(inode)
        if is_touch(attr, fields):
            return await self._touched(place)
        self._changes.check_file(place.node)
        if fields.update_size:
            await self._resize(place, fh, attr.st_size, self.programs.of(ctx.pid))
        return self._replies.attributes(place)

    @handler
    async def unlink(self, parent_inode: InodeT, name: bytes, ctx: RequestContext) -> None:
        parent, program = self._inodes.at(parent_inode), self.programs.of(ctx.pid)
        removing, moving = self._is_removing(parent, program), moves(program)
        await self._changes.remove(_upwards(parent), names.decoded(name), program, removing=removing, moving=moving)
        self._inodes.part(parent, names.decoded(name))

    @handler
    async def rmdir(self, parent_inode: InodeT, name: bytes, ctx: RequestContext) -> None:
        parent, program = self._inodes.at(parent_inode), self.programs.of(ctx.pid)
        removing = self._is_removing(parent, program)
        whole = await self._changes.remove_directory(_upwards(parent), names.decoded(name), program, removing=removing)
        self._inodes.part(parent, names.decoded(name))
        if whole:
            await self._refresh.relisted([parent])

    def _is_removing(self, inside: Inode, program: int) -> bool:
        """Whether a program that takes something away in an experiment has a directory of it open, as one has that
        takes away all of it: `rm -r`, `find -delete`, shutil.rmtree. Not a `find` that chooses."""
        return not chooses(program) and any(
            self.programs.of(opened.pid) == program and opened.inode.node.at.key[:1] == inside.node.at.key[:1]
            for opened in self._handles.dirs()
        )

    @handler
    async def rename(
        self,
        parent_inode_old: InodeT,
        name_old: bytes,
        parent_inode_new: InodeT,
        name_new: bytes,
        flags: int,
        ctx: RequestContext,
    ) -> None:
        old, new = self._inodes.at(parent_inode_old), self._inodes.at(parent_inode_new)
        self._changes.check(old.node)
        if flags & ~NOREPLACE:
            raise pyfuse3.FUSEError(errno.EINVAL)
        name, new_name = names.decoded(name_old), names.decoded(name_new)
        program, alone = self.programs.of(ctx.pid), bool(flags & NOREPLACE)
        edited = (new.children or {}).get(new_name)
        try:
            moved = await self._changes.rename(old.node, name, new.node, new_name, program, new=alone)
        finally:
            if edited is not None and edit_of(edited.node) is not None:
                await self._refreshed(edited)
        if moved is None:
            self._inodes.part(old, name)
            return
        self._inodes.move(old, name, new, moved)
        if moved.at.experiment is not None and isinstance(moved.entry, Dir):
            await self._refresh.relisted([old, new])

    @at_once
    def mkdir(self, parent_inode: InodeT, name: bytes, mode: int, ctx: RequestContext) -> EntryAttributes:
        self._refuse(parent_inode)

    @at_once
    def mknod(self, parent_inode: InodeT, name: bytes, mode: int, rdev: int, ctx: RequestContext) -> EntryAttributes:
        self._refuse(parent_inode)

    @at_once
    def symlink(self, parent_inode: InodeT, name: bytes, target: bytes, ctx: RequestContext) -> EntryAttributes:
        self._refuse(parent_inode)

    @at_once
    def link(self, inode: InodeT, new_parent_inode: InodeT, new_name: bytes, ctx: RequestContext) -> EntryAttributes:
        self._refuse(new_parent_inode)

    @at_once
    def removexattr(self, inode: InodeT, name: bytes, ctx: RequestContext) -> None:
        self._refuse_attribute(inode)

    def _check_writable(self, inode: InodeT) -> None:
        self._changes.check(self._inodes.at(inode).node)

    async def _store(self, inode: Inode, dirty_file: DirtyFile) -> None:
        try:
            await dirty_file.save()
        finally:
            if edit_of(inode.node) is not None:  # also where it is not known whether a change has arrived
                await self._refreshed(inode)
            self.invalidator.invalidate_attrs(inode.number)

    async def _refreshed(self, inode: Inode | None) -> None:
        """What is made of an edited file is asked for again."""
        if inode is None:
            return
        with suppress(Unreachable):  # gone since: what is cached is shown until Comet is back
            await self._refresh(inode)
            above = list(inode.above())
            if await self._changes.relist(inode.node, [one.node for one in above]):
                await self._refresh.relisted(above[1:2])

    async def _resize(self, place: Inode, fh: FileHandleT | None, size: int, program: int) -> None:
        shared = place.shared
        opened = self._dirty_file(fh) if fh in self._writers else shared and shared.opened
        if isinstance(opened, DirtyFile) and any(other.inode is place for other in self._writers.values()):
            opened.resize(size)
        else:
            await self._changes.resize(place.node, size, program)
            await self._refreshed(place)

    def _dirty_file(self, handle: int) -> DirtyFile:
        return cast(DirtyFile, self._handles.file(handle))

    def _refuse(self, parent: InodeT) -> NoReturn:
        self._changes.refuse(self._inodes.at(parent).node)

    def _refuse_attribute(self, inode: InodeT) -> NoReturn:
        self._check_writable(inode)
        raise pyfuse3.FUSEError(errno.EOPNOTSUPP)
