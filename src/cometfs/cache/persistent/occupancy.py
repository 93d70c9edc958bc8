"""The folder of an account while a mount uses it. One that was made for a mount that came to nothing goes with it.

Not here: what is in the folder (database.py, downloads.py), nor its name (folders.py).
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def occupied(folder: Path) -> Iterator[Callable[[], None]]:
    """Has `folder`, for its owner alone, while the body runs, and gives a function to call when it is worth keeping.

    Without that call it is removed in the end, if it was made here and no other process uses it. Raises OSError where
    it cannot be made.

    Every process that uses the folder holds a shared lock on it; one that removes it holds an exclusive one.
    """
    made, descriptor = _entered(folder)
    worth = False

    def keep() -> None:
        nonlocal worth
        worth = True

    try:
        yield keep
    finally:
        if made and not worth:
            _remove(folder, descriptor)
        os.close(descriptor)


def _entered(folder: Path) -> tuple[bool, int]:
    """Whether the folder was made, and the descriptor that holds it locked."""
    while True:
        made = _made(folder)
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # removed by another one in between
        with suppress(OSError):  # a file system without locks: then nothing is removed either
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        if _is_at(folder, descriptor):
            return made, descriptor
        os.close(descriptor)


def _made(folder: Path) -> bool:
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        return False
    return True


def _is_at(folder: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(folder.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _remove(folder: Path, descriptor: int) -> None:
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder)
