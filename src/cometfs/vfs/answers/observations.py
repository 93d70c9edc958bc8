"""What was learned by the way about how to ask: no answers, and to lose it costs no more than some calls.

Not here: what is fetched ahead (prefetch.py) and answers (resolver.py).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import NamedTuple

import trio

from cometfs.cache.memory import Recent
from cometfs.lease import LISTING, SEALED, Lease
from cometfs.vfs.keys import Key
from cometfs.vfs.schema.declaration import Context, Source

REMEMBERED = 4096
"""Experiments and projects of which something is remembered: well below a megabyte."""


class _Observation(NamedTuple):
    value: int
    until: float
    """On trio's clock, in seconds."""


class Observations:
    """How items of experiments were read lately, and how far what batches tell is what single calls tell.

    Each stands under a key, so that a refresh of what it was learned from ends it.
    """

    def __init__(self, clock: Callable[[], float] = trio.current_time) -> None:
        self._clock = clock
        self._known: Recent[Key, _Observation] = Recent(REMEMBERED)

    def wants_all(self, source: Source, at: Context, project: Context, *, at_hand: bool) -> bool:
        """Records that one item of an experiment is asked for, such as a metric; whether to ask for all with `source`.

        The first is asked for alone, the second brings all; and a program that wanted several items of one experiment
        will want several of the next one. `at`, `project`: the experiment's place and its project's; `at_hand`:
        whether all are at hand.
        """
        several = Key.observed(source.name, project.key)
        first = not at_hand and self._value(source.key(at)) is None
        if first:
            self._put(source.key(at), True, source.lease(at))
            if self._value(several) is None:
                return False
        # One that follows a metric of a run wants it again and again: that alone must not bring all, for ever.
        if not first or at.version:
            self._put(several, True, LISTING)
        return True

    def expect_all(self, source: Source, project: Context) -> None:
        """Several items of the experiments of a project will be asked for."""
        self._put(Key.observed(source.name, project.key), True, LISTING)

    def expects_all(self, source: Source, project: Context) -> bool:
        """Whether `expect_all` was called lately."""
        return bool(self._value(Key.observed(source.name, project.key)))

    def agreement(self, subject: str, project: Context) -> bool | None:
        """What was recorded of a batch's `subject` in a project; None where it was not compared yet."""
        found = self._value(Key.observed(subject, project.key))
        return None if found is None else bool(found)

    def record_agreement(self, subject: str, project: Context, *, agrees: bool, lease: Lease = SEALED) -> None:
        """Whether what a batch tells of a `subject` is what a single call tells."""
        self._put(Key.observed(subject, project.key), agrees, lease)

    def count(self, subject: str, place: Context) -> int:
        """What was counted of a `subject` at a place; 0 where nothing was."""
        return self._value(Key.observed(subject, place.key)) or 0

    def record_count(self, subject: str, place: Context, count: int, lease: Lease = SEALED) -> None:
        """Lets `count` say so from now on."""
        self._put(Key.observed(subject, place.key), count, lease)

    def drop_all(self, which: Callable[[Hashable], bool]) -> None:
        """Forgets what stands under those keys."""
        for key in [key for key in self._known if which(key)]:
            del self._known[key]

    def _value(self, key: Key) -> int | None:
        found = self._known.get(key)
        return found.value if found is not None and found.until > self._clock() else None

    def _put(self, key: Key, value: int, lease: Lease) -> None:
        self._known[key] = _Observation(value, self._clock() + lease)
