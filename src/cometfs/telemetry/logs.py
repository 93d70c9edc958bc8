"""How a line of the log looks, and from which level on there is one: text, JSON, or as journald reads it.

Not here: where the log goes (console.py), and how long it may be (bounded_log.py).
"""

from __future__ import annotations

import json
import logging
import os
from datetime import UTC, datetime

from cometfs.text.printable import Formatter, printable

LEVELS = ("debug", "info", "warning", "error")

FORMATS = ("text", "json")

PLAIN = "%(asctime)s %(levelname)s %(name)s: %(message)s"

SYSTEMD = "%(levelname)s %(name)s: %(message)s"
"""journald has the time already."""

ATTRIBUTE = "user.cometfs.log_level"
"""The extended attribute of a mountpoint that has the level of its daemon, and changes it."""

FIELDS = ("path", "pid", "program", "request", "errno", "endpoint", "status", "seconds")
"""What a line of JSON tells beside the message, where it is known: the arguments `extra` of the calls that log."""

CHATTY = ("httpx", "httpcore", "hpack", "hypercorn")
"""Libraries whose lines of debugging show headers, the API key among them."""

_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
"""From which level on a line has which of syslog's severities, as sd-daemon(3) has them; others have 7."""


def set_level(name: str) -> None:
    """Logs that level and those above it, from now on."""
    logging.getLogger().setLevel(name.upper())
    for chatty in CHATTY:
        logging.getLogger(chatty).setLevel(logging.INFO if name == "debug" else logging.WARNING)


def level() -> str:
    """The one that is logged, with those above it."""
    return logging.getLevelName(logging.getLogger().level).lower()


class JSONFormatter(logging.Formatter):
    """An object a line, in ASCII."""

    def format(self, record: logging.LogRecord) -> str:
        found = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": printable(record.getMessage()),
        }
        found |= {name: value for name in FIELDS if (value := getattr(record, name, None)) not in (None, "")}
        if record.exc_info:
            found["traceback"] = self.formatException(record.exc_info)
        return json.dumps(found)


class JournalFormatter(logging.Formatter):
    """Lines of another formatter, each behind its priority: to journald every line is one record."""

    def __init__(self, shown: logging.Formatter) -> None:
        super().__init__()
        self._shown = shown

    def format(self, record: logging.LogRecord) -> str:
        priority = next((number for level, number in _PRIORITIES if record.levelno >= level), 7)
        return "\n".join(f"<{priority}>{line}" for line in self._shown.format(record).splitlines())


def formatter(wanted: str, *, journal: bool) -> logging.Formatter:
    """`wanted`: one of `FORMATS`; `journal`: whether journald reads it."""
    if wanted == "json":
        shown: logging.Formatter = JSONFormatter()
    else:
        shown = Formatter(SYSTEMD if journal else PLAIN)
    return JournalFormatter(shown) if journal else shown


def is_journal(descriptor: int) -> bool:
    """Whether what is written there goes to journald, as systemd tells the processes that it starts.

    The variable alone says nothing: it is inherited by all that such a process starts, whose output is elsewhere.
    """
    try:
        found = os.fstat(descriptor)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"
