"""The tables of the cache, and the number of their format.

Values are in this version's form: decoded answers and rendered sheets in one normal form. Another form has another
number and other names of tables, and a version that finds a file of another number empties it; so a daemon of an older
version that still runs finds its tables gone, and neither ever reads the other's. Tables of other programs stay.

A file below the folder of bodies has a row in `bodies`, or one in the table of orphans: from just before it gets its
name, and from when its row goes. So orphans are never searched for among the files.

In the file, the table of orphans is called `loose` and the column of checksums `mark`: other names would be another
format, and empty every cache.
"""

from __future__ import annotations

import re
import sqlite3

from cometfs.host.database import transaction

FORMAT = 5
"""To be raised whenever a kept answer or body would be different bytes, or mean something else."""

ANSWERS = f"answers_{FORMAT}"
BODIES = f"bodies_{FORMAT}"
ORPHANS = f"loose_{FORMAT}"
TOTALS = f"totals_{FORMAT}"

_OURS = re.compile(r"(answers|bodies|loose|totals)(_\d+)?")

_STATEMENTS = (
    f"""CREATE TABLE {ANSWERS} (
        key TEXT PRIMARY KEY, value BLOB NOT NULL, arrived REAL NOT NULL, expires REAL NOT NULL,
        mark BLOB NOT NULL, size INTEGER NOT NULL, used REAL NOT NULL)""",
    f"CREATE INDEX {ANSWERS}_used ON {ANSWERS} (used, size)",
    f"""CREATE TABLE {BODIES} (
        key TEXT PRIMARY KEY, file TEXT NOT NULL UNIQUE, size INTEGER NOT NULL, sums BLOB NOT NULL,
        mark BLOB NOT NULL, used REAL NOT NULL)""",
    f"CREATE INDEX {BODIES}_used ON {BODIES} (used, size)",
    # `since`: when it was about to get its name; 0 for one that is dropped.
    f"CREATE TABLE {ORPHANS} (file TEXT PRIMARY KEY, since REAL NOT NULL)",
    f"CREATE TRIGGER {BODIES}_loose AFTER DELETE ON {BODIES} BEGIN "
    f"INSERT OR REPLACE INTO {ORPHANS} VALUES (OLD.file, 0); END",
    f"CREATE TABLE {TOTALS} (name TEXT PRIMARY KEY, bytes INTEGER NOT NULL, count INTEGER NOT NULL)",
    f"INSERT INTO {TOTALS} VALUES ('answers', 0, 0), ('bodies', 0, 0)",
    # The database counts for itself: adding up would read every row.
    *(
        f"CREATE TRIGGER {table}_{when} AFTER {event} ON {table} BEGIN "
        f"UPDATE {TOTALS} SET bytes = bytes {sign} {row}.size, count = count {sign} 1 WHERE name = '{name}'; END"
        for name, table in (("answers", ANSWERS), ("bodies", BODIES))
        for when, event, row, sign in (("in", "INSERT", "NEW", "+"), ("out", "DELETE", "OLD", "-"))
    ),
    f"PRAGMA user_version={FORMAT}",
)


def format_of(db: sqlite3.Connection) -> int | None:
    """The number of the format of what is in the file; None for one that nothing is kept in yet."""
    (number,) = db.execute("PRAGMA user_version").fetchone()
    return int(number) if number or _tables(db) else None


def make(db: sqlite3.Connection) -> bool:
    """Makes the tables, emptied of what another format left; False where another process just did."""
    with transaction(db):
        if format_of(db) == FORMAT:
            return False
        for table in _tables(db):
            db.execute(f'DROP TABLE "{table}"')
        for statement in _STATEMENTS:
            db.execute(statement)
    return True


def recount(db: sqlite3.Connection) -> bool:
    """Adds up for once; whether the totals were right."""
    right = True
    with transaction(db):
        for name, table in (("answers", ANSWERS), ("bodies", BODIES)):
            true = db.execute(f"SELECT coalesce(sum(size), 0), count(*) FROM {table}").fetchone()
            recorded = db.execute(f"SELECT bytes, count FROM {TOTALS} WHERE name = ?", (name,)).fetchone()
            right = right and true == recorded
            db.execute(f"INSERT OR REPLACE INTO {TOTALS} VALUES (?, ?, ?)", (name, *true))
    return right


def _tables(db: sqlite3.Connection) -> list[str]:
    names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    return [name for name in names if _OURS.fullmatch(name)]
