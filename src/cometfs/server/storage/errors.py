"""What the storage cannot do, as exceptions. It knows no HTTP: which status each becomes is decided in `http.app`.

Not here: what is wrong with a request (`server.errors`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class StorageError(Exception):
    """Something was not stored, or is not there; the text says what and why. Nothing was changed."""


class StorageFull(StorageError):
    """The disk does not take it. The client keeps it, and nothing of it is here."""


class NotThere(StorageError):
    """There is no experiment of this key to be written to."""


class InvalidKey(StorageError):
    """What is to be the key of an experiment is none."""


class Unreadable(StorageError):
    """What is to be stored could not be read again."""


class Damaged(StorageError):
    """A file that is its owner's is broken, and is not written over."""


class InvalidVersion(StorageError):
    """What is to be the number of a version is none."""


class VersionExists(StorageError):
    """The number of a version is taken."""


@contextmanager
def full_disk(what: str = "it cannot be written") -> Iterator[None]:
    """What the system refuses to write becomes a StorageFull."""
    try:
        yield
    except OSError as exc:
        raise StorageFull(f"{what}: {exc.strerror}") from exc
