"""Parts of answers as JSON, kept for requests of the same: replicas of a record all have the same points.

Not here: what the parts are (`read_api.charts`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import Any

import msgspec
from cachetools import LRUCache

BUDGET = 32 << 20
"""Bytes of JSON that are kept; what was not used for longest goes."""


class JsonCache:
    """For any thread. A part that is heavier than the whole budget is made each time."""

    def __init__(self, budget: int = BUDGET) -> None:
        self._kept: LRUCache[Hashable, bytes] = LRUCache(budget, len)
        self._turn = threading.Lock()

    def part(self, key: Hashable, make: Callable[[], Any]) -> msgspec.Raw:
        """What is kept under `key`, else what `make` returns, as JSON."""
        with self._turn:
            kept = self._kept.get(key)
        if kept is None:
            kept = msgspec.json.encode(make())
            with self._turn, suppress(ValueError):  # it is heavier than the whole budget
                self._kept[key] = kept
        return msgspec.Raw(kept)
