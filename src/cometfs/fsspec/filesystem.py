"""The tree in the words of fsspec. What fsspec makes of them (bulk downloads, walks, caches of blocks) is its own.

Not here: what paths mean (tree.py), and open files (files.py).
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import TimeoutError as TookTooLong
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, TypeVar, cast

from fsspec.asyn import AsyncFileSystem, get_loop
from fsspec.callbacks import DEFAULT_CALLBACK
from fsspec.implementations.local import LocalFileSystem, make_path_posix, trailing_sep
from fsspec.utils import glob_translate, stringify_path

from cometfs.config import MountSettings
from cometfs.errnos import as_oserror
from cometfs.errors import CometFSError, ReadOnly, Unsupported
from cometfs.fsspec import portal, tree
from cometfs.fsspec.files import CometFile, CometStream, save
from cometfs.fsspec.saving import Saving, make
from cometfs.fsspec.settings import GIVEN, settings_of
from cometfs.fsspec.tree import Found, Tree, on_tree, within_deadline

T = TypeVar("T")

SETTLE = 5.0
"""Seconds that a copy for another process waits at most for what this one has to write."""

TOGETHER = 128
"""Files that are read in one trip into the thread of the tree, as many as fsspec reads at a time."""

OWN = frozenset({"asynchronous", "loop", "batch_size", "use_listings_cache", "listings_expiry_time", "max_paths"})
"""Options of fsspec itself."""

TYPES = {"dir": "directory", "file": "file", "link": "link"}


class CometFileSystem(AsyncFileSystem):  # type: ignore[misc]  # fsspec ships no types
    """A Comet account as `comet://WORKSPACE/PROJECT/EXPERIMENT/...`: what `cometfs mount` shows, without FUSE.

    Options: `url`, `profile`, `api_key_file`, `cache_dir`, `deadline`, `live_interval`, `shared`, each as of `cometfs
    mount`.
    `server` is `url` under a name that `fsspec.url_to_fs` has not taken for itself. A key is found where `cometfs
    mount` finds it, by each process for itself: it is no option, and travels with no copy.
    """

    protocol = "comet"
    blocksize = 1 << 20

    def __init__(self, **options: Any) -> None:
        if "api_key" in options:
            raise TypeError("a key is no option of comet://, for options are logged and pickled: name an api_key_file")
        if unknown := options.keys() - OWN - GIVEN - {"server"}:
            raise TypeError(f"comet:// has no option {', '.join(sorted(unknown))}")
        self._account: MountSettings | None = None
        self._given = {name: options.pop(name) for name in GIVEN & options.keys()}
        if server := options.pop("server", None):
            self._given["url"] = server
        super().__init__(**options)
        self._pid: int

    def __reduce__(self) -> Any:
        """Its options. What was fetched is on disk before a copy looks for it in another process."""
        began = portal.current()
        if began is not None and self._account is not None and self._account in began.accounts:
            with suppress(TookTooLong, OSError):
                portal.submit(on_tree(self._account, Tree.settle)).result(SETTLE)
        return super().__reduce__()

    @property
    def loop(self) -> asyncio.AbstractEventLoop | None:
        if self._pid != os.getpid():  # a child's own
            self._pid, self._loop = os.getpid(), None if self.asynchronous else get_loop()
        return self._loop

    @property
    def fsid(self) -> str:
        """Another one for another server."""
        return f"comet-{hashlib.sha256(self._settings().url.encode()).hexdigest()[:16]}"

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        stripped = super()._strip_protocol(path)
        return stripped if isinstance(stripped, list) else stripped.lstrip("/")

    def _settings(self) -> MountSettings:
        """Found when something is first asked. Raises SetupError."""
        if self._account is None:
            self._account = settings_of(self._given)
        return self._account

    async def ask(self, path: str, work: Callable[[Tree], Awaitable[T]]) -> T:
        """What `work` returns of the tree. Raises OSError, with the errno of the mount and the sentence."""
        try:
            return await portal.ask(on_tree(self._settings(), within_deadline(work)))
        except CometFSError as error:
            raise as_oserror(error, path) from error

    def wait(self, path: str, work: Callable[[Tree], Awaitable[T]]) -> T:
        """The same, for a plain thread."""
        try:
            return portal.wait(on_tree(self._settings(), within_deadline(work)))
        except CometFSError as error:
            raise as_oserror(error, path) from error

    async def _info(self, path: str, **_kwargs: Any) -> dict[str, Any]:
        place = self._strip_protocol(path)
        return _as_info(await self.ask(path, lambda account: account.stat(place)))

    async def _look(self, path: str) -> str | None:
        """The type of what stands there, without its size; None where nothing does."""
        place = self._strip_protocol(path)
        try:
            return TYPES[(await self.ask(path, lambda account: account.look(place))).kind]
        except (FileNotFoundError, NotADirectoryError):
            return None

    async def _exists(self, path: str, **_kwargs: Any) -> bool:
        return await self._look(path) is not None

    async def _isdir(self, path: str) -> bool:
        return await self._look(path) == "directory"

    async def _isfile(self, path: str) -> bool:
        return await self._look(path) == "file"

    async def _ls(self, path: str, detail: bool = True, refresh: bool = False, **_kwargs: Any) -> list[Any]:
        place = self._strip_protocol(path)
        if refresh:
            await self.ask(path, lambda account: account.refresh(place))
        found: list[Found] = await self.ask(path, lambda account: account.entries(place))
        return [_as_info(one) if detail else one.path for one in found]

    def invalidate_cache(self, path: str | None = None) -> None:
        """Has Comet asked again for what is at a path or below it; without one, for all of the account."""
        place = self._strip_protocol(path or "")
        self.wait(place, lambda account: account.refresh(place))

    async def _walk(self, path: str, *args: Any, on_error: Any = None, below: Any = None, **kwargs: Any) -> Any:
        """As fsspec has it, which takes a directory that cannot be listed for an empty one: here it is an error, unless
        `on_error` has another word, which then goes for the directories below, too."""
        on_error = on_error or below or _unless_absent
        async for found in super()._walk(path, *args, on_error=on_error, below=on_error, **kwargs):
            yield found

    async def _glob(self, path: str, maxdepth: int | None = None, **kwargs: Any) -> Any:
        place = self._strip_protocol(path)
        if maxdepth is not None or "**" in place or not set(place) & set("*?["):
            return await super()._glob(path, maxdepth=maxdepth, **kwargs)
        parts = tree.literal_or_pattern(place.split("/"), glob_translate)
        found: list[Found] = await self.ask(path, lambda account: account.glob(parts))
        only_directories = stringify_path(path).endswith("/")
        infos = {one.path: _as_info(one) for one in sorted(found) if not only_directories or one.kind == "dir"}
        return infos if kwargs.get("detail") else list(infos)

    async def _cat_file(self, path: str, start: int | None = None, end: int | None = None, **_kwargs: Any) -> bytes:
        place = self._strip_protocol(path)
        return await self.ask(path, lambda account: account.cat(place, start, end))

    async def _cat(self, path: Any, recursive: bool = False, on_error: str = "raise", **kwargs: Any) -> Any:
        """Of a directory, with `recursive`, the files."""
        if not (isinstance(path, list) or recursive or set(path) & set("*?[")):
            return await super()._cat(path, recursive=recursive, on_error=on_error, **kwargs)
        paths = await self._expand_path(path, recursive=recursive)
        if recursive:
            paths = [one for one in paths if not await self._isdir(one)]
        found = await self._cat_all(paths, kwargs.get("start"), kwargs.get("end"))
        failed = next((one for one in found.values() if isinstance(one, OSError)), None)
        if on_error == "raise" and failed is not None:
            raise failed
        return {one: it for one, it in found.items() if on_error != "omit" or not isinstance(it, OSError)}

    async def _cat_all(self, paths: Sequence[str], start: int | None, end: int | None) -> dict[str, bytes | OSError]:
        """The bytes of many files, or why there are none. A trip into the other thread takes more than to read what is
        at hand: one for each file would be most of what a project costs."""
        await self.ask("", lambda account: account.gather(paths))
        found: dict[str, bytes | OSError] = {}
        for first in range(0, len(paths), TOGETHER):
            some = paths[first : first + TOGETHER]
            brought = await self.ask("", lambda account, some=some: account.cat_all(some, start, end))  # type: ignore[misc]
            found |= {
                path: as_oserror(it, path) if isinstance(it, CometFSError) else it for path, it in brought.items()
            }
        return found

    async def _cat_ranges(self, paths: list[str], *args: Any, **kwargs: Any) -> Any:
        places = [self._strip_protocol(path) for path in paths]
        await self.ask("", lambda account: account.gather(places))
        return await super()._cat_ranges(paths, *args, **kwargs)

    async def _get_file(self, rpath: str, lpath: Any, callback: Any = DEFAULT_CALLBACK, **_kwargs: Any) -> None:
        place = self._strip_protocol(rpath)
        if await self._look(rpath) != "directory":
            await save(self, place, lpath, callback)
            return
        make(lpath, (await self.ask(rpath, lambda account: account.look(place, follow=False))).target)

    async def _get(
        self, rpath: Any, lpath: Any, recursive: bool = False, callback: Any = DEFAULT_CALLBACK, **kwargs: Any
    ) -> Any:
        """A directory, with `recursive`, is gone through as `cometfs export` does. What cannot be had does not end the
        rest: the first error is raised when all else is there."""
        one = recursive and isinstance(rpath, str) and not isinstance(lpath, list) and not set(rpath) & set("*?[")
        if not one or kwargs.get("maxdepth") or await self._look(rpath) != "directory":
            return await super()._get(rpath, lpath, recursive=recursive, callback=callback, **kwargs)
        source, target = self._strip_protocol(rpath), make_path_posix(lpath)
        inside = (trailing_sep(target) or LocalFileSystem().isdir(target)) and not trailing_sep(rpath)
        return await self._save_tree(source, Path(target, source.rpartition("/")[2] if inside else ""), callback)

    async def _save_tree(self, source: str, target: Path, callback: Any) -> None:
        async def work(account: Tree) -> Saving:
            saving = Saving(account, await account.node(source), source, target, callback)
            await saving.run()
            return saving

        errors = (await portal.ask(on_tree(self._settings(), work))).errors
        for path, error in errors[:1]:
            raised = error if isinstance(error, OSError) else as_oserror(cast(CometFSError, error), path)
            if len(errors) > 1:
                raised.add_note(f"{len(errors) - 1} more could not be copied")
            raise raised from error

    def _open(self, path: str, mode: str = "rb", block_size: int | None = None, **kwargs: Any) -> CometFile:
        if mode != "rb":
            self._refuse(path)
        kwargs.pop("autocommit", None)
        return CometFile(self, self._strip_protocol(path), block_size, **kwargs)

    async def open_async(self, path: str, mode: str = "rb", **kwargs: Any) -> CometStream:
        if mode != "rb":
            self._refuse(path)
        return await CometStream.of(self, self._strip_protocol(path), **kwargs)

    def created(self, path: str) -> datetime:
        """When an experiment began, or an asset came; refused for what Comet does not tell that of."""
        place = self._strip_protocol(path)
        created_ms = self.wait(path, lambda account: account.created_ms(place))
        if created_ms is None:
            raise as_oserror(Unsupported(f"Comet does not tell when {path} was created"), path)
        return datetime.fromtimestamp(created_ms / 1000, UTC)

    def modified(self, path: str) -> datetime:
        place = self._strip_protocol(path)
        found = self.wait(path, lambda account: account.look(place))
        return datetime.fromtimestamp(found.modified_ms / 1000, UTC)

    def ukey(self, path: str) -> str:
        """The same as long as the file is: in each process, and without a look at its bytes."""
        place = self._strip_protocol(path)
        return hashlib.sha256(self.wait(path, lambda account: account.identity(place)).encode()).hexdigest()

    def checksum(self, path: str) -> int:
        return int(self.ukey(path), 16)

    def sign(self, path: str, expiration: int = 100, **_kwargs: Any) -> NoReturn:  # noqa: ARG002
        raise as_oserror(
            Unsupported("comet:// signs no links: Comet gives its bodies only to a key; read the file, or `get` it"),
            path,
        )

    def _refuse(self, path: str) -> NoReturn:
        raise as_oserror(ReadOnly("comet:// is only read: log to Comet with comet_ml"), path)

    async def _refuse_task(self, path: Any, *_args: Any, **_kwargs: Any) -> NoReturn:
        self._refuse(str(path))

    async def _refuse_second(self, _path: Any, path: Any, *_args: Any, **_kwargs: Any) -> NoReturn:
        self._refuse(str(path))

    _pipe_file = _rm = _rm_file = _mkdir = _makedirs = _refuse_task
    _put_file = _cp_file = _mv_file = _refuse_second

    def touch(self, path: str, truncate: bool = True, **_kwargs: Any) -> NoReturn:  # noqa: ARG002
        self._refuse(path)

    def rmdir(self, path: str) -> NoReturn:
        self._refuse(path)


def _unless_absent(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _as_info(found: Found) -> dict[str, Any]:
    info: dict[str, Any] = {
        "name": found.path,
        "size": found.size,
        "type": TYPES[found.kind],
        "mtime": found.modified_ms / 1000,
        "islink": found.kind == "link" or found.target is not None,
    }
    return info | {"destination": found.target} if found.target is not None else info
