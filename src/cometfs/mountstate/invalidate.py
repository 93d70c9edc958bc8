"""Asking again now, for the kernel: what it remembers of a place and below it ends with what the tree knew.

Not here: what the tree knows there (vfs/engine/invalidation.py), and how the kernel is notified (fuse/notify.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import trio

from cometfs.mountstate.follow import Follower
from cometfs.mountstate.handles import Handles
from cometfs.mountstate.inodes import AT_A_TIME, Inode, Inodes
from cometfs.mountstate.kernel import Entry, Invalidator
from cometfs.vfs.engine.scope import Scope
from cometfs.vfs.engine.vfs import Vfs
from cometfs.vfs.schema import names
from cometfs.vfs.schema.declaration import Dir, File
from cometfs.vfs.writeback.dirty_file import DirtyFile

T = TypeVar("T")


class Invalidation:
    """Forgets, in the tree and in the kernel."""

    def __init__(
        self, vfs: Vfs, inodes: Inodes, handles: Handles, follower: Follower, invalidator: Invalidator
    ) -> None:
        self._vfs = vfs
        self._inodes = inodes
        self._handles = handles
        self._follower = follower
        self._invalidator = invalidator

    async def __call__(self, inode: Inode) -> None:
        """From when this returns on, a look at `inode` or below it shows what Comet has then.

        Handles that are open keep their bytes; the next open gets new ones.
        """
        scope = await self._vfs.refresh(inode.node, [directory.node for directory in inode.above()])
        parted = [_entry(one) for one in self._handles.inodes() if scope.reaches(one.node) and self._part(one)]
        reached: dict[int, Inode] = {}
        await _in_turns(_reached(inode, scope), lambda one: reached.setdefault(one.number, one))
        for one in reached.values():
            if one.parent is not None:  # the root stands for itself
                one.doubt()
        # Attributes come with the names, but those of a directory that a process stands in.
        ended = isinstance(inode.node.entry, Dir) and self._invalidator.expire_all()
        await _in_turns([inode.number] if ended else {inode.number, *reached}, self._invalidator.invalidate_attrs)
        if not ended:
            await self._invalidator.expire([*parted, *_entries(inode)], reached, {inode.number})

    async def relisted(self, directories: Sequence[Inode]) -> None:
        """The same for names in projects after a change in `directories`, which the kernel keeps locked until its
        request is answered: what the tree knew of them has been dropped.

        The name that a request gives, which listings may spell otherwise, was absent before, and ends as such.
        """
        projects = {project.number: project for project in map(_project, directories)}
        reached = [one for project in projects.values() for one in _listed_in(project)]
        for one in reached:
            one.doubt()
        ended = self._invalidator.expire_all()
        await _in_turns({one.number for one in reached}, self._invalidator.invalidate_attrs)
        if not ended:
            numbers = [one.number for one in reached]
            await self._invalidator.expire(list(map(_entry, reached)), numbers, {one.number for one in directories})

    def _part(self, inode: Inode) -> bool:
        """Lets the name of an open file stand for another inode: all handles of one share what was opened first."""
        if inode.parent is None or self._vfs.writing.owns(inode.node) or _is_written(inode):
            return False
        shared = inode.shared
        if shared is not None and shared.goes_on:
            self._follower.hurry(shared)
            return False
        self._inodes.part(inode.parent, inode.node.name, inode)
        return True


async def _in_turns(items: Iterable[T], do: Callable[[T], object]) -> None:
    """Does it with each; others get their turn meanwhile, for a mount may know hundreds of thousands."""
    for count, item in enumerate(items, 1):
        do(item)
        if count % AT_A_TIME == 0:
            await trio.lowlevel.checkpoint()


def _is_written(inode: Inode) -> bool:
    """Whether what is open is a file that is being written, which all handles share."""
    return inode.shared is not None and isinstance(inode.shared.opened, DirtyFile)


def _project(directory: Inode) -> Inode:
    """The project in which a directory stands, or which it is."""
    return next((one for one in (directory, *directory.above()) if _is_whole(one)), directory)


def _listed_in(project: Inode) -> Iterator[Inode]:
    """A project with all below it but what is in its experiments."""
    left = [project]
    while left:
        one = left.pop()
        yield one
        if one.node.at.experiment is None:
            left += _children(one)


def _reached(inode: Inode, scope: Scope) -> Iterator[Inode]:
    """What may have changed: a directory with all below it, and in any case what shares answers with it, which is of
    the same experiment, or stands in the project itself."""
    if isinstance(inode.node.entry, Dir):
        yield inode
        yield from _below(inode, others=True)
    owner, *over = [one for one in (inode, *inode.above()) if _is_whole(one)]
    yield from _below(owner, others=False)
    if inode.node.at.experiment is not None and over:
        # A project may have shown links by the thousand, which most of what an experiment has leaves as they are.
        for child in _others_left_out(over[0]):
            if scope.shows(child.node):
                yield child
                yield from _below(child, others=False)


def _below(inode: Inode, *, others: bool) -> Iterator[Inode]:
    """All that the kernel knows below; without `others`, not what is in the experiments of a project and so on."""
    left = [inode]
    while left:
        one = left.pop()
        for child in _children(one) if others else _others_left_out(one):
            yield child
            left.append(child)


def _children(inode: Inode) -> list[Inode]:
    """As they are now: lookups may add some meanwhile."""
    return list((inode.children or {}).values())


def _others_left_out(inode: Inode) -> Iterator[Inode]:
    return (child for child in _children(inode) if not _is_whole(child))


def _entries(inode: Inode) -> Iterator[Entry]:
    """The names by which what may have changed is found."""
    node, at = inode.node, inode
    if isinstance(node.entry, File) and node.entry.source is not None:
        yield _entry(inode)
        return
    # What is bound to a row of a listing above is bound anew on the way down.
    while at.parent is not None:
        yield _entry(at)
        if at.parent.node.at.key != node.at.key:
            break
        at = at.parent
    if isinstance(node.entry, Dir):
        yield from map(_entry, _below(inode, others=True))


def _entry(inode: Inode) -> Entry:
    assert inode.parent is not None
    return inode.parent.number, names.encoded(inode.node.name)


def _is_whole(inode: Inode) -> bool:
    """Whether it is the directory of an experiment, a project, a workspace, or the root."""
    node = inode.node
    return isinstance(node.entry, Dir) and not node.entry.name and not node.within
