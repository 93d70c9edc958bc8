"""Open files of `comet://`: each is one version of its bytes, as on a mount, however long it is open.

Not here: how they are found (tree.py).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from typing import TYPE_CHECKING, Any, Self

from fsspec.asyn import AbstractAsyncStreamedFile
from fsspec.spec import AbstractBufferedFile
from fsspec.utils import isfilelike

from cometfs.errors import Superseded
from cometfs.fsspec import portal
from cometfs.fsspec.saving import part_of
from cometfs.fsspec.tree import PIECE, Handle, Tree, read

if TYPE_CHECKING:
    from cometfs.fsspec.filesystem import CometFileSystem


class _Snapshot:
    """A file that is open in the trio thread, and is opened again where another thread has taken its place: in a
    child, or after a fork."""

    def __init__(self, path: str, handle: Handle) -> None:
        self.path = path
        self.size = handle.found.size or 0
        self._version: Hashable = handle.opened.version
        self._home = portal.current()
        self._handle: Handle | None = handle

    def read(self, start: int, end: int) -> Callable[[Tree], Awaitable[bytes]]:
        async def work(account: Tree) -> bytes:
            if self._handle is None or self._home is not portal.current():
                self._handle, self._home = await self._again(account), portal.current()
            return await read(self._handle.opened, start, end - start)

        return work

    async def _again(self, account: Tree) -> Handle:
        handle = await account.open(self.path)
        if handle.opened.version != self._version:
            handle.opened.close()
            raise Superseded(f"{self.path} is open in a former version: open it again")
        return handle

    def close(self) -> None:
        handle, self._handle = self._handle, None
        if handle is not None and self._home is not None and self._home is portal.current():
            self._home.soon(handle.opened.close)


class CometFile(AbstractBufferedFile):  # type: ignore[misc]  # fsspec ships no types
    """A file that is open for reading. One that is small is fetched when it is opened."""

    def __init__(
        self, fs: CometFileSystem, path: str, block_size: Any = None, cache_type: str | None = None, **kwargs: Any
    ) -> None:
        kwargs.pop("mode", None)
        self._snapshot = _Snapshot(path, fs.wait(path, lambda account: account.open(path)))
        size = self._snapshot.size
        if block_size in (None, "default"):
            block_size = PIECE
        kwargs["size"] = size  # that of these bytes, whatever a listing has
        super().__init__(
            fs, path, "rb", block_size, cache_type=cache_type or ("all" if size <= PIECE else "readahead"), **kwargs
        )

    def _fetch_range(self, start: int, end: int) -> bytes:
        return self.fs.wait(self.path, self._snapshot.read(start, end))  # type: ignore[no-any-return]

    def close(self) -> None:
        if not self.closed:
            self._snapshot.close()
        super().close()


class CometStream(AbstractAsyncStreamedFile):  # type: ignore[misc]  # fsspec ships no types
    """The same for an asyncio task."""

    @classmethod
    async def of(cls, fs: CometFileSystem, path: str, **kwargs: Any) -> Self:
        """The file, open."""
        snapshot = _Snapshot(path, await fs.ask(path, lambda account: account.open(path)))
        made = cls(fs, path, mode="rb", size=snapshot.size, **kwargs)
        made._snapshot = snapshot
        return made

    async def _fetch_range(self, start: int, end: int) -> bytes:
        return await self.fs.ask(self.path, self._snapshot.read(start, end))  # type: ignore[no-any-return]

    async def close(self) -> None:
        if not self.closed:
            self._snapshot.close()
        await super().close()


async def save(fs: CometFileSystem, path: str, target: Any, callback: Any) -> None:
    """Writes a file to a local one, which has its name when all of it has come; or into an open one."""
    snapshot = _Snapshot(path, await fs.ask(path, lambda account: account.open(path)))
    callback.set_size(snapshot.size)
    try:
        if isfilelike(target):
            await _copy(fs, snapshot, target.write, callback)
        else:
            with part_of(target) as file:
                await _copy(fs, snapshot, file.write, callback)
    finally:
        snapshot.close()


async def _copy(fs: CometFileSystem, snapshot: _Snapshot, write: Callable[[bytes], object], callback: Any) -> None:
    for start in range(0, snapshot.size, PIECE):
        piece = await fs.ask(snapshot.path, snapshot.read(start, min(snapshot.size, start + PIECE)))
        write(piece)
        callback.relative_update(len(piece))
