"""What a server is known not to have: found once by `cometfs doctor`, kept for a day, and not asked for meanwhile.

Not here: how it is found (doctor/), and what is done instead (vfs/sources/).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from tempfile import NamedTemporaryFile

import msgspec

from cometfs.comet.calls import Gate
from cometfs.errors import Unsupported

FILE = "missing.json"
"""In the folder of an account."""

HOLDS = 86_400.0
"""Seconds: a server may be renewed."""


class Missing(msgspec.Struct, frozen=True):
    """Endpoints that a server lacks, as it was at `found_at`, in seconds since 1970."""

    found_at: float = 0.0
    endpoints: frozenset[str] = frozenset()

    def holds(self, now: float) -> bool:
        """A clock that was set back makes nothing hold for longer."""
        return 0 <= now - self.found_at < HOLDS


def write_missing(folder: Path, endpoints: Iterable[str]) -> None:
    """In one step: a mount may start meanwhile. Raises OSError."""
    body = msgspec.json.encode(Missing(time.time(), frozenset(endpoints)))
    with NamedTemporaryFile(dir=folder, prefix=FILE, delete=False) as file:
        file.write(body)
    os.replace(file.name, folder / FILE)  # noqa: PTH105  # as one knows it


def read_missing(folder: Path) -> Missing:
    """Nothing where nothing is kept, or nothing that can be read."""
    try:
        return msgspec.json.decode((folder / FILE).read_bytes(), type=Missing)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return Missing()


class KnownGate:
    """A gate before another one that refuses what the server is known not to have, without a call."""

    def __init__(self, behind: Gate, missing: Missing, now: Callable[[], float] = time.time) -> None:
        self._behind, self._missing, self._now = behind, missing, now

    async def admit(self, endpoint: str) -> None:
        """Returns when a call may be made. Raises Unsupported, and what the gate behind raises."""
        if endpoint in self._missing.endpoints and self._missing.holds(self._now()):
            raise Unsupported(f"This Comet server lacks {endpoint}, as 'cometfs doctor --account' has found")
        await self._behind.admit(endpoint)

    async def shut(self, endpoint: str, seconds: float) -> None:
        """The server wants no such calls for so long."""
        await self._behind.shut(endpoint, seconds)

    def answered(self, endpoint: str) -> None:
        """The server answered a call."""
        self._behind.answered(endpoint)
