"""Parts of answers as JSON, kept for who asks for the same again: replicas of a record all have the same points.

Not here: what the parts are (`charts`).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any

import msgspec

BUDGET = 32 << 20
"""Bytes of JSON that are kept; what was not used for longest goes."""


class JsonCache:
    """For any thread. A part that is heavier than the whole budget is made each time."""

    def __init__(self, budget: int = BUDGET) -> None:
        self._budget = budget
        self._kept: OrderedDict[Hashable, bytes] = OrderedDict()
        self._bytes = 0
        self._turn = threading.Lock()

    def part(self, key: Hashable, make: Callable[[], Any]) -> msgspec.Raw:
        """What is kept under `key`, else what `make` returns, as JSON."""
        with self._turn:
            kept = self._kept.get(key)
            if kept is not None:
                self._kept.move_to_end(key)
                return msgspec.Raw(kept)
        made = msgspec.json.encode(make())
        if len(made) <= self._budget:
            with self._turn:
                self._keep(key, made)
        return msgspec.Raw(made)

    def _keep(self, key: Hashable, made: bytes) -> None:
        self._bytes += len(made) - len(self._kept.pop(key, b""))
        self._kept[key] = made
        while self._bytes > self._budget:
            self._bytes -= len(self._kept.popitem(last=False)[1])
