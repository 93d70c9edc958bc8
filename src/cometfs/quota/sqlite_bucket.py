"""The bucket of calls and what took from it, in the database that all mounts of an account share.

Threads of a process take turns. A database that cannot be used costs the sharing, not the calls: the
bucket is then this process's own. Not here: the bucket's arithmetic (token_bucket.py), waiting (limiter.py).
"""

from __future__ import annotations

import logging
import math
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import trio

from cometfs.host import database
from cometfs.quota.bucket import MINUTE, Account, Spent
from cometfs.quota.token_bucket import HOUR, Level, filled, full, shut, taken

log = logging.getLogger(__name__)

SCHEMA = """
CREATE TABLE IF NOT EXISTS bucket (
    one INTEGER PRIMARY KEY CHECK (one = 1), tokens REAL NOT NULL, at REAL NOT NULL,
    shut_until REAL NOT NULL, rate REAL NOT NULL);
CREATE TABLE IF NOT EXISTS spent (
    minute INTEGER NOT NULL, endpoint TEXT NOT NULL, command TEXT NOT NULL, calls INTEGER NOT NULL,
    PRIMARY KEY (minute, endpoint, command)) WITHOUT ROWID;
"""


class Ledger:
    """The bucket of one account."""

    def __init__(self, folder: Path, rate: float, wall: Callable[[], float] = time.time) -> None:
        self.rate = rate
        self._folder = folder
        self._wall = wall
        self._alone = Account(full(rate, wall()), rate, Counter())
        """What stands in for a database that cannot be used."""
        self._connection: sqlite3.Connection | None = None
        self._turn = threading.Lock()
        """Held while the connection is used."""
        self._warned = False

    def take(self, wanted: int, spent: Mapping[Spent, int]) -> tuple[int, Level]:
        """Takes up to `wanted` tokens and writes down what was spent."""
        given = 0

        def change(level: Level) -> Level:
            nonlocal given
            given, level = taken(level, self.rate, self._wall(), wanted)
            return level

        level = self._change(change, spent)
        return given, level

    def give_back(self, tokens: int, spent: Mapping[Spent, int]) -> None:
        """Returns tokens that were not used."""
        self._change(lambda level: level._replace(tokens=min(self.rate, level.tokens + tokens)), spent)

    def shut(self, until: float) -> Level:
        """Nothing may be taken before that moment, in seconds since 1970."""
        return self._change(lambda level: shut(level, until), {})

    def account(self) -> Account:
        """What is left, and what was spent in the last hour."""
        with self._turn:
            try:
                return self._read(self._open())
            except (sqlite3.Error, OSError) as error:
                self._warn(error)
                return self._alone

    def close(self) -> None:
        """Closes the database."""
        with self._turn:
            self._close()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _change(self, change: Callable[[Level], Level], spent: Mapping[Spent, int]) -> Level:
        with self._turn:
            return self._changed(change, spent)

    def _changed(self, change: Callable[[Level], Level], spent: Mapping[Spent, int]) -> Level:
        try:
            return self._written(self._open(), change, spent)
        except (sqlite3.Error, OSError) as error:
            self._warn(error)
            self._close()
        level = change(filled(self._alone.level, self.rate, self._wall()))
        since = int((self._wall() - HOUR) // MINUTE)
        known = Counter({key: calls for key, calls in self._alone.spent.items() if key.minute > since})
        self._alone = Account(level, self.rate, known + Counter(spent))
        return level

    def _written(self, db: sqlite3.Connection, change: Callable[[Level], Level], spent: Mapping[Spent, int]) -> Level:
        now = self._wall()
        with database.transaction(db):
            level = change(filled(self._level(db), self.rate, now))
            db.execute("INSERT OR REPLACE INTO bucket VALUES (1, ?, ?, ?, ?)", (*level, self.rate))
            db.executemany(_COUNT, [(*key, calls) for key, calls in spent.items()])
            db.execute("DELETE FROM spent WHERE minute < ?", (int((now - 2 * HOUR) // MINUTE),))
        return level

    def _level(self, db: sqlite3.Connection) -> Level:
        row = db.execute("SELECT tokens, at, shut_until FROM bucket").fetchone()
        if row is None or not all(isinstance(value, float) and math.isfinite(value) for value in row):
            return full(self.rate, self._wall())  # the first mount, or a damaged row
        return Level(*row)

    def _read(self, db: sqlite3.Connection) -> Account:
        row = db.execute("SELECT rate FROM bucket").fetchone()
        since = int((self._wall() - HOUR) // MINUTE)
        rows = db.execute("SELECT minute, endpoint, command, calls FROM spent WHERE minute > ?", (since,))
        spent = {Spent(*key): calls for *key, calls in rows}
        return Account(self._level(db), row[0] if row else self.rate, spent)

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = database.connect(self._folder)
            try:
                connection.executescript(SCHEMA)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            log.warning("calls are counted for this mount alone, not for all of the account: %s", error)


class SQLiteBucket:
    """A ledger as a bucket: what may wait for another process is done in a thread."""

    def __init__(self, folder: Path, rate: float, wall: Callable[[], float] = time.time) -> None:
        self.rate = rate
        self._ledger = Ledger(folder, rate, wall)

    async def take(self, wanted: int, spent: Mapping[Spent, int]) -> tuple[int, Level]:
        return await trio.to_thread.run_sync(self._ledger.take, wanted, spent)

    async def give_back(self, tokens: int, spent: Mapping[Spent, int]) -> None:
        await trio.to_thread.run_sync(self._ledger.give_back, tokens, spent)

    async def shut(self, until: float) -> Level:
        return await trio.to_thread.run_sync(self._ledger.shut, until)

    async def account(self) -> Account:
        return await trio.to_thread.run_sync(self._ledger.account)

    def close(self) -> None:
        self._ledger.close()


_COUNT = """
INSERT INTO spent VALUES (?, ?, ?, ?)
ON CONFLICT (minute, endpoint, command) DO UPDATE SET calls = calls + excluded.calls
"""
