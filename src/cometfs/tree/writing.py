"""What may be written in a mounted tree, and writing it: files made, moved and taken away in writable directories.

Not here: the bytes of an open file (drafts.py), and mounts that are only read, which never come here.
"""

from __future__ import annotations

from typing import NamedTuple, NoReturn

from cometfs.errors import NotPermitted, ReadOnly
from cometfs.tree.drafts import Desk, Draft
from cometfs.tree.node import Answered
from cometfs.tree.place import Node
from cometfs.tree.vfs import Vfs


class _Place(NamedTuple):
    desk: Desk
    answered: Answered


class Writing:
    """The writable part of a tree. Whatever is asked elsewhere raises ReadOnly."""

    def __init__(self, vfs: Vfs) -> None:
        self._vfs = vfs

    def check(self, node: Node) -> None:
        """Raises ReadOnly unless `node` is a writable directory or a file of one."""
        if self._vfs.desk(node) is None:
            raise ReadOnly(f"{node.name or '/'} only shows what Comet has")

    def refuse(self, directory: Node) -> NoReturn:
        """Raises for something to be made or taken in `directory` that is no file."""
        self.check(directory)
        raise NotPermitted(f"{directory.name} holds files and nothing else")

    async def create(self, directory: Node, name: str, *, new: bool) -> tuple[Node, Draft]:
        """A file, made where there is none, open. Raises Exists where it must be `new`, and BadName."""
        place = await self._place(directory)
        node = self._vfs.made(directory, name)
        return node, place.desk.create(node.at.item.key, place.answered, new=new)

    async def resize(self, node: Node, size: int) -> None:
        """Cuts or lengthens a file that nobody has open, and stores it."""
        place = await self._place(node)
        draft = place.desk.open(node.at.item.key, place.answered)
        try:
            draft.resize(size)
            await draft.save()
        except BaseException:
            draft.give_up()
            raise
        finally:
            draft.close()

    async def remove(self, directory: Node, name: str) -> None:
        """Takes a file away. Raises NoSuchEntry."""
        place = await self._place(directory)
        await place.desk.remove(self._vfs.made(directory, name).at.item.key, place.answered)

    async def rename(self, directory: Node, name: str, other: Node, new_name: str, *, new: bool) -> Node:
        """Moves a file within its directory; the file under its new name. Raises as `Desk.rename` does, and BadName."""
        self.check(other)
        place = await self._place(directory)
        old, moved = self._vfs.made(directory, name), self._vfs.made(other, new_name)
        await place.desk.rename(old.at.item.key, moved.at.item.key, place.answered, new=new)
        return moved

    async def _place(self, node: Node) -> _Place:
        self.check(node)
        desk = self._vfs.desk(node)
        assert desk is not None
        return _Place(desk, await self._vfs.answered(node))
