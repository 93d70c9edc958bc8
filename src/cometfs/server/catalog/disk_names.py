"""Names of files on disk: UTF-8 bytes, whatever the locale says, so that a directory means the same to every server.

Not here: which names a file can have (`storage.artifact_store`).
"""

from __future__ import annotations

import os
from pathlib import Path


def on_disk(name: str) -> str:
    """A name as this process must call it, so that its bytes are UTF-8."""
    return os.fsdecode(name.encode("utf-8", "surrogateescape"))


def from_disk(path: str | Path) -> str:
    """The inverse: what a path says. Bytes that are no UTF-8 become lone surrogates."""
    return os.fsencode(path).decode("utf-8", "surrogateescape")
