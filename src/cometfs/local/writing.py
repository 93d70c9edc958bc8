"""Files that appear as a whole or not at all, and files that grow by all of what is added or by nothing.

Not here: what is in them (`folder`, `artifact_store`).
"""

from __future__ import annotations

import os
from io import FileIO
from pathlib import Path


def replace(path: Path, content: bytes) -> None:
    """Write a file anew. It survives a kill, not a power cut; a leftover of a killed server is overwritten."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_bytes(content)
    fresh.replace(path)


def append(file: FileIO, added: bytes) -> int:
    """Add to an open file in one write, or nothing at all; returns where it begins. Raises OSError."""
    before = file.seek(0, os.SEEK_END)
    try:
        if os.write(file.fileno(), added) < len(added):
            raise OSError(None, "the disk is full")
    except OSError:
        file.truncate(before)
        raise
    return before
