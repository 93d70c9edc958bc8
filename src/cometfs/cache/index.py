"""What is kept on disk: answers, and where bodies lie, in the SQLite file that all mounts of an account share.

Every answer carries a checksum that is looked at on the way in. A file that is damaged is set aside and begun anew; one
that is locked, full or read-only costs what would have been kept, and a warning. Not here: when something is written
(keeper.py), the bodies themselves (disk.py).
"""

from __future__ import annotations

import logging
import os
import sqlite3
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from cometfs.cache import database

log = logging.getLogger(__name__)

T = TypeVar("T")

DAMAGED = "damaged"
"""The folder where damaged files are set aside."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, value BLOB NOT NULL, arrived REAL NOT NULL, expires REAL NOT NULL,
    crc INTEGER NOT NULL, size INTEGER NOT NULL, used REAL NOT NULL);
CREATE INDEX IF NOT EXISTS answers_used ON answers (used, size);
CREATE TABLE IF NOT EXISTS bodies (
    key TEXT PRIMARY KEY, file TEXT NOT NULL, size INTEGER NOT NULL, sums BLOB NOT NULL, used REAL NOT NULL);
CREATE INDEX IF NOT EXISTS bodies_used ON bodies (used, size);
CREATE TABLE IF NOT EXISTS totals (name TEXT PRIMARY KEY, bytes INTEGER NOT NULL, count INTEGER NOT NULL);
INSERT OR IGNORE INTO totals VALUES ('answers', 0, 0), ('bodies', 0, 0);
"""

COUNTED = "".join(
    f"""
CREATE TRIGGER IF NOT EXISTS {table}_in AFTER INSERT ON {table} BEGIN
    UPDATE totals SET bytes = bytes + NEW.size, count = count + 1 WHERE name = '{table}'; END;
CREATE TRIGGER IF NOT EXISTS {table}_out AFTER DELETE ON {table} BEGIN
    UPDATE totals SET bytes = bytes - OLD.size, count = count - 1 WHERE name = '{table}'; END;
"""
    for table in ("answers", "bodies")
)
"""Totals are kept by the database itself, so that nobody ever has to add up."""


class Kept(NamedTuple):
    """An answer; times in seconds since 1970."""

    value: bytes
    arrived: float
    expires: float


class KeptBody(NamedTuple):
    """Where a body lies: its file below the folder of bodies, its size in bytes, the checksums of its blocks."""

    file: str
    size: int
    sums: bytes


class Answer(NamedTuple):
    """An answer to be written."""

    key: str
    value: bytes
    arrived: float
    expires: float


class Totals(NamedTuple):
    """What is kept: bytes and numbers."""

    answer_bytes: int
    answers: int
    body_bytes: int
    bodies: int

    @property
    def bytes(self) -> int:
        return self.answer_bytes + self.body_bytes

    def as_object(self) -> dict[str, int]:
        """For JSON."""
        return self._asdict() | {"bytes": self.bytes}


class Index:
    """The file, open. Any one thread at a time may use an instance; a writer's thread opens its own."""

    def __init__(self, folder: Path, wall: Callable[[], float] = time.time) -> None:
        self.folder = folder
        self._wall = wall
        self._warned = False
        self._connection: sqlite3.Connection | None = None
        self._safely(_nothing, None)

    def answer(self, key: str) -> Kept | None:
        """The answer under `key` that still holds; None too for one whose checksum is wrong, which goes."""
        row = self._safely(lambda db: db.execute(_ANSWER, (key,)).fetchone(), None)
        if row is None or row[2] <= self._wall():
            return None
        if zlib.crc32(row[0]) != row[3]:
            log.warning("a kept answer was damaged on disk and is asked for again: %s", key)
            self.drop([key])
            return None
        return Kept(*row[:3])

    def body(self, key: str) -> KeptBody | None:
        """Where the body under `key` lies."""
        row = self._safely(lambda db: db.execute(_BODY, (key,)).fetchone(), None)
        return None if row is None else KeptBody(*row)

    def write(self, answers: Sequence[Answer], dropped: Iterable[str] = (), used: Iterable[str] = ()) -> None:
        """Keeps, drops and marks as used, all or nothing."""
        now = self._wall()
        rows = [(*one, zlib.crc32(one.value), len(one.key) + len(one.value), now) for one in answers]

        gone = [(key,) for key in (*dropped, *(answer.key for answer in answers))]

        def work(db: sqlite3.Connection) -> None:
            with database.transaction(db):
                db.executemany("DELETE FROM answers WHERE key = ?", gone)
                db.executemany("INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
                db.executemany("UPDATE answers SET used = ? WHERE key = ?", [(now, key) for key in used])

        self._safely(work, None)

    def keep_body(self, key: str, body: KeptBody) -> None:
        """Says where a body lies."""

        def work(db: sqlite3.Connection) -> None:
            with database.transaction(db):
                db.execute("DELETE FROM bodies WHERE key = ?", (key,))
                db.execute("INSERT INTO bodies VALUES (?, ?, ?, ?, ?)", (key, *body, self._wall()))

        self._safely(work, None)

    def use_bodies(self, keys: Iterable[str]) -> None:
        """Somebody reads them: they go last."""
        rows = [(self._wall(), key) for key in keys]
        self._safely(lambda db: db.executemany("UPDATE bodies SET used = ? WHERE key = ?", rows), None)

    def drop(self, keys: Iterable[str]) -> None:
        """Forgets answers."""
        self._safely(lambda db: db.executemany("DELETE FROM answers WHERE key = ?", [(key,) for key in keys]), None)

    def drop_bodies(self, keys: Iterable[str]) -> None:
        """Forgets where bodies lie."""
        self._safely(lambda db: db.executemany("DELETE FROM bodies WHERE key = ?", [(key,) for key in keys]), None)

    def totals(self) -> Totals:
        """How much is kept."""
        none: dict[str, tuple[int, int]] = {}
        rows = self._safely(lambda db: {row[0]: row[1:] for row in db.execute("SELECT * FROM totals")}, none)
        return Totals(*rows.get("answers", (0, 0)), *rows.get("bodies", (0, 0)))

    def oldest(self, count: int) -> list[tuple[float, str, str, int, str]]:
        """What was not used for longest: (used, "answers" or "bodies", key, size, file)."""
        return self._safely(lambda db: db.execute(_OLDEST, (count, count, count)).fetchall(), [])

    def every_answer(self) -> Iterable[tuple[str, bytes, int]]:
        """(key, value, checksum) of all, for `verify`."""
        none: list[str] = []
        for key in self._safely(lambda db: [row[0] for row in db.execute("SELECT key FROM answers")], none):
            row = self._safely(partial(_one, key=key), None)
            if row is not None:
                yield key, row[0], row[3]

    def every_body(self) -> list[tuple[str, KeptBody]]:
        """All bodies, for `verify` and `clear`."""
        none: list[Any] = []
        rows = self._safely(lambda db: db.execute("SELECT key, file, size, sums FROM bodies").fetchall(), none)
        return [(row[0], KeptBody(*row[1:])) for row in rows]

    def clear_answers(self) -> None:
        """Forgets all answers."""
        self._safely(lambda db: db.execute("DELETE FROM answers"), None)

    def shrink(self) -> None:
        """Gives pages that are free back to the file system."""
        self._safely(lambda db: db.execute("PRAGMA incremental_vacuum").fetchall(), None)

    def close(self) -> None:
        """Closes the file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _safely(self, work: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        """What `work` returns; `otherwise` where the file cannot be used, which is set aside if it is damaged."""
        try:
            return work(self._open())
        except sqlite3.OperationalError as error:
            self._warn(error)
        except sqlite3.DatabaseError as error:
            self.close()
            set_aside(self.folder, [database.FILE, f"{database.FILE}-wal", f"{database.FILE}-shm"], str(error))
        except OSError as error:
            self._warn(error)
        return otherwise

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = database.connect(self.folder)
            try:
                connection.executescript(SCHEMA + COUNTED)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            log.warning("the cache in %s cannot be used, so nothing is kept: %s", self.folder, error)


_ANSWER = "SELECT value, arrived, expires, crc FROM answers WHERE key = ?"
_BODY = "SELECT file, size, sums FROM bodies WHERE key = ?"
_OLDEST = """
SELECT * FROM (SELECT used, 'answers', key, size, '' FROM answers ORDER BY used LIMIT ?)
UNION ALL SELECT * FROM (SELECT used, 'bodies', key, size, file FROM bodies ORDER BY used LIMIT ?)
ORDER BY 1 LIMIT ?
"""


def _nothing(_db: sqlite3.Connection) -> None:
    """Opening is all."""


def _one(db: sqlite3.Connection, key: str) -> Any:
    return db.execute(_ANSWER, (key,)).fetchone()


def set_aside(folder: Path, files: Sequence[str], why: str) -> None:
    """Moves damaged files out of the way, for whoever wants to look at them, and says so once."""
    place = folder / DAMAGED / f"{time.time_ns()}-{os.getpid()}"
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    moved = False
    for file in files:
        try:
            (folder / file).rename(place / Path(file).name)
            moved = True
        except FileNotFoundError:
            continue  # another process was faster
    if moved:
        log.warning("%s in the cache was damaged (%s); it lies in %s now and is rebuilt", files[0], why, place)
