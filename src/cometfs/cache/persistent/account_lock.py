"""One process of this machine at a time for what must not be done by two: changing an account's store.

The kernel lets go of it when its process ends, however that ends. Not here: what is done meanwhile.
"""

from __future__ import annotations

import errno
import fcntl
import random
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path

import trio

FILE = "store.lock"
"""What is locked in the account's folder."""

LOOK_EVERY = 0.01
"""Seconds between two tries, more or less: two that try in step would always meet."""


class AccountLock:
    """The lock of the account whose folder in a cache directory is `folder`.

    It is a name, which mounts with different cache directories and users share, and a file, which containers with the
    same cache directory share: each of them lacks what the other has.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Runs the body while no other process has it; waits for it without a limit, and without holding up others."""
        with ExitStack() as ending:
            await _until(lambda: _claim(self._folder.name, ending))
            with suppress(OSError):  # a directory that cannot be written to: the name has to do
                file = (self._folder / FILE).open("ab")
                ending.enter_context(file)
                await _until(lambda: _lock(file.fileno()))
            yield


async def _until(taken: Callable[[], bool]) -> None:
    while not taken():  # noqa: ASYNC110  # nothing reports that another process lets go
        await trio.sleep(random.uniform(0.5, 1.5) * LOOK_EVERY)


def _claim(account: str, ending: ExitStack) -> bool:
    """Takes a name among Linux's abstract sockets, of which each has one owner, until `ending`."""
    owner = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    try:
        owner.bind(f"\0cometfs-store-{account}")
    except OSError as error:
        owner.close()
        # Where names are forbidden the file has to do.
        return error.errno != errno.EADDRINUSE
    ending.callback(owner.close)
    return True


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
