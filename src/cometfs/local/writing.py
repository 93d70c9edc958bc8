"""Files that appear as a whole or not at all, and files that grow by all of what is added or by nothing.

Not here: what is in them (`folder`, `artifact_store`).
"""

from __future__ import annotations

import os
from contextlib import suppress
from io import FileIO
from pathlib import Path
from shutil import copymode


def replace(path: Path, content: bytes) -> None:
    """Write a file anew. It survives a kill, not a power cut; a leftover of a killed server is overwritten."""
    fresh = successor(path, f".{path.name}.new")
    fresh.write_bytes(content)
    fresh.replace(path)


def successor(path: Path, name: str) -> Path:
    """An empty file of that name beside another, to take its place: others may do with it what they may with that."""
    fresh = path.with_name(name)
    fresh.touch()
    with suppress(FileNotFoundError):
        copymode(path, fresh)
    return fresh


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
