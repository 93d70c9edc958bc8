"""Blocks of big bodies on disk: found in the event loop, read and verified in a thread.

No lock is held on a file meanwhile: one that is evicted now is read to its end, and one that is cut is not what was
kept. Not here: which blocks there are (blobs.py).
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from cometfs.cache.persistent import direct
from cometfs.cache.persistent.rows import KeptBody, checksum
from cometfs.host.buffers import Block


class Summed(NamedTuple):
    """A block that is to be kept and, if it is known already, its checksum."""

    block: Block
    sums: bytes = b""


class Flaw(Enum):
    """Why a block that has a row cannot be read."""

    GONE = "it has no file"
    DAMAGED = "it is not what was kept"
    CLOSED = "the file cannot be opened: too many are, perhaps"


class StoredBlock(NamedTuple):
    """A block on disk."""

    name: str
    kept: KeptBody
    path: Path

    def read(self) -> Block | Flaw:
        """The block, verified. In a thread."""
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return Flaw.GONE
        except OSError:
            return Flaw.CLOSED
        try:
            found = direct.read(descriptor, self.kept.size)
        except OSError:  # a disk that cannot read it any more
            return Flaw.DAMAGED
        finally:
            os.close(descriptor)
        return found if checksum(found) == self.kept.sums else Flaw.DAMAGED


def read_all(stored: Mapping[Hashable, StoredBlock]) -> Mapping[Hashable, Block | Flaw]:
    """What is read of each. In a thread."""
    return {key: block.read() for key, block in stored.items()}
