"""Bodies on disk, across mounts: a file each, named after its key, with a checksum for every block in the index.

A body gets its name when it is complete, and its row after that: whatever dies in between, nothing half is ever found.
Nothing is synced: after a power cut a file may hold what was never written to it, which the checksums find. Readers
hold a shared lock on the file, so that whoever makes room leaves it alone. Not here: arriving (disk.py), eviction
(room.py).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import BinaryIO

from cometfs.cache.index import Index, KeptBody, set_aside
from cometfs.cache.keeper import key_of
from cometfs.cache.room import BODIES

BLOCK = 1 << 20
"""Bytes that have one checksum: what is read anyway to answer a reader, more or less."""

DIGEST = 16
"""Bytes of a checksum (BLAKE2b)."""


def checksum(block: bytes) -> bytes:
    """Of one block."""
    return hashlib.blake2b(block, digest_size=DIGEST).digest()


class Sums:
    """The checksums of what comes in pieces."""

    def __init__(self) -> None:
        self._done: list[bytes] = []
        self._open = hashlib.blake2b(digest_size=DIGEST)
        self._room = BLOCK

    def add(self, chunk: bytes) -> None:
        """What came next."""
        view = memoryview(chunk)
        while view:
            part = view[: self._room]
            self._open.update(part)
            self._room -= len(part)
            view = view[len(part) :]
            if not self._room:
                self._close()

    def all(self) -> bytes:
        """The checksums of all blocks, one after the other; nothing may be added afterwards."""
        if self._room < BLOCK:
            self._close()
        return b"".join(self._done)

    def _close(self) -> None:
        self._done.append(self._open.digest())
        self._open = hashlib.blake2b(digest_size=DIGEST)
        self._room = BLOCK


class Lying:
    """A body that lies on disk, open. Each block is looked at once, before its first byte is given to anybody."""

    def __init__(self, file: BinaryIO, kept: KeptBody, set_aside: Callable[[], None]) -> None:
        self.file = file
        self.size = kept.size
        self.sums = kept.sums
        self.set_aside = set_aside
        """Moves the file out of the way."""
        self._seen: set[int] = set()

    def seen(self, offset: int, end: int) -> bool:
        """Whether all blocks of these bytes have been looked at."""
        return all(number in self._seen for number in _blocks(offset, end))

    def check(self, descriptor: int, offset: int, end: int) -> bool:
        """Looks at the blocks of these bytes; False where one is not what it was. In a thread."""
        for number in _blocks(offset, end):
            if number not in self._seen:
                block = os.pread(descriptor, BLOCK, number * BLOCK)
                if checksum(block) != self.sums[number * DIGEST : (number + 1) * DIGEST]:
                    return False
                self._seen.add(number)
        return True


def _blocks(offset: int, end: int) -> range:
    return range(offset // BLOCK, -(-end // BLOCK))


class Library:
    """The bodies of one account. `open` and `size` only read the index; what they have to say is written by `write`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._index = Index(folder)
        self._used: set[str] = set()
        self._gone: set[str] = set()

    def size(self, key: Hashable) -> int | None:
        """The size in bytes of a body; None where there is none."""
        name = key_of(key)
        kept = None if name is None else self._index.body(name)
        return None if kept is None else kept.size

    def open(self, key: Hashable) -> Lying | None:
        """The body under `key`, locked against being dropped; None where there is none, or not of its size."""
        name = key_of(key)
        kept = None if name is None or name in self._gone else self._index.body(name)
        if name is None or kept is None:
            return None
        path = self._folder / BODIES / kept.file
        try:
            file = path.open("rb", buffering=0)
        except OSError:
            self._gone.add(name)
            return None
        lying = Lying(file, kept, lambda: self._set_aside(name, kept))
        fcntl.flock(file.fileno(), fcntl.LOCK_SH)
        if os.fstat(file.fileno()).st_size != kept.size:
            file.close()
            lying.set_aside()
            return None
        self._used.add(name)
        return lying

    def write(self, index: Index) -> None:
        """Writes who was used and who is gone; in the thread of the writer, who may have to wait for another mount."""
        used, self._used = self._used, set()
        gone, self._gone = self._gone, set()
        index.use_bodies(used - gone)
        index.drop_bodies(gone)

    def adopt(self, key: Hashable, descriptor: int, size: int, sums: bytes) -> bool:
        """Gives a complete, unnamed file its place; False where the file system cannot. In a thread."""
        name = key_of(key)
        if name is None:
            return False
        file = file_of(name)
        path = self._folder / BODIES / file
        try:
            for folder in (path.parent.parent, path.parent):
                folder.mkdir(mode=0o700, exist_ok=True)
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            # Another mount may have kept its own copy under this name: the last one stands, both are whole.
            path.unlink(missing_ok=True)
            name_file(descriptor, path)
        except OSError:
            return False
        self._gone.discard(name)
        index = Index(self._folder)
        index.keep_body(name, KeptBody(file, size, sums))
        index.close()
        return True

    def close(self) -> None:
        """Closes the index."""
        self._index.close()

    def _set_aside(self, name: str, kept: KeptBody) -> None:
        set_aside(self._folder, [f"{BODIES}/{kept.file}"], "its bytes are not those that were kept")
        self._gone.add(name)


def name_file(descriptor: int, path: Path) -> None:
    """Gives an unnamed file its name."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # Only where a directory is given, Python asks the system to follow the link that stands for the descriptor.
        os.link(f"/proc/self/fd/{descriptor}", path.name, dst_dir_fd=folder, follow_symlinks=True)
    finally:
        os.close(folder)


def file_of(name: str) -> str:
    """Where the body of that name lies: two hex digits, a slash, the rest."""
    digest = hashlib.blake2b(name.encode(), digest_size=20).hexdigest()
    return f"{digest[:2]}/{digest[2:]}"
