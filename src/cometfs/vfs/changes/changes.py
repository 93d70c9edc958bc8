"""What may be changed in a mount made with `--rw`, and by which request: the one way in for a face.

Not here: the key-value store (writeback/policy.py), edited files (editing.py), and experiments that move (moves.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NoReturn

import trio

from cometfs.errors import Exists, NotPermitted, ReadOnly, Refused
from cometfs.vfs.changes.editing import Editor, edit_of
from cometfs.vfs.changes.moves import Moves, experiments_of
from cometfs.vfs.changes.removals import Removals
from cometfs.vfs.changes.settling import Settling
from cometfs.vfs.engine.vfs import Vfs
from cometfs.vfs.nodes import Node
from cometfs.vfs.writeback.dirty_file import DirtyFile
from cometfs.vfs.writeback.scratch import edited_beside, is_temporary

PART = "it is a part of its experiment, and not removed: what can be changed of it is written into it"

PARTIAL = f"{PART}. A whole experiment is: rmdir EXPERIMENT, or rm -r of it"

QUIET = 5.0
"""Seconds in which a program that removes an experiment file by file is refused aloud once."""


class Changes:
    """Changes of files and directories. What is asked of anything else raises ReadOnly, or Refused with a reason."""

    def __init__(self, vfs: Vfs, deadline: float, now_ms: Callable[[], float] = lambda: time.time() * 1000) -> None:
        """`deadline`: seconds that a program waits at most."""
        settling = Settling(vfs.api, deadline)
        self._vfs = vfs
        self._stored = vfs.writing
        self._scratch = vfs.writing.scratch
        self._deletes = vfs.writing.deletes
        self._moves = Moves(vfs, settling)
        self.editor = Editor(vfs, settling, now_ms)
        self._removals = Removals(self._names)
        self._refused: tuple[int, object] = (0, None)
        """The program and the experiment of which a removal was last refused, ..."""
        self._quiet_until = 0.0
        """... and when such a refusal has a sentence again: one for each file would push out all others."""

    async def _names(self, directory: Node) -> Sequence[str]:
        listing, _ = await self._vfs.listings.children(directory)
        return list(listing.nodes)

    # -- What may be -----------------------------------------------------------------------------------------------

    def check_file(self, node: Node) -> None:
        """Raises ReadOnly unless `node` is a file that can be written."""
        if edit_of(node) is None:
            self._stored.check(node)

    def check(self, node: Node) -> None:
        """Raises ReadOnly unless `node` is such a file, or something can be made, moved or taken away in it."""
        if not edited_beside(node) and experiments_of(node) is None:
            self.check_file(node)

    def refuse(self, directory: Node) -> NoReturn:
        """Raises for something to be made in `directory` that is no file."""
        if edited_beside(directory) or experiments_of(directory) is not None:
            raise Refused(f"nothing new can be made in {directory.name}: it shows what was logged")
        self._stored.refuse(directory)

    # -- Files -----------------------------------------------------------------------------------------------------

    async def open(self, node: Node, program: int) -> DirtyFile:
        """A file that can be edited, to write, to be closed once."""
        return await self.editor.open(node, program)

    async def create(self, directory: Node, name: str, program: int, *, new: bool) -> tuple[Node, DirtyFile]:
        """A file, made where there is none, open. Raises Exists where it must be `new`."""
        if not edited_beside(directory):
            if experiments_of(directory) is not None:
                self.refuse(directory)
            return await self._stored.create(directory, name, new=new)
        edited = self._edited(directory, name)
        if edited is not None:
            replaced = self.editor.has_made_way(edited, program)
            if new and not replaced:
                raise Exists(f"there is a {name!r} already")
            opened = await self.editor.open(edited, program)
            if replaced:
                opened.resize(0)
            return edited, opened
        self._check_temporary(directory, name)
        return self._scratch.create(directory, name, new=new)

    async def resize(self, node: Node, size: int, program: int) -> None:
        """Cuts or lengthens a file that has no handle, and sends what that changes."""
        if edit_of(node) is None:
            await self._stored.resize(node, size)
            return
        edited = await self.editor.open(node, program)
        try:
            edited.resize(size)
            await edited.save()
        finally:
            edited.give_up()
            edited.close()

    async def remove(self, above: Sequence[Node], name: str, program: int, *, removing: bool, moving: bool) -> None:
        """Takes a file away, out of directories, nearest first. `removing`: as a part of what holds it, which goes as a
        whole afterwards, or not at all; `moving`: to put another one in its place."""
        directory = above[0]
        if directory.at.experiment is None:
            await self._stored.remove(directory, name)
        elif self._scratch.find(directory, name) is not None:
            self._scratch.remove(directory, name)
        elif (edited := self._edited(directory, name)) and moving and self.editor.makes_way(edited, program):
            return
        else:
            await self._remove_part(above, name, program, removing=removing, whole=False)

    async def _remove_part(
        self, above: Sequence[Node], name: str, program: int, *, removing: bool, whole: bool
    ) -> None:
        """Something in an experiment goes, as a part of all or not at all."""
        inside = [node for node in above if node.at.experiment is not None]
        self._check_removal(inside[-1], program, removing=removing)
        if not await self._removals.takes(program, inside, name, whole=whole):
            self._refuse_removal(inside[-1], program, PARTIAL + self._reported(inside[-1], program))

    def _reported(self, experiment: Node, program: int) -> str:
        count = self._removals.reported(program, experiment.at.key[:1])
        return f" (the {count} that were reported as removed before are there)" if count else ""

    def _check_removal(self, directory: Node, program: int, *, removing: bool) -> None:
        row = directory.at.experiment or {}
        if not removing or not self._deletes or row["archived"]:
            self._refuse_removal(directory, program, self._reason(removing=removing, archived=bool(row["archived"])))

    def _refuse_removal(self, directory: Node, program: int, reason: str) -> NoReturn:
        before, now = self._refused, trio.current_time()
        self._refused = (program, directory.at.key[:1])
        if self._refused == before and now < self._quiet_until:
            raise NotPermitted("as before")
        self._quiet_until = now + QUIET
        raise Refused(reason)

    def _reason(self, *, removing: bool, archived: bool) -> str:
        if not removing:
            return PARTIAL if self._deletes else PART
        if self._deletes and archived:
            return "it is in the archive already: what cannot be restored is deleted at Comet alone"
        return "experiments are not removed by this mount: move it to archived/, or mount with --allow-delete"

    async def remove_directory(self, above: Sequence[Node], name: str, program: int, *, removing: bool) -> bool:
        """Archives an experiment, and returns whether it was one: a directory in it goes with it."""
        directory = above[0]
        if directory.at.experiment is not None:
            await self._remove_part(above, name, program, removing=removing, whole=True)
            return False
        if experiments_of(directory) is None:
            self._stored.refuse(directory)
        experiment = await self._moves.experiment(directory, name)
        if experiment is None:
            raise ReadOnly(f"{name} is in every project")
        self._check_removal(experiment, program, removing=True)
        await self._moves.archive(experiment, directory)
        self._removals.forget(program, experiment.at.key[:1])
        return True

    def is_making_way(self, directory: Node, name: str) -> bool:
        """Whether a file is not there, because a program is about to put another one in its place."""
        edited = self._edited(directory, name) if self.editor.makes_ways else None
        return edited is not None and self.editor.is_making_way(edited)

    # -- Names -----------------------------------------------------------------------------------------------------

    async def rename(
        self, directory: Node, name: str, other: Node, new_name: str, program: int, *, new: bool
    ) -> Node | None:
        """Gives something another name, or another directory; what is found there then. None where that is what was
        there before, with another content."""
        if experiments_of(directory) is not None:
            experiment = await self._moves.experiment(directory, name)
            if experiment is None:
                raise ReadOnly(f"{name} is in every project")
            return await self._moves.move(experiment, directory, other, new_name)
        if edited_beside(directory):
            return await self._rename_file(directory, name, other, new_name, program, new=new)
        return await self._stored.rename(directory, name, other, new_name, new=new)

    async def _rename_file(
        self, directory: Node, name: str, other: Node, new_name: str, program: int, *, new: bool
    ) -> Node | None:
        if self._scratch.find(directory, name) is None or other.identity != directory.identity:
            raise Refused(f"{name} is a part of its experiment: it can be edited, and not be moved")
        edited = self._edited(directory, new_name)
        if edited is None:
            self._check_temporary(directory, new_name)
            return self._scratch.rename(directory, name, new_name, new=new)
        if new:
            raise Exists(f"there is a {new_name!r} already")
        await self.editor.replace(edited, self._scratch.take(directory, name), program)
        self._scratch.remove(directory, name)
        return None

    async def relist(self, node: Node, above: Sequence[Node]) -> bool:
        """Has names of experiments asked for again where an edit of a file may have changed one; whether it may.
        `above`: the directories that it lies in, nearest first."""
        edit = edit_of(node)
        if edit is None or not edit.renames:
            return False
        await self._vfs.refresh.relisted(node, above[1:2])
        return True

    def _edited(self, directory: Node, name: str) -> Node | None:
        return next((Node(name, one, directory.at) for one in edited_beside(directory) if one.name == name), None)

    def _check_temporary(self, directory: Node, name: str) -> None:
        if not is_temporary(directory, name):
            names = " and ".join(one.name for one in edited_beside(directory))
            kind = NotPermitted if name.isdigit() else Refused  # vim tries whether it may make a file called 4913
            raise kind(f"{name} cannot be in an experiment: only {names} and temporary files of editors are written")
