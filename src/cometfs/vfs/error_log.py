"""The last failures of a mount, which `.cometfs/errors.log` shows: a line for each, bounded, in memory alone.

What the mount makes of an answer that lacks something is no failure of a request, and has a line as well: rows that are
left out of a listing, cells of a table that are empty.

Not here: which requests fail (fuse/requests.py), and the log of the daemon, which has more.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cometfs.caller import command_of
from cometfs.text.printable import printable
from cometfs.text.times import in_utc

KEPT = 200
"""Lines."""

LONGEST = 1000
"""Characters of a column: a path may be longer, and a sentence may quote a server."""


SOURCES = ("cometfs.comet", "cometfs.connectivity", "cometfs.vfs")
"""The loggers of which warnings have a line: others warn of failed requests, or of what is no matter of Comet's."""

NO_ERRNO = "-"


class ErrorLog:
    """Lines, the oldest first."""

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        """`wall`: seconds since 1970."""
        self._wall = wall
        self._lines: deque[str] = deque(maxlen=KEPT)

    def add(self, errno: str, sentence: str, *, path: str = "", pid: int = 0) -> None:
        """`errno`: its name; `path`: below the mountpoint; `pid`: the program, 0 for the mount itself."""
        when = (in_utc(self._wall() * 1000, "seconds") or "").replace(" ", "T") + "Z"
        columns = (when, errno, str(pid), command_of(pid), path, sentence)
        self._lines.append("\t".join(printable(column[:LONGEST]) for column in columns))

    def lines(self) -> list[str]:
        """Columns with tabs between them: time, errno, pid, program, path, sentence."""
        return list(self._lines)


class _Warned(logging.Handler):
    """Adds warnings to an `ErrorLog`."""

    def __init__(self, errors: ErrorLog) -> None:
        super().__init__(logging.WARNING)
        self._errors = errors

    def emit(self, record: logging.LogRecord) -> None:
        self._errors.add(NO_ERRNO, record.getMessage())


@contextmanager
def with_warnings(errors: ErrorLog) -> Iterator[None]:
    """Has warnings in `errors`, too, until the block ends."""
    handler, loggers = _Warned(errors), [logging.getLogger(name) for name in SOURCES]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
