"""Rows of experiments that a refresh has put in doubt, until Comet was asked.

Not here: what is asked then (experiment.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import trio

from cometfs.lease import LISTING
from cometfs.vfs.schema.declaration import Context, Row
from cometfs.vfs.sources.experiment import key

LAST = 10 * LISTING
"""Seconds for which a row is doubted: the listing that has it holds for a fraction of that."""


class _Doubt(NamedTuple):
    row: Row
    until: float


class RevalidationSet:
    """By the key of an experiment, its row in its project's listing, until Comet has answered."""

    def __init__(self, clock: Callable[[], float] = trio.current_time) -> None:
        self._clock = clock
        self._doubted: dict[str, _Doubt] = {}

    def __len__(self) -> int:
        return len(self._doubted)

    def __contains__(self, at: Context) -> bool:
        doubt = self._doubted.get(key(at))
        return doubt is not None and doubt.row is at.experiment

    def add(self, at: Context) -> None:
        """The row to which `at` is bound is doubted from now on."""
        assert at.experiment is not None
        now = self._clock()
        while self._doubted and next(iter(self._doubted.values())).until <= now:
            del self._doubted[next(iter(self._doubted))]
        self._doubted.pop(key(at), None)  # the newest stands last
        self._doubted[key(at)] = _Doubt(at.experiment, now + LAST)

    @contextmanager
    def settled(self, at: Context) -> Iterator[None]:
        """The body asks Comet: if that succeeds, nothing is left to doubt but what was doubted meanwhile."""
        before = self._doubted.get(key(at))
        yield
        if before is not None and self._doubted.get(key(at)) is before:
            del self._doubted[key(at)]
