"""Bodies on disk, across mounts: a file each, under a name of its own, with a checksum for every block in the index.

A body gets its name when it is complete, and its row after that; in between it is recorded as an orphan, so that it is
removed if its process dies then. Nothing is synced: after a power cut a file may hold what was never written to it,
which the checksums find. Readers hold a shared lock on the file, and eviction skips locked files. Not here: downloading
(downloads.py), eviction (eviction.py).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

from cometfs.cache.persistent import direct
from cometfs.cache.persistent.eviction import Evictor, unlink
from cometfs.cache.persistent.index import FOLDER, Index
from cometfs.cache.persistent.rows import DIGEST, Changes, KeptBody, checksum, fresh_place, key_of
from cometfs.cache.persistent.stored_blocks import Flaw, StoredBlock, Summed

TRIM = 64 << 20
"""Bytes of blocks after which the budget is looked at, at the latest."""

BLOCK = 1 << 20
"""Bytes that have one checksum: what is read anyway to answer a reader, more or less."""


class Sums:
    """The checksums of what comes in pieces."""

    def __init__(self) -> None:
        self._done: list[bytes] = []
        self._open = hashlib.sha256()
        self._missing = BLOCK
        """Bytes that the block which is open still takes."""

    def add(self, chunk: bytes) -> None:
        """What came next."""
        view = memoryview(chunk)
        while view:
            part = view[: self._missing]
            self._open.update(part)
            self._missing -= len(part)
            view = view[len(part) :]
            if not self._missing:
                self._close()

    @property
    def whole(self) -> int:
        """Bytes in blocks that are complete."""
        return len(self._done) * BLOCK

    def agree(self, expected: bytes) -> bool:
        """Whether the complete blocks are those of which `expected` holds the checksums."""
        return expected.startswith(b"".join(self._done))

    def all(self) -> bytes:
        """The checksums of all blocks, one after the other; nothing may be added afterwards."""
        if self._missing < BLOCK:
            self._close()
        return b"".join(self._done)

    def _close(self) -> None:
        self._done.append(self._open.digest()[:DIGEST])
        self._open = hashlib.sha256()
        self._missing = BLOCK


class StoredBlob:
    """A body on disk, open. Each block is verified once, before its first byte is returned."""

    def __init__(self, file: BinaryIO, kept: KeptBody, reject: Callable[[], None]) -> None:
        self.file = file
        self.size = kept.size
        self.sums = kept.sums
        self.reject = reject
        """Reports that the file is damaged: it is not opened again."""
        self.count: Callable[[int], None] = lambda _size: None
        """To be called with how many bytes were read of it."""
        self._seen: set[int] = set()
        self._verifying = threading.Lock()
        """Held while a block is verified: the kernel asks for the parts of one together, and once is enough."""

    def seen(self, offset: int, end: int) -> bool:
        """Whether all blocks of these bytes are verified."""
        return all(number in self._seen for number in _blocks(offset, end))

    def is_whole(self) -> bool:
        """Whether all of it is what was kept."""
        if os.fstat(self.file.fileno()).st_size != self.size:
            return False
        starts = range(0, self.size, BLOCK)
        return all(self.read(start, min(start + BLOCK, self.size)) is not None for start in starts)

    def read(self, offset: int, end: int) -> bytes | None:
        """The bytes; None where a block is not what it was. In a thread, unless all of them were seen."""
        parts = [self._part(number, offset, end) for number in _blocks(offset, end)]
        found = b"".join(part for part in parts if part is not None)
        return found if len(found) == end - offset else None

    def _part(self, number: int, offset: int, end: int) -> bytes | None:
        start = number * BLOCK
        offset, end = max(offset, start), min(end, start + BLOCK)
        try:
            if number not in self._seen:
                with self._verifying:
                    if number not in self._seen:
                        block = self._verified(number)
                        # The very bytes that were verified: to read them again would be to trust the disk again.
                        return None if block is None else block[offset - start : end - start]
            return os.pread(self.file.fileno(), end - offset, offset)
        except OSError:  # a disk that cannot read it any more
            return None

    def _verified(self, number: int) -> bytes | None:
        block = os.pread(self.file.fileno(), BLOCK, number * BLOCK)
        if checksum(block) != self.sums[number * DIGEST : (number + 1) * DIGEST]:
            return None
        self._seen.add(number)
        return block


def _blocks(offset: int, end: int) -> range:
    return range(offset // BLOCK, -(-end // BLOCK))


class Whole(NamedTuple):
    """A complete body in an unnamed file: its key, the file's descriptor, its size, its checksums, and whether it is
    wanted still."""

    key: Hashable
    descriptor: int
    size: int
    sums: bytes
    wanted: Callable[[], bool] = lambda: True


class BlobStore:
    """The bodies of one account.

    `open` and `size` only read the index: they run in the event loop, which must not wait for the database's lock. What
    they find out is collected in `_used`, `_gone` and `_damaged`, and written with the next `changes`. A body that is
    in `_gone` is not opened again, although its row is still there.
    """

    def __init__(self, index: Index, evictor: Evictor) -> None:
        self._index = index
        self._evictor = evictor
        self._folder = index.folder / FOLDER
        self.changed: Callable[[], None] = lambda: None
        """To be called when there is something to write or to evict for."""
        self._used: set[str] = set()
        self._laid = 0
        self.bytes_read: Counter[str] = Counter()
        """Of bodies, and of blocks of big ones."""
        self._gone: set[tuple[str, str]] = set()
        self._damaged: set[str] = set()

    def size(self, key: Hashable) -> int | None:
        """The size in bytes of a body; None where there is none."""
        name = key_of(key)
        kept = None if name is None else self._index.view.body(name)
        return None if kept is None else kept.size

    def kept(self, keys: Iterable[Hashable]) -> set[Hashable]:
        """Under which of these keys there are bodies, as far as the index knows."""
        names = {name: key for key in keys if (name := key_of(key)) is not None}
        return {names[name] for name in self._index.view.named(names)}

    def blocks(self, keys: Iterable[Hashable]) -> dict[Hashable, StoredBlock]:
        """Those of the keys under which there are blocks, found with one question to the index."""
        names = {name: key for key in keys if (name := key_of(key)) is not None}
        found = self._index.view.bodies(names).items()
        kept = [(name, body) for name, body in found if (name, body.file) not in self._gone]
        if kept:
            self._used.update(name for name, _ in kept)
            self.changed()
        return {names[name]: StoredBlock(name, body, self._folder / body.file) for name, body in kept}

    def lost(self, block: StoredBlock, flaw: Flaw) -> None:
        """A block cannot be read."""
        if flaw is not Flaw.CLOSED:
            self._let_go(block.name, block.kept, damaged=flaw is Flaw.DAMAGED)

    def open(self, key: Hashable) -> StoredBlob | None:
        """The body under `key`, locked against being dropped; None where there is none, or not of its size."""
        name = key_of(key)
        kept = None if name is None else self._index.view.body(name)
        if name is None or kept is None or (name, kept.file) in self._gone:
            return None
        stored = self._open(name, kept)
        if stored is not None:
            self._used.add(name)
            self.changed()
        return stored

    def _open(self, name: str, kept: KeptBody) -> StoredBlob | None:
        try:
            file = (self._folder / kept.file).open("rb", buffering=0)
        except FileNotFoundError:
            self._let_go(name, kept)
            return None
        except OSError:
            return None  # too many open files, perhaps: the body may be sound
        stored = StoredBlob(file, kept, lambda: self._let_go(name, kept, damaged=True))
        stored.count = self._count
        try:
            # Eviction holds the exclusive lock of what it is about to drop, for an instant: such a body counts as gone.
            fcntl.flock(file.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return None
        if os.fstat(file.fileno()).st_size != kept.size:
            file.close()
            stored.reject()
            return None
        return stored

    def _count(self, size: int) -> None:
        self.bytes_read["body"] += size

    def _let_go(self, name: str, kept: KeptBody, *, damaged: bool = False) -> None:
        self._gone.add((name, kept.file))
        if damaged:
            self._damaged.add(kept.file)
        self.changed()

    def changes(self, others: Changes) -> Changes:
        """`others`, with what this store has found out: bodies that were used, are gone, or are damaged."""
        used, self._used = self._used, set()
        gone, self._gone = self._gone, set()
        damaged, self._damaged = self._damaged, set()
        return others._replace(bodies_used=list(used), bodies_gone=list(gone), bodies_damaged=list(damaged))

    def adopt(self, *bodies: Whole) -> list[Whole]:
        """Gives complete, unnamed files their places, all in one go; those that got one. The others are none of the
        file system's, or of the budget's, or are not `wanted` any more at last.

        In a thread. Its process may die at any instant: until the rows are written the files are recorded as orphans.
        """
        if not self._evictor.has(sum(one.size for one in bodies)):
            return [kept for one in bodies for kept in self.adopt(one)] if len(bodies) > 1 else []
        placed = {fresh_place(): (name, one) for one in bodies if (name := key_of(one.key)) is not None}
        if not placed or not self._index.announce(*placed):
            return []
        named = {file: one for file, (_, one) in placed.items() if self._named(file, one)}
        rows = [(placed[file][0], KeptBody(file, one.size, one.sums)) for file, one in named.items()]
        kept = self._index.keep_bodies(rows, lambda file: named[file].wanted())
        for file in named.keys() - kept:
            unlink(self._index.folder, file)
        return [named[file] for file in kept]

    def _named(self, file: str, one: Whole) -> bool:
        """Whether a file could be given its name."""
        path = self._folder / file
        try:
            fcntl.flock(one.descriptor, fcntl.LOCK_SH)
            try:
                name_file(one.descriptor, path)
            except FileNotFoundError:
                for folder in (path.parent.parent, path.parent):
                    folder.mkdir(mode=0o700, exist_ok=True)
                name_file(one.descriptor, path)
        except OSError:
            return False
        return True

    def lay(self, blocks: Mapping[Hashable, Summed]) -> bool:
        """Keeps bodies of one block each, all in one go; False where there is no room for all of them. In a thread.

        They have their names while they are written: being orphans they are removed if the process dies then.
        """
        names = {fresh_place(): (key_of(key), *one) for key, one in blocks.items()}
        size = sum(len(one.block) for one in blocks.values())
        if not self._evictor.has(size) or not self._index.announce(*names):
            return False
        laid = list[tuple[str, KeptBody]]()
        try:
            for file, (name, block, sums) in names.items():
                assert name is not None  # of a block
                direct.write_new(self._folder / file, block)
                laid.append((name, KeptBody(file, len(block), sums or checksum(block))))
        except OSError:
            laid = []
        kept = set(self._index.keep_bodies(laid)) if laid else set[str]()
        self._trim(size)
        for file in names.keys() - kept:
            unlink(self._index.folder, file)
        return len(kept) == len(names)

    def _trim(self, laid: int) -> None:
        """Evicts others before what was laid since the last time is more than a small part of the budget: blocks of
        big bodies come faster than answers are written, after which it is done otherwise."""
        self._laid += laid
        if self._laid > min(TRIM, self._evictor.budget // 8):
            self._laid = 0
            with suppress(OSError):
                self._evictor.make()

    def make_way(self, wanted: int) -> None:
        """Evicts others for something that does not fit on the disk. In a thread."""
        self._evictor.make(wanted)


def name_file(descriptor: int, path: Path) -> None:
    """Gives an unnamed file its name."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # Only where a directory is given, Python asks the system to follow the link that stands for the descriptor.
        os.link(f"/proc/self/fd/{descriptor}", path.name, dst_dir_fd=folder, follow_symlinks=True)
    finally:
        os.close(folder)
