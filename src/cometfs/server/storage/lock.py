"""One server for a directory: the one that has locked its file ``.cometfs-serve`` may write there, and mends it first.

The file's mtime is that of the last sign of life of any run; the next server judges by it which were alive.

Not here: what is written (`journal`).
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from cometfs.errors import SetupError
from cometfs.server.storage.deletion import finish_deletions
from cometfs.server.storage.run_dir import mend_all

FILE = ".cometfs-serve"


class Locked:
    """A directory that is locked until `close`, or until this process ends in any way."""

    def __init__(self, path: Path, file: int) -> None:
        self.path, self._file = path, file
        self.last_alive = os.fstat(file).st_mtime_ns / 1e6
        """Epoch milliseconds, by the last server; the lock's own age where there was none."""

    def touch(self) -> None:
        """Some run gave a sign of life now."""
        os.utime(self._file)

    def close(self) -> None:
        self.touch()
        os.close(self._file)


def lock(directory: Path) -> Locked:
    """Lock `directory` and mend what a killed server left in it.

    Raises SetupError when another server has it, and OSError when it cannot be written to.
    """
    file = os.open(directory / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        mend_all(directory)
        finish_deletions(directory)
    except BlockingIOError:
        os.close(file)
        raise SetupError(f"another server has {directory}: only one at a time can serve a directory") from None
    except OSError:
        os.close(file)
        raise
    return Locked(directory, file)
