"""The one SQLite file that all mounts of an account share: how it is opened, and nothing of what is in it.

Not here: tables. Whoever keeps something makes its own (index.py, budget.py).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FILE = "index.sqlite"

PATIENCE = 5.0
"""Seconds to wait for another process that writes at this moment."""


def connect(folder: Path) -> sqlite3.Connection:
    """A connection that any one thread at a time may use, in autocommit; makes `folder`, for its owner alone.

    WAL, so that readers never wait; `synchronous=NORMAL`: a power cut may lose the last writes, never the file. Raises
    sqlite3.Error where the file is no database or cannot be opened, OSError where the folder cannot be made.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    connection = sqlite3.connect(folder / FILE, PATIENCE, isolation_level=None, check_same_thread=False)
    try:
        for pragma in ("auto_vacuum=INCREMENTAL", "journal_mode=WAL", "synchronous=NORMAL"):
            connection.execute(f"PRAGMA {pragma}").fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """All of the block is written or nothing; waits for another process that writes."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")
