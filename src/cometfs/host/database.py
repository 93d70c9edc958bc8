"""The one SQLite file that all mounts of an account share: how it is opened, and nothing of what is in it.

`PRAGMA user_version` belongs to the index (cache/persistent/schema.py). Not here: tables. Each of its users
makes its own (index.py, sqlite_bucket.py).
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FILE = "index.sqlite"

BESIDE = (FILE, f"{FILE}-wal", f"{FILE}-shm")
"""What the file consists of while it is in use."""

LOCK = "lock"
"""Held while the file is opened or moved out of the way: both at once would tear its parts asunder."""

PATIENCE = 5.0
"""Seconds to wait for another process that writes at this moment."""

_JOURNAL = 4 << 20
"""Bytes that the write-ahead log is cut down to after it was longer."""


def connect(folder: Path) -> sqlite3.Connection:
    """A connection that any one thread at a time may use, in autocommit; makes `folder`, for its owner alone.

    WAL, so that readers never wait; `synchronous=NORMAL`: a power cut may lose the last writes, never the file. Waits
    for others that open, never for one that writes. Raises sqlite3.Error where the file is no database or cannot be
    opened, OSError where the folder cannot be made.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with alone(folder):
        connection = sqlite3.connect(folder / FILE, PATIENCE, isolation_level=None, check_same_thread=False)
        try:
            _set_up(connection)
        except BaseException:
            connection.close()
            raise
    return connection


def _set_up(connection: sqlite3.Connection) -> None:
    # Only of a new file: to say it of one that is so already takes a write lock nevertheless, and waits for it.
    if connection.execute("PRAGMA page_count").fetchone()[0] == 0:
        connection.execute("PRAGMA auto_vacuum=INCREMENTAL").fetchall()
    (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
    if mode != "wal":
        raise sqlite3.OperationalError("its file system has no shared memory: --cache-dir must be on a local one")
    for pragma in ("synchronous=NORMAL", f"journal_size_limit={_JOURNAL}"):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    # A text that is damaged must come back as one that is not what it was, not as an exception of its own.
    connection.text_factory = lambda text: text.decode(errors="replace")


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Runs the body while no other process opens the file in `folder` or moves it. Raises sqlite3.OperationalError."""
    descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _lock(descriptor)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > end:
                raise sqlite3.OperationalError("another process takes too long to open it") from None
            time.sleep(0.01)


def identity(folder: Path) -> tuple[int, int] | None:
    """Which file the database in `folder` is now; None where there is none."""
    try:
        found = (folder / FILE).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All that the body writes, or nothing of it."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # a full disk ends it by itself
            db.execute("ROLLBACK")
        raise
