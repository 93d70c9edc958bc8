"""Temporary files of editors beside a file that can be edited: in memory, in no listing, never sent to Comet.

`sed -i` and atomic saves write one and rename it over the file; vim keeps a swap file and a backup while it writes. Not
here: what becomes of the file that they are renamed over (vfs/changes/editing.py).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from cometfs.errors import Exists, NoSuchEntry, OutOfSpace
from cometfs.vfs.keys import Place
from cometfs.vfs.nodes import Node
from cometfs.vfs.schema.declaration import Dir, File, fixed_of
from cometfs.vfs.writeback.dirty_file import DirtyFile

MOST = 64
"""Files that are kept at once; each is to live for a moment."""

ROOM = 32 << 20
"""Bytes of all of them."""

LIFE = 3600.0
"""Seconds after which one goes that nothing has open: its program has crashed."""

ENTRY = File("", None, lambda at: at.item.value, "a temporary file of an editor", listed=False)

_OWN = re.compile(r"sed[A-Za-z0-9]{6}|XX[A-Za-z0-9]{6}|\.goutputstream-[A-Za-z0-9]{6}|tmp[a-z0-9_]{8}|\.#.*|#.*#")
"""Temporary names that do not contain that of the file: sed -i, perl -i, GLib, Python's tempfile, Emacs."""


@dataclass
class _Scratch:
    file: DirtyFile
    made: float
    value: bytes = b""


def edited_beside(directory: Node) -> list[File]:
    """The files of a directory that can be edited."""
    entry = directory.entry
    fixed = fixed_of(entry) if isinstance(entry, Dir) and not directory.within else ()
    return [child for child in fixed if isinstance(child, File) and child.edit is not None]


def is_temporary(directory: Node, name: str) -> bool:
    """Whether an editor calls a temporary file so that it makes in a directory."""
    names = [entry.name for entry in edited_beside(directory)]
    return name not in names and bool(names) and (_OWN.fullmatch(name) is not None or any(one in name for one in names))


class ScratchFiles:
    """One is in `_files` iff it was made and not removed, renamed over another, or pushed out for its age."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        """`now`: seconds since 1970."""
        self.now_ms: Callable[[], float] = lambda: now() * 1000
        self._files: dict[str, _Scratch] = {}

    def find(self, directory: Node, name: str) -> Node | None:
        """The file of that name, where there is one."""
        if not self._files or _key(directory.at.key, name) not in self._files:
            return None
        return _node(directory, name)

    def create(self, directory: Node, name: str, *, new: bool) -> tuple[Node, DirtyFile]:
        """A file, made where there is none, open. Raises Exists where it must be `new`, and OutOfSpace."""
        key = _key(directory.at.key, name)
        if key in self._files:
            if new:
                raise Exists(f"there is a {name!r} already")
            return _node(directory, name), self.open(_node(directory, name))
        self._make_room()
        made = DirtyFile(self, key, b"")
        made.references = 1
        self._files[key] = _Scratch(made, self.now_ms())
        return _node(directory, name), made

    def open(self, node: Node) -> DirtyFile:
        """A file, to be closed once. Raises NoSuchEntry."""
        key = _key(node.at.key[:-1], node.name)
        scratch = self._files.get(key)
        if scratch is None:
            raise NoSuchEntry(f"there is no {node.name!r} any more")
        if not scratch.file.references:
            scratch.file = DirtyFile(self, key, scratch.value)
        scratch.file.references += 1
        return scratch.file

    def size(self, node: Node) -> int:
        scratch = self._files.get(_key(node.at.key[:-1], node.name))
        return 0 if scratch is None else scratch.file.size

    def take(self, directory: Node, name: str) -> bytes:
        """What a file holds. Raises NoSuchEntry."""
        scratch = self._files.get(_key(directory.at.key, name))
        if scratch is None:
            raise NoSuchEntry(f"there is no {name!r} any more")
        return scratch.file.value

    def remove(self, directory: Node, name: str) -> None:
        """Takes a file away; what is written to it from now on goes nowhere. Raises NoSuchEntry."""
        scratch = self._files.pop(_key(directory.at.key, name), None)
        if scratch is None:
            raise NoSuchEntry(f"there is no {name!r} any more")
        scratch.file.removed = True

    def rename(self, directory: Node, name: str, new_name: str, *, new: bool) -> Node:
        """Gives a file another temporary name. Raises NoSuchEntry, and Exists where that must be `new`."""
        key = _key(directory.at.key, new_name)
        if new and key in self._files:
            raise Exists(f"there is a {new_name!r} already")
        self.take(directory, name)
        self._files[key] = self._files.pop(_key(directory.at.key, name))
        self._files[key].file.key = key
        return _node(directory, new_name)

    async def put(self, key: str, value: bytes) -> None:
        if key in self._files:
            self._files[key].value = value

    def forget(self, dirty_file: DirtyFile) -> None:
        """It stays until it is removed."""

    def hopeless(self, key: str, value: bytes) -> None:
        """Nothing is: it is not sent."""

    def _make_room(self) -> None:
        old = self.now_ms() - LIFE * 1000
        closed = [key for key, one in self._files.items() if not one.file.references]
        for key in closed:
            if self._files[key].made < old or len(self._files) >= MOST:
                del self._files[key]
        if len(self._files) >= MOST or sum(one.file.size for one in self._files.values()) > ROOM:
            raise OutOfSpace(f"{len(self._files)} temporary files of editors are open here already")


def _key(place: Place, name: str) -> str:
    return "/".join((*map(str, place), name))


def _node(directory: Node, name: str) -> Node:
    return Node(name, ENTRY, replace(directory.at, key=(*directory.at.key, name)))
