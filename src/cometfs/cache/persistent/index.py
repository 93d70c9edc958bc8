"""What is kept on disk: answers, and where bodies are, in the SQLite file that all mounts of an account share.

Every row carries a checksum that is looked at on the way in. A file that is damaged is set aside and begun anew; one
that is locked, full or read-only costs what would have been kept, and a warning. All of this may wait for other
processes: it is for threads. Not here: what the event loop reads (reader.py), when something is written
(writebehind.py), the bodies themselves (blobs.py)."""

from __future__ import annotations

import logging
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from cometfs.cache.persistent import schema
from cometfs.cache.persistent.quarantine import DAMAGED, set_aside
from cometfs.cache.persistent.reader import View
from cometfs.cache.persistent.rows import Changes, KeptBody, Row, Totals, checksum_of, is_sound
from cometfs.cache.persistent.schema import ANSWERS, BODIES, ORPHANS, TOTALS
from cometfs.host import database
from cometfs.host.database import transaction

log = logging.getLogger(__name__)

T = TypeVar("T")

FOLDER = "bodies"
"""Where the files of bodies are."""

TOGETHER = 100
"""Answers that are changed in one go, while others wait to write."""

GRACE = 60.0
"""Seconds after which a body that was about to get its name has died with its process."""


class Index:
    """The file, for all threads of a process, one after the other. `view` is for the event loop.

    `_identity` is which file `_connection` has open, or was about to open.
    """

    def __init__(self, folder: Path, wall: Callable[[], float] = time.time) -> None:
        """`wall`: seconds since 1970."""
        self.folder = folder
        self.view = View(wall)
        self._wall = wall
        self._turn = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._viewed: tuple[int, int] | None = None
        """Which file the view reads."""
        self._known = False
        """Whether this process has found or made the tables once: if they go afterwards, another version has come."""
        self._warned = False

    def open(self) -> None:
        """Opens it, for this thread and for the view; before either is used."""
        connection = self.renewed_view(always=True)
        if connection is not None:
            self.view.take(connection)

    def renewed_view(self, *, always: bool = False) -> sqlite3.Connection | None:
        """A connection that the view must take, in its own thread, if its own is at fault or of a file that is gone."""
        fault = self.view.fault
        if fault is not None and self._viewed == database.identity(self.folder):
            with self._turn:
                self._fail(fault)
        self.attempt(schema.format_of, None)
        if self._connection is None or not (always or fault or self._viewed != self._identity):
            return None
        self._viewed = self._identity
        return self.attempt(lambda _db: _reading(self.folder), None)

    def write(self, changes: Changes, wanted: Callable[[str], bool] = lambda _key: True) -> bool:
        """Keeps, drops and notes as used, all or nothing; whether it could be written.

        `wanted`: of which keys an answer is still to be kept. Asked inside the transaction: a drop makes keys unwanted
        before it looks for their rows, so either that is seen here, or the row is there when the drop looks.
        """
        if not any(changes):
            return True
        for file in changes.bodies_damaged:
            set_aside(self.folder, [f"{FOLDER}/{file}"], "its bytes are not those that were kept")
        now = self._wall()
        rows = [
            (*one, checksum_of(one.key, *one[1:]), one.size, now) for one in changes.answers
        ]  # as the table has them, in this order
        gone = [(key,) for key in (*changes.dropped, *(answer.key for answer in changes.answers))]

        def work(db: sqlite3.Connection) -> bool:
            with transaction(db):
                db.executemany(f"DELETE FROM {ANSWERS} WHERE key = ?", gone)
                db.executemany(f"DELETE FROM {ANSWERS} WHERE key = ? AND mark IS ?", changes.unsound)
                db.executemany(f"DELETE FROM {BODIES} WHERE key = ? AND mark IS ?", changes.unsound)
                still = [row for row in rows if wanted(row[0])]
                db.executemany(f"INSERT INTO {ANSWERS} VALUES (?, ?, ?, ?, ?, ?, ?)", still)
                db.executemany(f"UPDATE {ANSWERS} SET used = ? WHERE key = ?", [(now, key) for key in changes.used])
                db.executemany(f"DELETE FROM {BODIES} WHERE key = ? AND file = ?", changes.bodies_gone)
                db.executemany(
                    f"UPDATE {BODIES} SET used = ? WHERE key = ?", [(now, key) for key in changes.bodies_used]
                )
            return True

        return self.attempt(work, False)

    def drop_all(self, which: Callable[[str], bool], among: Sequence[str] = ()) -> bool:
        """Drops the answers and bodies under those keys; whether that could be done. `among`: if given, one of these
        stands in each of them."""
        part = " OR ".join(["instr(key, ?)"] * len(among)) or "TRUE"

        def work(db: sqlite3.Connection) -> bool:
            for table in (ANSWERS, BODIES):
                keys = [row for row in db.execute(f"SELECT key FROM {table} WHERE {part}", among) if which(row[0])]
                with transaction(db):
                    db.executemany(f"DELETE FROM {table} WHERE key = ?", keys)
            return True

        return self.attempt(work, False)

    def expire_all(self, which: Callable[[str], bool], among: Sequence[str] = ()) -> bool:
        """The same, but those answers stay, and hold no more."""
        part = " OR ".join(["instr(key, ?)"] * len(among)) or "TRUE"

        def work(db: sqlite3.Connection) -> bool:
            keys, bodies = (
                [row for row in db.execute(f"SELECT key FROM {table} WHERE {part}", among) if which(row[0])]
                for table in (ANSWERS, BODIES)
            )
            for begin in range(0, len(keys), TOGETHER):
                with transaction(db):
                    for (key,) in keys[begin : begin + TOGETHER]:
                        _expire(db, key)
            with transaction(db):
                db.executemany(f"DELETE FROM {BODIES} WHERE key = ?", bodies)
            return True

        return self.attempt(work, False)

    def announce(self, *files: str) -> bool:
        """Records that bodies are about to get names, so that they are found if their process dies then."""
        now = self._wall()

        def work(db: sqlite3.Connection) -> bool:
            with transaction(db):
                db.executemany(f"INSERT INTO {ORPHANS} VALUES (?, ?)", [(file, now) for file in files])
            return True

        return self.attempt(work, False)

    def keep_bodies(
        self, bodies: Sequence[tuple[str, KeptBody]], wanted: Callable[[str], bool] = lambda _file: True
    ) -> list[str]:
        """Writes under which key which announced body is, all in one go: each costs a transaction otherwise. Returns
        the files of those that it has; of the others it is too late, they cannot be written, or are not `wanted`, which
        is asked inside the transaction, for the same reason as in `write`.
        """

        def work(db: sqlite3.Connection) -> list[str]:
            with transaction(db):
                return [body.file for key, body in bodies if wanted(body.file) and self._kept(db, key, body)]

        return self.attempt(work, [])

    def _kept(self, db: sqlite3.Connection, key: str, body: KeptBody) -> bool:
        if db.execute(f"DELETE FROM {ORPHANS} WHERE file = ?", (body.file,)).rowcount != 1:
            return False
        db.execute(f"DELETE FROM {BODIES} WHERE key = ?", (key,))
        row = (key, *body, checksum_of(key, *body), self._wall())
        db.execute(f"INSERT INTO {BODIES} VALUES (?, ?, ?, ?, ?, ?)", row)
        return True

    def orphans(self) -> list[str]:
        """Files of bodies that have no row: they are dropped, or their process died before it wrote one."""
        now = self._wall()
        question = f"SELECT file FROM {ORPHANS} WHERE since NOT BETWEEN ? AND ?"
        return self.attempt(lambda db: [row[0] for row in db.execute(question, (now - GRACE, now + GRACE))], [])

    def removed(self, files: Iterable[str]) -> None:
        """These are gone from their folder."""
        rows = [(file,) for file in files]

        def work(db: sqlite3.Connection) -> None:
            with transaction(db):
                db.executemany(f"DELETE FROM {ORPHANS} WHERE file = ?", rows)

        self.attempt(work, None)

    def totals(self) -> Totals:
        """How much is kept."""
        none: dict[str, tuple[int, int]] = {}
        rows = self.attempt(lambda db: {row[0]: row[1:] for row in db.execute(f"SELECT * FROM {TOTALS}")}, none)
        return Totals(*rows.get("answers", (0, 0)), *rows.get("bodies", (0, 0)))

    def oldest(self, count: int, pinned: Callable[[str], bool] | None = None) -> list[Row]:
        """What was not used for longest, of keys that are not `pinned`. What a clock that was set back since has dated
        ahead counts as used now."""
        now = self._wall()

        def work(db: sqlite3.Connection) -> list[Row]:
            for table in (ANSWERS, BODIES):
                db.execute(f"UPDATE {table} SET used = ? WHERE used > ?", (now, now + GRACE))
            db.create_function("pinned", 1, pinned or (lambda _key: False), deterministic=True)
            return [Row(*row) for row in db.execute(_oldest("NOT pinned(key)" if pinned else "TRUE"), (count,) * 3)]

        return self.attempt(work, [])

    def shrink(self) -> None:
        """Gives free pages back to the file system, some at a time: others want to write too."""

        def work(db: sqlite3.Connection) -> int:
            db.execute("PRAGMA incremental_vacuum(1000)").fetchall()
            return int(db.execute("PRAGMA freelist_count").fetchone()[0])

        left, now = 0, self.attempt(work, 0)
        while now and now != left:
            left, now = now, self.attempt(work, 0)

    def close(self) -> None:
        """Closes the view, and the file unless a thread still waits for it: then it goes with the process."""
        self.view.close()
        if self._turn.acquire(blocking=False):
            self._close()
            self._turn.release()

    def give_up(self, which: tuple[int, int] | None, why: str) -> bool:
        """Sets a damaged file aside, and all bodies go with it: without the index they are files without keys.

        False where it stands in the way still. `which`: see `database.identity`; where it is another by now, another
        process was faster.
        """
        try:
            with self._turn, database.alone(self.folder):
                self._close()
                if database.identity(self.folder) == which:
                    set_aside(self.folder, database.BESIDE, why)
                    self._remove_bodies()
        except (sqlite3.Error, OSError) as error:
            self._warn(error)
            return False
        return True

    def attempt(self, work: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
        """What `work` returns; `otherwise` where the file cannot be used, which is set aside if it is damaged."""
        with self._turn:
            for _ in range(2):  # again, with a new file, where the old one was damaged
                try:
                    connection = self._open()
                    return otherwise if connection is None else work(connection)
                except sqlite3.Error as error:
                    if not self._fail(error):
                        return otherwise
                except OSError as error:
                    self._warn(error)
                    return otherwise
        return otherwise

    def _open(self) -> sqlite3.Connection | None:
        """The connection; None where the tables are those of another version, which has come meanwhile."""
        now = database.identity(self.folder)
        if self._connection is not None and now == self._identity:
            return self._connection
        self._close()
        self._identity = now
        connection = database.connect(self.folder)
        try:
            usable = self._made(connection)
        except BaseException:
            connection.close()
            raise
        if not usable:
            connection.close()
            return None
        self._identity = database.identity(self.folder)
        self._connection = connection
        return connection

    def _made(self, connection: sqlite3.Connection) -> bool:
        found = schema.format_of(connection)
        if found not in (None, schema.FORMAT) and self._known:
            return False
        if found != schema.FORMAT and schema.make(connection):
            if found is not None:
                log.info("the cache in %s was another version's, and begins anew", self.folder)
            self._remove_bodies()
        self._known = True
        return True

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _fail(self, error: sqlite3.Error) -> bool:
        """Lets go of the file after an error; whether it was damaged, and is out of the way."""
        damaged, foreign = self._is_damage(error), self._is_foreign()
        self._close()
        if not damaged:
            # Another version has come: the next attempt finds that out, and nothing is wrong.
            if not foreign:
                self._warn(error)
            return False
        return self.give_up(self._identity, str(error))

    def _is_damage(self, error: sqlite3.Error) -> bool:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_ERROR:  # "no such table", in a file that should have it
            return self._connection is not None and not self._is_foreign()
        return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_TOOBIG)

    def _is_foreign(self) -> bool:
        try:
            return self._connection is not None and schema.format_of(self._connection) != schema.FORMAT
        except sqlite3.Error:
            return False

    def _remove_bodies(self) -> None:
        if not (self.folder / FOLDER).exists():
            return
        # Out of the way first: others may lay new ones meanwhile.
        out = self.folder / DAMAGED / f"{FOLDER}-{time.time_ns()}"
        try:
            out.parent.mkdir(mode=0o700, exist_ok=True)
            (self.folder / FOLDER).rename(out)
        except FileNotFoundError:
            return
        except OSError as error:
            self._warn(error)
            return
        shutil.rmtree(out, ignore_errors=True)

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            log.warning("the cache in %s cannot be used, so nothing is kept: %s", self.folder, error)


def _expire(db: sqlite3.Connection, key: str) -> None:
    """An answer holds no more. One that is not what was written stays so."""
    for value, arrived, expires, mark in db.execute(
        f"SELECT value, arrived, expires, mark FROM {ANSWERS} WHERE key = ?", (key,)
    ).fetchall():
        if is_sound(key, mark, value, arrived, expires):
            row = (arrived, checksum_of(key, value, arrived, arrived), key)
            db.execute(f"UPDATE {ANSWERS} SET expires = ?, mark = ? WHERE key = ?", row)


def _oldest(which: str) -> str:
    return f"""
        SELECT * FROM (SELECT used, key, size, '' FROM {ANSWERS} WHERE {which} ORDER BY used LIMIT ?)
        UNION ALL SELECT * FROM (SELECT used, key, size, file FROM {BODIES} WHERE {which} ORDER BY used LIMIT ?)
        ORDER BY 1 LIMIT ?"""


def _reading(folder: Path) -> sqlite3.Connection:
    """A connection that never waits and never writes."""
    connection = database.connect(folder)
    for pragma in ("busy_timeout=0", "query_only=ON"):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    return connection
