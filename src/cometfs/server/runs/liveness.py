"""Whether a run that is being logged is still alive: its last sign of life is not too long ago.

Not here: what is a sign of life (`storage.journal`).
"""

from __future__ import annotations

import time
from collections.abc import Callable

CRASHED_AFTER = 30.0
"""Seconds of silence after which a run is taken to have crashed. A run that comes again is alive again."""

HEARTBEATS = 3
"""How many is_alive fit into that time: that often a run is asked for one."""


class Liveness:
    """Alive for `patience` seconds after the last `beat`, and from the start. For any thread."""

    def __init__(self, patience: float = CRASHED_AFTER, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience, self._clock = patience, clock
        self._last = clock()

    def beat(self) -> None:
        self._last = self._clock()

    @property
    def is_alive(self) -> bool:
        return self._clock() - self._last < self._patience
