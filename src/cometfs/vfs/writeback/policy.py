"""What may be written in a mounted tree, and writing it: files opened, made, moved and taken away in writable
directories.

Not here: the bytes of an open file (dirty_file.py), and what was stored lately (buffer.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import NamedTuple, NoReturn

from cometfs.errors import NotPermitted, ReadOnly
from cometfs.vfs.answers.resolver import AnswerResolver
from cometfs.vfs.nodes import Node, leaf
from cometfs.vfs.schema.declaration import (
    Context,
    Dir,
    File,
    Link,
    Source,
    StoredValue,
    StoreSnapshot,
    Stream,
    Writer,
    for_eaches_of,
)
from cometfs.vfs.writeback.buffer import WritebackBuffer
from cometfs.vfs.writeback.dirty_file import DirtyFile
from cometfs.vfs.writeback.scratch import ENTRY as SCRATCH
from cometfs.vfs.writeback.scratch import ScratchFiles


class _Place(NamedTuple):
    buffer: WritebackBuffer
    answered: StoreSnapshot


class WritePolicy:
    """The writable part of a tree, which has none in a mount that is only read. Whatever is asked elsewhere raises
    ReadOnly."""

    def __init__(self, answers: AnswerResolver, *, rw: bool, deletes: bool = False) -> None:
        self.rw = rw
        """Whether what is declared writable is so."""
        self.deletes = deletes
        """Whether what Comet can restore may be removed."""
        self._answers = answers
        self._buffers: dict[Writer, WritebackBuffer] = {}
        self.scratch = ScratchFiles()

    def buffer(self, node: Node) -> WritebackBuffer | None:
        """The writing in a writable directory, of itself or one of its files; None for what is only read."""
        writer = None if not self.rw or isinstance(node.entry, Link) else node.entry.writer
        if writer is None:
            return None
        if writer not in self._buffers:
            at = _directory_of(node)
            outdated, doubt = partial(self._drop, at, writer.source.of), partial(self._drop, at, [writer.source])
            self._buffers[writer] = WritebackBuffer(writer, self._answers.api, doubt, outdated)
        return self._buffers[writer]

    def _drop(self, at: Context, questions: Iterable[Source | Stream]) -> None:
        for question in questions:
            self._answers.store.drop(question.key(at))

    def edits(self, entry: File | Dir | Link) -> bool:
        """Whether it can be edited, and so is there even where Comet has nothing."""
        return self.rw and isinstance(entry, File) and entry.edit is not None

    def owns(self, node: Node) -> bool:
        """Whether `node` stands as long as this says so: it is in no answer of Comet's."""
        return node.entry is SCRATCH or self.buffer(node) is not None

    def check(self, node: Node) -> None:
        """Raises ReadOnly unless `node` is a writable directory, a file of one, or a temporary one."""
        if not self.owns(node):
            raise ReadOnly(f"{node.name or '/'} only shows what Comet has")

    def refuse(self, directory: Node) -> NoReturn:
        """Raises for something to be made or taken in `directory` that is no file."""
        self.check(directory)
        raise NotPermitted(f"{directory.name} holds files and nothing else")

    async def open(self, node: Node) -> DirtyFile:
        """A file, to be closed once. Raises NoSuchEntry."""
        if node.entry is SCRATCH:
            return self.scratch.open(node)
        place = await self._place(node)
        return place.buffer.open(node.at.item.key, place.answered)

    async def create(self, directory: Node, name: str, *, new: bool) -> tuple[Node, DirtyFile]:
        """A file, made where there is none, open. Raises Exists where it must be `new`, and BadName."""
        place = await self._place(directory)
        node = _file(directory, name)
        return node, place.buffer.create(node.at.item.key, place.answered, new=new)

    async def resize(self, node: Node, size: int) -> None:
        """Cuts or lengthens a file that has no handle, and stores it."""
        dirty_file = await self.open(node)
        try:
            dirty_file.resize(size)
            await dirty_file.save()
        except BaseException:
            dirty_file.give_up()
            raise
        finally:
            dirty_file.close()

    async def remove(self, directory: Node, name: str) -> None:
        """Takes a file away. Raises NoSuchEntry."""
        place = await self._place(directory)
        await place.buffer.remove(_file(directory, name).at.item.key, place.answered)

    async def rename(self, directory: Node, name: str, other: Node, new_name: str, *, new: bool) -> Node:
        """Moves a file within its directory; the file under its new name. Raises as `Desk.rename` does, and BadName."""
        self.check(other)
        place = await self._place(directory)
        old, moved = _file(directory, name), _file(other, new_name)
        await place.buffer.rename(old.at.item.key, moved.at.item.key, place.answered, new=new)
        return moved

    async def _place(self, node: Node) -> _Place:
        self.check(node)
        buffer = self.buffer(node)
        assert buffer is not None
        assert not isinstance(node.entry, Link)
        assert node.entry.writer is not None
        answer = await self._answers.ask(node.entry.writer.source, _directory_of(node))
        return _Place(buffer, answer.value)


def _directory_of(node: Node) -> Context:
    return node.at if isinstance(node.entry, Dir) else replace(node.at, key=node.at.key[:-1])


def _file(directory: Node, name: str) -> Node:
    """The node of a file of a writable directory, whether or not there is one. Raises BadName."""
    assert isinstance(directory.entry, Dir)
    assert directory.entry.writer is not None
    row = StoredValue(directory.entry.writer.key_of(name), b"", None)
    (each,) = for_eaches_of(directory.entry)
    return leaf((name,), each.child(row), each.bind(directory.at, row))
