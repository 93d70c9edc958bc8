"""The cache of an account as a whole: its size, its verification, its removal. For commands, not for mounts.

Mounts may use it meanwhile: a body that is open is read to its end, and what is gone is fetched again. Not here: how
that is printed (cli/).
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from cometfs.cache.persistent import pins, schema
from cometfs.cache.persistent.blobs import StoredBlob
from cometfs.cache.persistent.eviction import sweep, unlink
from cometfs.cache.persistent.index import FOLDER, Index
from cometfs.cache.persistent.quarantine import DAMAGED, bytes_below
from cometfs.cache.persistent.rows import Changes, KeptBody, Totals, Unsound, is_place, is_sound
from cometfs.cache.persistent.schema import ANSWERS, BODIES, ORPHANS, TOTALS
from cometfs.errors import SetupError
from cometfs.host import database

T = TypeVar("T")

AT_ONCE = 1000
"""Rows that one transaction drops: mounts want to write too."""


class Contents(NamedTuple):
    """What the folder of an account holds."""

    totals: Totals
    disk_bytes: int
    """What the folder takes of its disk."""
    damaged: int
    """Times that something was set aside, of which something is still there."""
    damaged_bytes: int
    pinned: pins.Pins
    """What eviction leaves, by path."""
    state: str
    """Empty where all is well, else why the cache cannot be read."""


class Findings(NamedTuple):
    """What was read, and what was wrong with it; all that was wrong is out of the way."""

    answers: int = 0
    bodies: int = 0
    damaged_answers: int = 0
    damaged_bodies: int = 0
    lost: int = 0
    """Rows whose body is gone."""
    strays: int = 0
    """Bodies that have no row: of processes that died, or of a database that was begun anew."""
    database: str = ""
    """What was wrong with the database as such."""

    @property
    def damaged(self) -> bool:
        """Whether a disk or a bug has changed what was written. Rows and bodies without each other are no damage."""
        return bool(self.damaged_answers or self.damaged_bodies or self.database)


def look(folder: Path) -> Contents:
    """What is kept in the folder of an account; changes nothing."""
    places = list((folder / DAMAGED).iterdir()) if (folder / DAMAGED).is_dir() else []
    totals, state = Totals(), ""
    if (folder / database.FILE).exists():
        try:
            totals, state = _totals(folder)
        except (sqlite3.Error, OSError) as error:
            state = str(error)
    return Contents(totals, bytes_below(folder), len(places), sum(map(bytes_below, places)), pins.read(folder), state)


def _totals(folder: Path) -> tuple[Totals, str]:
    connection = database.connect(folder)
    try:
        found = schema.format_of(connection)
        if found != schema.FORMAT:
            return Totals(), "" if found is None else "of another version of cometfs"
        rows = {row[0]: row[1:] for row in connection.execute(f"SELECT * FROM {TOTALS}")}
        return Totals(*rows["answers"], *rows["bodies"]), ""
    finally:
        connection.close()


def clear(folder: Path) -> int:
    """Removes all that is kept in the folder of an account, and returns the bytes that its disk got back.

    Raises SetupError where the database cannot be written now.
    """
    before = bytes_below(folder)
    index = Index(folder)
    try:
        for table in (ANSWERS, BODIES):
            while _do(index, _some_of(table)) == AT_ONCE:
                pass
        sweep(index)
        _remove_strays(index)
        index.shrink()
        _do(index, lambda db: db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())
    finally:
        index.close()
    shutil.rmtree(folder / DAMAGED, ignore_errors=True)
    (folder / pins.FILE).unlink(missing_ok=True)
    return max(0, before - bytes_below(folder))


def _some_of(table: str) -> Callable[[sqlite3.Connection], int]:
    statement = f"DELETE FROM {table} WHERE key IN (SELECT key FROM {table} LIMIT {AT_ONCE})"
    return lambda db: db.execute(statement).rowcount


def verify(folder: Path) -> Findings:
    """Reads every answer and every body, and puts out of the way what is not as it was written.

    Raises SetupError where the database cannot be used now.
    """
    index = Index(folder)
    try:
        wrong = _check_database(index)
        answers, damaged_answers = _check_answers(index)
        bodies, damaged_bodies, lost = _check_bodies(index)
        sweep(index)
        strays = _remove_strays(index)
        _do(index, schema.recount)
        return Findings(answers, bodies, damaged_answers, damaged_bodies, lost, strays, wrong)
    finally:
        index.close()


def _check_database(index: Index) -> str:
    which = database.identity(index.folder)
    if which is None:
        return ""
    try:
        connection = database.connect(index.folder)
        try:
            (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        verdict = str(error)
        if isinstance(error, sqlite3.OperationalError):
            raise SetupError(f"the cache in {index.folder} cannot be read now: {verdict}") from error
    if verdict == "ok":
        return ""
    index.give_up(which, str(verdict))
    return str(verdict)


def _check_answers(index: Index) -> tuple[int, int]:
    count = 0
    unsound = []
    for key, row in _rows(index, ANSWERS, "value, arrived, expires, mark"):
        count += 1
        if not is_sound(key, row[3], *row[:3]):
            unsound.append(Unsound(key, row[3]))
    index.write(Changes(unsound=unsound))
    return count, len(unsound)


def _check_bodies(index: Index) -> tuple[int, int, int]:
    count = lost = 0
    unsound, damaged = [], []
    for key, row in _rows(index, BODIES, "file, size, sums, mark"):
        count += 1
        if not is_sound(key, row[3], *row[:3]):
            unsound.append(Unsound(key, row[3]))
            continue
        body = KeptBody(*row[:3])
        whole = _is_whole(index.folder / FOLDER / body.file, body)
        if whole is None:
            lost += 1
            index.write(Changes(bodies_gone=[(key, body.file)]))
        elif not whole:
            damaged.append((key, body.file))
    files = [file for _, file in damaged]
    index.write(Changes(unsound=unsound, bodies_gone=damaged, bodies_damaged=files))
    return count, len(unsound) + len(damaged), lost


def _is_whole(path: Path, body: KeptBody) -> bool | None:
    """None where there is no file."""
    try:
        with path.open("rb", buffering=0) as file:
            return StoredBlob(file, body, lambda: None).is_whole()
    except FileNotFoundError:
        return None


def _rows(index: Index, table: str, columns: str) -> Iterator[tuple[str, Any]]:
    """Every row, one at a time: mounts write meanwhile, and an answer may be big."""
    for key in _do(index, lambda db: [row[0] for row in db.execute(f"SELECT key FROM {table}")]):
        for row in _do(index, partial(_one, question=f"SELECT {columns} FROM {table} WHERE key = ?", key=key)):
            yield key, row


def _one(db: sqlite3.Connection, question: str, key: str) -> list[Any]:
    return db.execute(question, (key,)).fetchall()


def _remove_strays(index: Index) -> int:
    """Removes bodies that have no row. One that a mount is adding has one, or is recorded as an orphan."""
    strays = 0
    for folder in (index.folder / FOLDER).glob("*"):
        for path in list(folder.iterdir()) if folder.is_dir() else []:
            file = f"{folder.name}/{path.name}"
            if is_place(file) and not _do(index, _mentions(file)):
                unlink(index.folder, file)
                strays += 1
    return strays


def _mentions(file: str) -> Callable[[sqlite3.Connection], bool]:
    question = f"SELECT 1 FROM {BODIES} WHERE file = :file UNION SELECT 1 FROM {ORPHANS} WHERE file = :file"
    return lambda db: db.execute(question, {"file": file}).fetchone() is not None


def _do(index: Index, work: Callable[[sqlite3.Connection], T]) -> T:
    done = index.attempt(work, None)
    if done is None:
        raise SetupError(f"the cache in {index.folder} cannot be used now: try again")
    return done
