"""The directory that is exported to. Files come there whole, by a rename; nothing is written outside of it.

Each part of a path is opened from the one above and never followed where it is a link. Not here: what is written
(copying.py), and what is remembered of it (journal.py).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import posixpath
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path as Place
from typing import Self

from cometfs.errors import SetupError, no_place
from cometfs.export.journal import Journal, Kept
from cometfs.host.files import write_all
from cometfs.vfs.schema import names
from cometfs.vfs.schema.names import Path

OWN = ".cometfs-export"
"""What an export has of its own in its directory: the journal, and files that are not whole yet."""

DIRECTORIES = 32
"""That are open at once, of those that files were written to last."""

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Part:
    """A file that is being written; to be ended by `Target.finish`."""

    def __init__(self, name: str, descriptor: int, shown: str) -> None:
        self.name = name
        self.descriptor = descriptor
        self.size = 0
        self.digest = hashlib.blake2b(digest_size=16)
        self._shown = shown

    def write(self, piece: bytes | memoryview) -> None:
        """Raises OutOfSpace."""
        try:
            write_all(self.descriptor, [bytes(piece)], self.size)
        except OSError as error:
            raise no_place(error, self._shown) from error
        self.size += len(piece)
        self.digest.update(piece)


class Target:
    """A directory, made where there is none, for one export at a time."""

    def __init__(self, folder: Place) -> None:
        self.folder = folder
        self._count = 0
        self._open_directories: dict[Path, int] = {}
        """Their descriptors, the last used last."""
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            opening.callback(self._stack.close)
            try:
                self._open()
            except OSError as error:
                raise SetupError(f"cannot export to {self.folder}: {error.strerror}; name another directory") from error
            opening.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _open(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._root = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._stack.callback(os.close, self._root)
        self._stack.callback(self._close_directories)
        self._own = self._below(self._root, names.encoded(OWN))
        self._stack.callback(os.close, self._own)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        log = os.open("journal.jsonl", flags, 0o600, dir_fd=self._own)
        self._stack.callback(os.close, log)
        try:
            fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SetupError(f"another export to {self.folder} is running: wait for it") from None
        for name in os.listdir(self._own):  # noqa: PTH208
            if name.endswith(".part"):
                os.unlink(name, dir_fd=self._own)
        self.journal = Journal(log)

    def remembered(self, path: Path, version: str, now: float) -> Kept | None:
        """A file as it was exported, in a version that still holds; None where it was not."""
        kept = self.journal.get("/".join(path))
        return kept if kept is not None and kept.version == version and now < kept.until else None

    def holds(self, path: Path, kept: Kept) -> bool:
        """Whether it is there as it was exported."""
        try:
            with self._within(path[:-1]) as parent:
                found = os.open(names.encoded(path[-1]), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=parent)
        except OSError:
            return False
        with os.fdopen(found, "rb", 0) as file:
            if os.fstat(found).st_size != kept.size:
                return False
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest() == kept.digest

    @contextmanager
    def part(self, shown: str) -> Iterator[Part]:
        """A file to be written, which is gone afterwards unless it was finished. Raises OutOfSpace."""
        self._count += 1
        name = f"{self._count}.part"
        try:
            descriptor = os.open(name, _NEW, 0o666, dir_fd=self._own)
        except OSError as error:
            raise no_place(error, shown) from error
        try:
            yield Part(name, descriptor, shown)
        finally:
            os.close(descriptor)
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=self._own)

    def finish(self, part: Part, path: Path, modified_ns: int) -> None:
        """Gives a file its name. Raises OSError."""
        os.utime(part.descriptor, ns=(modified_ns, modified_ns))
        self._rename(part.name, path)

    def remember(self, part: Part, path: Path, version: str, until: float) -> None:
        """Lets `holds` know of it the next time."""
        self.journal.add("/".join(path), Kept(version, until, part.size, part.digest.hexdigest()))

    def make(self, directory: Path) -> None:
        """Has a directory there. Raises OSError."""
        with self._within(directory):
            pass

    def date(self, directory: Path, modified_ns: int) -> None:
        with self._within(directory) as descriptor:
            os.utime(descriptor, ns=(modified_ns, modified_ns))

    def link(self, path: Path, target: str, modified_ns: int) -> bool:
        """Makes a link to what is there; False where nothing is, or where it leads out. Raises OSError."""
        inside = posixpath.normpath(posixpath.join("/", *path[:-1], target))
        steps = posixpath.normpath(posixpath.join(*path[:-1], target))
        if target.startswith("/") or steps.split("/")[0] == ".." or not self._exists(tuple(inside.split("/")[1:])):
            return False
        name = f"{self._count}.link.part"
        self._count += 1
        os.symlink(names.encoded(target), name, dir_fd=self._own)
        os.utime(name, ns=(modified_ns, modified_ns), dir_fd=self._own, follow_symlinks=False)
        self._rename(name, path)
        return True

    def _exists(self, path: Path) -> bool:
        try:
            with self._within(path[:-1], make=False) as parent:
                os.stat(names.encoded(path[-1]), dir_fd=parent, follow_symlinks=False)
        except OSError:
            return False
        return True

    def _rename(self, name: str, path: Path) -> None:
        """Gives what is whole its name. The directories of the last files are kept open: to open each again, from the
        first on, takes longer than to write most files."""
        directory = path[:-1]
        for known in (self._open_directories.pop(directory, None), None):
            descriptor = self._opened(directory) if known is None else known
            self._open_directories[directory] = descriptor
            try:
                os.rename(name, names.encoded(path[-1]), src_dir_fd=self._own, dst_dir_fd=descriptor)
                return
            except FileNotFoundError:  # it was removed meanwhile
                os.close(self._open_directories.pop(directory))
                if known is None:
                    raise

    def _opened(self, directory: Path) -> int:
        if len(self._open_directories) >= DIRECTORIES:
            os.close(self._open_directories.pop(next(iter(self._open_directories))))
        with self._within(directory) as descriptor:
            return os.dup(descriptor)

    def _close_directories(self) -> None:
        while self._open_directories:
            os.close(self._open_directories.popitem()[1])

    @contextmanager
    def _within(self, directory: Path, *, make: bool = True) -> Iterator[int]:
        descriptor = os.dup(self._root)
        try:
            for name in directory:
                inner = self._below(descriptor, names.encoded(name), make=make)
                os.close(descriptor)
                descriptor = inner
            yield descriptor
        finally:
            os.close(descriptor)

    @staticmethod
    def _below(above: int, name: bytes, *, make: bool = True) -> int:
        try:
            return os.open(name, _DIRECTORY, dir_fd=above)
        except FileNotFoundError:
            if not make:
                raise
        with suppress(FileExistsError):
            os.mkdir(name, dir_fd=above)
        return os.open(name, _DIRECTORY, dir_fd=above)
