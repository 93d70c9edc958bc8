"""Files of experiments that are being edited. What a program has changed is found against the version that it was
given, and only that is sent: what others have changed meanwhile stays.

Not here: the bytes of an open file (writeback/dirty_file.py), and what an edit means (edits.py).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import cast

import trio

from cometfs.cache.memory import Recent
from cometfs.errors import BadEdit, BadText, CometFSError, Refused
from cometfs.vfs.changes.settling import Settling
from cometfs.vfs.engine.vfs import Vfs
from cometfs.vfs.nodes import Node
from cometfs.vfs.schema.changes import Edit
from cometfs.vfs.schema.declaration import File
from cometfs.vfs.sources.experiment import key as key_of
from cometfs.vfs.writeback.dirty_file import DirtyFile

READERS = 256
"""Programs and files of which it is remembered what the program was given."""


GAP = 5.0
"""Seconds in which a file is not to be seen that makes way for another one."""


def edit_of(node: Node) -> Edit | None:
    """How a file is edited; None for one that is not."""
    return node.entry.edit if isinstance(node.entry, File) else None


def _of_file(node: Node, error: CometFSError) -> CometFSError:
    """The same error, which names the file."""
    return type(error)(f"{node.name}: {error}")


class _Edited(DirtyFile):
    """An edited file that is open, which all its handles share."""

    def __init__(self, editor: Editor, node: Node, program: int, base: bytes, given: bytes) -> None:
        super().__init__(self, node.name, base)
        self.node = node
        self.now_ms = editor.now_ms
        self._editor = editor
        self._program = program
        self._before = base
        """What the edited bytes have come from: the difference to it is what is sent."""
        self._given = given

    async def put(self, _key: str, value: bytes) -> None:
        await self._editor.send(self.node, self._before, value)
        self._before = self._given = value
        self._editor.gives(self.node, self._program, value)

    def hopeless(self, _key: str, value: bytes) -> CometFSError | None:
        error = cast(Edit, edit_of(self.node)).hopeless(key_of(self.node.at), self._before, value)
        return None if error is None else _of_file(self.node, error)

    def forget(self, _dirty_file: DirtyFile) -> None:
        self._editor.closed(self)

    def resize(self, size: int) -> None:
        """A program that begins anew has in mind what it was given, however long ago."""
        if size == 0:
            self._before = self._given
        super().resize(size)


class Editor:
    """A file is in `_open` iff it has a handle and its name still stands for it."""

    def __init__(self, vfs: Vfs, settling: Settling, now_ms: Callable[[], float]) -> None:
        self.now_ms = now_ms
        self._vfs = vfs
        self._settling = settling
        self._open: dict[Hashable, _Edited] = {}
        self._given: Recent[Hashable, bytes] = Recent(READERS)
        self._making_way: Recent[Hashable, tuple[int, float]] = Recent(READERS)
        """By file, the program that puts another one in its place, and until when it may."""

    def gives(self, node: Node, program: int, content: bytes) -> None:
        """A program is given the bytes of a file."""
        self._given[node.identity, program] = content

    def makes_way(self, node: Node, program: int) -> bool:
        """`mv` removes a file before it writes another one there that comes from elsewhere: then it has not read it.
        Nothing is changed before that is written."""
        if (node.identity, program) in self._given:
            return False
        self._making_way[node.identity] = (program, trio.current_time() + GAP)
        return True

    @property
    def makes_ways(self) -> bool:
        """Whether there is such a file: every lookup asks."""
        return bool(self._making_way)

    def is_making_way(self, node: Node) -> bool:
        """Whether a file is not to be seen for that reason."""
        _program, until = self._making_way.get(node.identity, (0, 0.0))
        return until > trio.current_time()

    def has_made_way(self, node: Node, program: int) -> bool:
        """Whether that is so, of a file that the same program makes now."""
        return self._making_way.pop(node.identity, (0, 0.0))[0] == program

    async def open(self, node: Node, program: int) -> DirtyFile:
        """A file to write, to be closed once. Raises what Comet's answer raises."""
        edited = self._open.get(node.identity)
        if edited is None:
            base = await self._content(node)
            given = self._given.get((node.identity, program), base)
            edited = self._open.setdefault(node.identity, _Edited(self, node, program, base, given))
        edited.references += 1
        return edited

    async def replace(self, node: Node, content: bytes, program: int) -> None:
        """A program has put another file in the place of this one: from now on it holds `content`."""
        before = self._given.get((node.identity, program))
        await self.send(node, await self._content(node) if before is None else before, content)
        self.gives(node, program, content)

    def closed(self, edited: _Edited) -> None:
        """The last handle is closed, or nothing of it can be stored."""
        if self._open.get(edited.node.identity) is edited:
            del self._open[edited.node.identity]

    async def _content(self, node: Node) -> bytes:
        opened = await self._vfs.files.open(node)
        try:
            return bytes(await opened.read(0, opened.size))
        finally:
            opened.close()

    async def send(self, node: Node, before: bytes, after: bytes) -> None:
        edit = cast(Edit, edit_of(node))
        try:
            changes = edit.changes(key_of(node.at), before, after)
        except (BadEdit, BadText, Refused) as error:
            raise _of_file(node, error) from error
        await self._settling.make(changes)
