"""What the engine answers with: nodes, listings, attributes, open files. Values; nothing here makes a call.

Not here: how they come about (listings.py, files.py, vfs.py).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, cast

from cometfs.vfs.appended import continued
from cometfs.vfs.schema import names
from cometfs.vfs.schema.declaration import Context, Dir, File, ForEach, Link, fixed_of

NODE_BYTES = 400
"""What a node of a listing costs in memory, its place and its name included (tracemalloc: 300 to 420)."""


@dataclass(slots=True)
class Node:
    """A file or a directory of the mounted tree: the declaration that stands there and what is known at the place.

    Never changed, and not frozen for the reason of `Context`.
    """

    name: str
    entry: File | Dir | Link
    at: Context
    within: names.Path = ()
    """The folders, made by "/" in names, between its declared directory and itself; its own name too if it is one."""

    @property
    def identity(self) -> Hashable:
        """Equal for two nodes iff they stand for the same thing, however it is named now."""
        return (self.entry, self.at.key, self.within)


@dataclass(frozen=True, slots=True)
class Listing:
    """The children of a directory in a fixed order; `folders` holds what lies below those that a "/" made, `unlisted`
    what is there only when it is named, `omitted` what is known to be empty.

    `at`: the place of the directory, as it was known then; `until`: the moment, on trio's clock, until which it holds;
    `stale`: whether it is the last one, for want of another: what is not in it may be there by now.
    """

    at: Context
    until: float
    stale: bool = False
    nodes: dict[str, Node] = field(default_factory=dict)
    unlisted: dict[str, Node] = field(default_factory=dict)
    omitted: dict[str, Node] = field(default_factory=dict)
    folders: dict[str, Listing] = field(default_factory=dict)


def declared(directory: Node, node: Node) -> Node | None:
    """A child that stands for no row of an answer, at its directory's place as that is known now; else None."""
    if directory.within or node.entry not in cast(Dir, directory.entry).entries:
        return None
    return node if node.at is directory.at else Node(node.name, node.entry, directory.at)


Kind = Literal["file", "dir", "link"]


@dataclass(slots=True)
class Attributes:
    """What stat shows. Size and lease come from one snapshot. Never changed, like `Context`."""

    kind: Kind
    size: int | None
    """In bytes; None for a file that must be fetched before its size is known."""
    modified_ms: float
    lease: float
    """Seconds for which all this holds."""


class Opened(Protocol):
    """An open file: one version of its bytes, whatever happens meanwhile, unless it `grows`."""

    @property
    def size(self) -> int:
        """In bytes."""

    @property
    def version(self) -> Hashable:
        """Equal for two opened files of a node iff their bytes are equal."""

    @property
    def broken(self) -> bool:
        """Whether some of the bytes will never come: the next open must begin anew."""

    @property
    def grows(self) -> bool:
        """Whether bytes may be added at its end while it is open; those that it has stay as they are."""

    def take(self, later: Opened, /, *, unpaged: bool = False) -> bool:
        """Whether it goes on as the same file opened later: it has these bytes, or has now got those at the end that
        it lacked, if it grows or is not read through the kernel's pages (`unpaged`). False, and nothing is changed,
        where the file has become another one."""

    async def read(self, offset: int, length: int) -> bytes | memoryview:
        """Exactly the bytes asked for, fewer only at the end."""

    def close(self) -> None:
        """To be called once."""


@dataclass(slots=True)
class Content:
    """The bytes of a rendered file. Only `take` changes them."""

    data: bytes
    grows: bool = False

    @property
    def size(self) -> int:
        return len(self.data)

    @property
    def version(self) -> Hashable:
        return hash(self.data)

    @property
    def broken(self) -> bool:
        return False

    def take(self, later: Opened, /, *, unpaged: bool = False) -> bool:
        if not isinstance(later, Content):
            return False
        # It was taken for ended, and goes on, or its last lines come late: no pages are in the way.
        grows = self.grows or unpaged
        if later.data != self.data:
            data = continued(self.data, later.data, late=later.grows) if grows else None
            if data is None:
                return False
            self.data = data
        self.grows = grows and later.grows
        return True

    def part(self, offset: int, length: int) -> memoryview:
        """What `read` returns."""
        return memoryview(self.data)[offset : offset + length]

    async def read(self, offset: int, length: int) -> memoryview:
        return self.part(offset, length)

    def close(self) -> None:
        pass


class ReadableBody(Protocol):
    """A body that came, or comes, as one stream or in parts."""

    error: Exception | None

    @property
    def size(self) -> int | None: ...

    @property
    def version(self) -> Hashable: ...

    @property
    def is_new(self) -> bool: ...

    def read_nowait(self, offset: int, length: int) -> bytes | memoryview | None: ...

    async def read(self, offset: int, length: int) -> bytes | memoryview: ...


@dataclass(frozen=True, slots=True)
class OpenedBody:
    """A downloaded body, open."""

    key: Hashable
    body: ReadableBody
    close: Callable[[], None]

    @property
    def size(self) -> int:
        assert self.body.size is not None  # to open it was to wait for that
        return self.body.size

    @property
    def version(self) -> Hashable:
        # What is read again of the same version is what the kernel has already.
        return (self.key, self.body.version)

    @property
    def broken(self) -> bool:
        return self.body.error is not None

    @property
    def grows(self) -> bool:
        return False

    def take(self, _later: Opened, /, *, unpaged: bool = False) -> bool:  # noqa: ARG002
        return True  # an asset is never changed: another one has another id, and so another place

    def part(self, offset: int, length: int) -> bytes | memoryview | None:
        """What `read` returns, where it is in memory."""
        return self.body.read_nowait(offset, length)

    async def read(self, offset: int, length: int) -> bytes | memoryview:
        return await self.body.read(offset, length)


def leaf(path: names.Path, entry: File | Dir | Link, at: Context) -> Node:
    # A link must know how deep it lies; for a directory the same words would mean a folder of its own listing.
    return Node(path[-1], entry, at, path[:-1] if isinstance(entry, Link) else ())


Built = tuple[names.Path, Node]
"""A node, and its place below its declared directory."""


def build(node: Node, each: ForEach, rows: Sequence[Any]) -> list[Built]:
    """The nodes that stand for `rows` in the directory `node`."""
    entry = cast(Dir, node.entry)
    taken = {fixed.name for fixed in fixed_of(entry)}
    paths = names.each_once(names.apart_from(lambda name: name in taken or entry.refuses(name), each.names(rows)))
    return [(path, leaf(path, each.child(row), each.bind(node.at, row))) for path, row in zip(paths, rows, strict=True)]


def insert(listing: Listing, path: names.Path, node: Node, entry: Dir, at: Context) -> None:
    """Puts `node` at `path`, making the folders on the way."""
    for depth, part in enumerate(path[:-1], 1):
        if part not in listing.folders:
            listing.folders[part] = Listing(at, listing.until, listing.stale)
            listing.nodes[part] = Node(part, entry, at, path[:depth])
        listing = listing.folders[part]
    listing.nodes.setdefault(path[-1], node)
