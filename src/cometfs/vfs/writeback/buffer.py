"""The files of a directory that are being written, and what was stored lately.

Not here: the buffer of each (dirty_file.py), how a value is sent (the `Writer` of the declaration) and which descriptor
is closed when (fuse/).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar

import trio

from cometfs.comet.api import API
from cometfs.errors import BadText, CometFSError, Exists, NoSuchEntry
from cometfs.vfs.edits import undecodable
from cometfs.vfs.schema.declaration import StoredValue, StoreSnapshot, Writer
from cometfs.vfs.writeback.dirty_file import DirtyFile

log = logging.getLogger(__name__)

T = TypeVar("T")


class _StoredLately(NamedTuple):
    value: bytes | None
    """None: taken away."""
    at: float


class _Seen(NamedTuple):
    hashed: int
    modified_ms: float | None


class WritebackBuffer:
    """The writing in one directory.

    A key is in `_dirty` iff its file is open and its name still stands for it. A key is in `_written` iff no
    answer was seen that was asked for after this mount changed the key: until then it knows better than the answer.
    """

    def __init__(
        self,
        writer: Writer,
        api: API,
        doubt: Callable[[], None],
        outdated: Callable[[], None] = lambda: None,
        now_ms: Callable[[], float] = lambda: time.time() * 1000,
    ) -> None:
        """`doubt` is called when a write has failed, so that it is unknown what Comet has, and `outdated` after each:
        no other process may be shown what was answered before."""
        self.revision = 0
        """Grows with every change of what the directory holds."""
        self.modified_ms: float | None = None
        self.now_ms = now_ms
        self._writer = writer
        self._api = api
        self._doubt, self._outdated = doubt, outdated
        self._dirty: dict[str, DirtyFile] = {}
        self._written: dict[str, _StoredLately] = {}
        self._scratch: dict[str, bytes] = {}
        self._seen: dict[str, _Seen] = {}

    def hopeless(self, key: str, value: bytes) -> CometFSError | None:
        """Comet keeps texts."""
        byte = None if key in self._scratch or self._writer.scratch(key) else undecodable(value)
        if byte is None:
            return None
        error = BadText(f"the store holds texts, and {key!r} is no UTF-8 at byte {byte}")
        log.warning("%r is not stored: %s", key, error)
        return error

    def over(self, answered: StoreSnapshot) -> StoreSnapshot:
        """What an answer holds, with what is known better here."""
        values = dict(answered.values)
        for key, written in list(self._written.items()):
            if written.at < answered.began:
                del self._written[key]
            elif written.value is None:
                values.pop(key, None)
            else:
                values[key] = written.value
        values |= self._scratch
        self._date(values)
        values |= {key: dirty_file.value for key, dirty_file in self._dirty.items() if dirty_file.dirty}
        times = {key: seen.modified_ms for key, seen in self._seen.items() if seen.modified_ms is not None}
        return StoreSnapshot(answered.began, values, times)

    def _date(self, values: dict[str, bytes]) -> None:
        """Comet tells no times: a value that is not the one seen before has changed now."""
        for key, value in values.items():
            seen = self._seen.get(key)
            if seen is None or seen.hashed != hash(value):
                self._seen[key] = _Seen(hash(value), None if seen is None else self.now_ms())

    def latest(self, stored: StoredValue) -> StoredValue:
        """A file as it is now, from its row in a listing."""
        key = stored.key
        dirty_file, written = self._dirty.get(key), self._written.get(key)
        if dirty_file is not None and dirty_file.modified_ms is not None:
            return StoredValue(key, dirty_file.value, dirty_file.modified_ms)
        seen = self._seen.get(key)
        modified_ms = seen.modified_ms if seen else stored.modified_ms
        value = self._scratch.get(key, written.value if written else None)
        return StoredValue(key, stored.value if value is None else value, modified_ms)

    def open(self, key: str, answered: StoreSnapshot) -> DirtyFile:
        """The file of `key`, to be closed once. Raises NoSuchEntry."""
        dirty_file = self._dirty.get(key)
        if dirty_file is None:
            value = self.over(answered).values.get(key)
            if value is None:
                raise NoSuchEntry(f"there is no {key!r} any more")
            dirty_file = self._dirty[key] = DirtyFile(self, key, value)
        dirty_file.references += 1
        return dirty_file

    def create(self, key: str, answered: StoreSnapshot, *, new: bool) -> DirtyFile:
        """The file of `key`, made if there is none, to be closed once. Raises Exists where it must be `new`."""
        if key in self.over(answered).values:
            if new:
                raise Exists(f"there is a {key!r} already")
            return self.open(key, answered)
        dirty_file = self._dirty[key] = DirtyFile(self, key, None)
        dirty_file.references += 1
        self._changed()
        return dirty_file

    async def remove(self, key: str, answered: StoreSnapshot) -> None:
        """Takes the file away; open handles keep its bytes. Raises NoSuchEntry."""
        if key not in self.over(answered).values:
            raise NoSuchEntry(f"there is no {key!r} any more")
        await self._take(key)
        self._detach(key)

    async def rename(self, key: str, new_key: str, answered: StoreSnapshot, *, new: bool) -> None:
        """Moves a value to another key, over what is there. Raises NoSuchEntry, and Exists where the key must be `new`.

        What moves is what Comet has, which may be younger than any answer here.
        """
        values = self.over(answered).values
        if key not in values:
            raise NoSuchEntry(f"there is no {key!r} any more")
        if new and new_key in values:
            raise Exists(f"there is a {new_key!r} already")
        if key == new_key:
            return
        dirty_file = self._dirty.get(key)
        # Of an open file what is stored is moved now; what is not yet, is stored under the new key when it is closed.
        value = values[key] if dirty_file is None else dirty_file.base
        if value is not None:
            await self._move(key, new_key, value)
        self._detach(new_key)
        if dirty_file is not None and self._dirty.pop(key, None) is dirty_file:
            dirty_file.key = new_key
            self._dirty[new_key] = dirty_file
        self._changed()

    async def _move(self, key: str, new_key: str, value: bytes) -> None:
        if self._writer.scratch(key) or self._writer.scratch(new_key):
            await self.put(new_key, value)
            await self._take(key)
            return
        moved = await self._send(f"{key!r} is not moved", self._writer.rename(self._api, key, new_key))
        self._note(new_key, moved)
        self._written[key] = _StoredLately(None, trio.current_time())
        self._seen.pop(key, None)

    async def put(self, key: str, value: bytes) -> None:
        """Returns when `value` is stored."""
        if self._writer.scratch(key):
            self._scratch[key] = value
        else:
            await self._send(f"{key!r} is not stored", self._writer.save(self._api, key, value))
        self._note(key, value)

    def _note(self, key: str, value: bytes) -> None:
        """`value` is what there is now under `key`."""
        if key not in self._scratch:
            self._written[key] = _StoredLately(value, trio.current_time())
        self._seen[key] = _Seen(hash(value), self.now_ms())
        self._changed()

    def forget(self, dirty_file: DirtyFile) -> None:
        """The last handle on `dirty_file` is closed."""
        if self._dirty.get(dirty_file.key) is dirty_file:
            del self._dirty[dirty_file.key]
            self._changed()

    async def _take(self, key: str) -> None:
        dirty_file = self._dirty.get(key)
        if self._scratch.pop(key, None) is None and (dirty_file is None or dirty_file.base is not None):
            await self._send(f"{key!r} is not removed", self._writer.remove(self._api, key))
            self._written[key] = _StoredLately(None, trio.current_time())
        self._seen.pop(key, None)
        self._changed()

    def _detach(self, key: str) -> None:
        dirty_file = self._dirty.pop(key, None)
        if dirty_file is not None:
            dirty_file.removed = True
        self._changed()

    async def _send(self, what: str, sending: Awaitable[T]) -> T:
        try:
            return await sending
        except BaseException as error:  # a deadline that passes is a cancellation: it may have arrived, or not
            log.warning("%s: %s", what, str(error) or type(error).__name__)
            self._doubt()
            raise
        finally:
            self._outdated()

    def _changed(self) -> None:
        self.revision += 1
        self.modified_ms = self.now_ms()
