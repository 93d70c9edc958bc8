"""What was refreshed here, and when: what is older is not believed.

Not here: what is there (answers.py).
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Hashable

from cometfs.cache.memory import Which
from cometfs.lease import SEALED

MOST = 50
"""Refreshes that are remembered, each held against what is found; of more, nothing is believed for as long."""

MOST_KEYS = 1000
"""The same of single keys."""

REMEMBERED = SEALED
"""Seconds for which a refresh is remembered: nothing else stands there for longer."""


class Refreshes:
    """Those of one mount or process. Moments are those of one clock, in order."""

    def __init__(self) -> None:
        self._when: OrderedDict[Which, float] = OrderedDict()
        self._keys: dict[Hashable, float] = {}

    def note(self, which: Which, now: float) -> None:
        """Those keys were refreshed."""
        while self._when and next(iter(self._when.values())) < now - REMEMBERED:
            self._when.popitem(last=False)
        if len(self._when) >= MOST:
            self._when.clear()
            which = _every
        self._when[which] = now
        self._when.move_to_end(which)

    def note_key(self, key: Hashable, when: float) -> None:
        """What is older than that under a single key is not believed."""
        self._keys[key] = max(when, self._keys.get(key, when))
        if len(self._keys) > MOST_KEYS:
            self.note(_every, max(self._keys.values()))
            self._keys.clear()

    def mean(self, key: Hashable, arrived: float) -> bool:
        """Whether what arrived then under the key is older than a refresh of it."""
        if arrived <= self._keys.get(key, -math.inf):
            return True
        return any(arrived <= when and which(key) for which, when in self._when.items())


def _every(_key: Hashable) -> bool:
    return True
