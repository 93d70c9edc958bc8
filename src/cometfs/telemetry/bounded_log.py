"""A log that does not grow without end: equal lines are counted, and a file that is full gives way to the next one.

Not here: which level is logged, and where to (console.py, folders.py).
"""

from __future__ import annotations

import logging
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from contextlib import suppress
from pathlib import Path
from typing import TextIO

SHOWN = 3
"""Equal lines that are written one by one; then those whose number is a power of ten."""

SPAN = 600.0
"""Seconds after which a line counts as new."""

REMEMBERED = 1000
"""Different lines that are counted at the same time."""

FULL = 5 << 20
"""Bytes of a file of a daemon's log ..."""

FILES = 3
"""... and how many there are of it: the newest has no number, the oldest the highest."""


class Repeats:
    """How often each line came."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lines: OrderedDict[Hashable, tuple[int, float]] = OrderedDict()
        """The number, and when the first came."""

    def count(self, line: Hashable) -> tuple[int, bool]:
        """How often it has come, this time included, and whether it is to be written."""
        now = self._clock()
        number, since = self._lines.pop(line, (0, now))
        number, since = (1, now) if now - since > SPAN else (number + 1, since)
        self._lines[line] = number, since
        if len(self._lines) > REMEMBERED:
            self._lines.popitem(last=False)
        return number, number <= SHOWN or number == 10 ** (len(str(number)) - 1)


class Handler(logging.StreamHandler[TextIO]):
    """Writes the lines of a log. `full` is called before each."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._repeats = Repeats()
        self.full: Callable[[], None] = lambda: None

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        number, written = self._repeats.count((record.name, record.levelno, message, repr(record.exc_info)))
        if not written:
            return
        if number > SHOWN:
            record = logging.makeLogRecord(record.__dict__)
            record.msg, record.args = f"{message} ({number:,} times)", ()
        self.full()
        super().emit(record)


def make_room(path: Path, descriptor: int) -> None:
    """Has what is written to `descriptor` go to a new file at `path` where the one that it goes to is full.

    Where that cannot be, the log goes on where it is.
    """
    if os.fstat(descriptor).st_size < FULL:
        return
    with suppress(OSError):
        for number in range(FILES - 1, 0, -1):
            older = path.with_name(f"{path.name}.{number - 1}") if number > 1 else path
            if older.exists():
                older.replace(path.with_name(f"{path.name}.{number}"))
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
