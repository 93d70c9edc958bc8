"""Files without a name: no other process sees them, and they go with the process.

Not here: what is written to them (downloads.py), and how one gets a name (blobs.py).
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import BinaryIO

from cometfs.errors import no_place


def unnamed(folder: Path | None) -> BinaryIO:
    """A file that no other process sees and that goes with the process. Raises OutOfSpace and OutOfFiles."""
    try:
        if folder is not None:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return _nameable(folder) or _hidden(folder)
    except OSError as error:
        raise no_place(error, "a download") from error


def _nameable(folder: Path | None) -> BinaryIO | None:
    """One that can be given a name when it is complete, which Python's own cannot; None where there is none (NFS)."""
    if folder is None:
        return None
    try:
        descriptor = os.open(folder, os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC, 0o600)
    except OSError:
        return None
    return os.fdopen(descriptor, "r+b", buffering=0)


def _hidden(folder: Path | None) -> BinaryIO:
    file: BinaryIO = tempfile.TemporaryFile(dir=folder, prefix="cometfs-", buffering=0)  # noqa: SIM115  # closed by its Body
    return file
