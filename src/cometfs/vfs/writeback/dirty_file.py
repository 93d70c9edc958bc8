"""A file that is being written: a buffer, stored when it is closed.

A file is written here and sent whole. Between the two it is *dirty*: this mount shows the edited bytes, Comet
the old value. Not here: all files of a directory, and what was stored lately (buffer.py).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

import trio

from cometfs.errors import CometFSError, TooBig

log = logging.getLogger(__name__)

BIGGEST = 16 << 20
"""Bytes that a value may have. All values travel together, at each change; this is far beyond what that is good for."""


JUDGED = 1 << 20
"""Bytes up to which it is looked at each write whether they can be stored: more is seen when it is closed."""


class Owner(Protocol):
    """What holds the drafts of a directory."""

    now_ms: Callable[[], float]

    async def put(self, key: str, value: bytes) -> None:
        """Returns when `value` is stored."""

    def forget(self, dirty_file: DirtyFile) -> None:
        """The last handle on `dirty_file` is closed."""

    def hopeless(self, key: str, value: bytes) -> CometFSError | None:
        """Why nothing that begins with `value` will ever be stored; None where that is not sure."""


class DirtyFile:
    """An open file of a writable directory, which all its handles share. Dirty iff `_saved` is behind `_edits`."""

    def __init__(self, buffer: Owner, key: str, base: bytes | None) -> None:
        """`base`: the value that there is, None for a file that is being made."""
        self.key = key
        self.base = base
        self.references = 0
        self.removed = False
        """Whether its name is gone: what is written now has no name and is not stored."""
        self.failed = False
        """Whether the last try to store it failed."""
        self.refused: CometFSError | None = None
        """Why nothing of it will be stored, where a part of it was refused: half of a value is none."""
        self.bare = base is None
        """Whether it was just made or emptied, and nothing written since."""
        self.modified_ms: float | None = None
        self._buffer = buffer
        self._bytes: bytearray = bytearray(base or b"")
        self._edits = 0
        self._saved = 0
        self._saving = trio.Lock()
        if base is None:
            self._edited()

    @property
    def dirty(self) -> bool:
        """Whether it holds what is not stored."""
        return self._edits != self._saved and not self.removed

    @property
    def size(self) -> int:
        return len(self._bytes)

    @property
    def broken(self) -> bool:
        """Whether the next open gets another one."""
        return bool(self.refused)

    @property
    def grows(self) -> bool:
        return False

    def take(self, _later: object, /, *, unpaged: bool = False) -> bool:  # noqa: ARG002
        """All handles share it."""
        return True

    @property
    def version(self) -> object:
        """Never twice the same: what the kernel keeps of a file that may be written is not to be trusted."""
        return object()

    @property
    def value(self) -> bytes:
        """All of it."""
        return bytes(self._bytes)

    def part(self, offset: int, length: int) -> bytes:
        """What `read` returns."""
        return bytes(self._bytes[offset : offset + length])

    async def read(self, offset: int, length: int) -> bytes:
        return self.part(offset, length)

    def write(self, offset: int, chunk: bytes) -> int:
        """Puts `chunk` at `offset`, zeros into a gap before it. Raises TooBig, and what it is known by already that it
        will not be stored: from then on always. Programs that do not look at close, as shells, learn it so."""
        self._check(offset + len(chunk))
        at_end = offset == len(self._bytes)
        self._bytes.extend(bytes(max(0, offset - len(self._bytes))))
        self._bytes[offset : offset + len(chunk)] = chunk
        self.bare = False
        self._edited()
        if at_end and len(self._bytes) <= JUDGED:
            self._refuse(self._buffer.hopeless(self.key, self.value))
        return len(chunk)

    def resize(self, size: int) -> None:
        """Cuts it, or lengthens it with zeros. Raises TooBig, and from then on always."""
        self._check(size)
        if size == len(self._bytes):
            return
        del self._bytes[size:]
        self._bytes.extend(bytes(size - len(self._bytes)))
        self.bare = size == 0
        self._edited()

    async def save(self) -> None:
        """Returns when all that was written before is stored. What raises leaves it dirty, to be saved again."""
        async with self._saving:
            self._check(0)
            if self.dirty:
                edits, value = self._edits, self.value
                self.failed = True
                await self._buffer.put(self.key, value)
                self.failed, self._saved, self.base = False, edits, value

    def give_up(self) -> None:
        """Takes back what could not be stored: the next open gets the value that there is."""
        if self.dirty:
            self._bytes = bytearray(self.base or b"")
            self._saved = self._edits
            self.removed = self.removed or self.base is None
            self._buffer.forget(self)

    def close(self) -> None:
        self.references -= 1
        if self.references == 0:
            if self.dirty:
                log.warning("what was written to %r is lost: it was never closed", self.key)
            self._buffer.forget(self)

    def _check(self, size: int) -> None:
        too_big = f"{self.key!r} would have {size} bytes, and a value may have {BIGGEST}: the old one stays"
        self._refuse(self.refused or (TooBig(too_big) if size > BIGGEST else None))

    def _refuse(self, error: CometFSError | None) -> None:
        if error is None:
            return
        if self.refused is None:
            self.refused = error
            self.give_up()
            self._buffer.forget(self)
        raise type(error)(*error.args)

    def _edited(self) -> None:
        self._edits += 1
        self.modified_ms = self._buffer.now_ms()
