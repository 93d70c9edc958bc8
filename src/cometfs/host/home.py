"""The home directory, where one is known: containers often run as a user that has none.

Not here: what is kept in it (folders.py, comet/settings.py).
"""

from __future__ import annotations

import os
from pathlib import Path

from cometfs.errors import SetupError


def home() -> Path | None:
    """The home directory; None where HOME is not set (or not absolute) and the user has no passwd entry."""
    try:
        found = Path.home()
    except RuntimeError:
        return None
    return found if found.is_absolute() else None


def expand(path: Path) -> Path:
    """`path` with the home directory for a leading `~`. Raises SetupError: a directory called `~` is never meant."""
    if not os.fspath(path).startswith("~"):
        return path
    try:
        expanded = path.expanduser()
    except RuntimeError:
        expanded = path
    if not expanded.is_absolute():
        raise SetupError(f"cannot tell which home directory {path} means: set HOME, or write the path whole")
    return expanded
