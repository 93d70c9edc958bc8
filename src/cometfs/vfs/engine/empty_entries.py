"""What listings leave out: files and directories of which answers at hand say that Comet has nothing.

No call is made for that. Not here: what an answer says then (`File.nothing`, `Dir.hides` in the declaration).
"""

from __future__ import annotations

import math
from collections.abc import Callable

from cometfs.cache.memory import Recent, Which
from cometfs.vfs.answers.resolver import AnswerResolver
from cometfs.vfs.keys import Key
from cometfs.vfs.schema.declaration import Context, Dir, File, ForEach, Link, Source, fixed_of, for_eaches_of

DIRECTORIES = 50_000
"""Of which it is remembered what was left out; some 250 bytes each."""

ALIKE = 1_000
"""Sets of names that are kept once for all directories that leave out the same."""


class EmptyEntries:
    """What was left out of each directory when it was listed last."""

    def __init__(self, answers: AnswerResolver) -> None:
        self._answers = answers
        self._store = answers.store
        # Not in the store: large answers push out what is there, between a listing and the look at what is in it.
        self._before: Recent[Key, frozenset[str]] = Recent(DIRECTORIES)
        self._alike: Recent[frozenset[str], frozenset[str]] = Recent(ALIKE)

    def drop_all(self, which: Which) -> None:
        """Forgets what was left out of those: the next listing may leave out more than the last one."""
        for key in list(filter(which, self._before)):
            del self._before[key]

    def of(self, entry: Dir, at: Context) -> tuple[frozenset[str], float]:
        """The names that a listing made now leaves out, and the seconds for which the answers hold that say so: what a
        run has logged meanwhile must not stay out of sight for longer.

        What a listing has once shown the next ones show too, empty: a file that vanishes because it was read would
        make `diff -r` complain of the copy that `cp -r` just made.
        """
        key = Key.empty_entries(entry, at.key)
        before = self._before.get(key)
        nothing = {child.name: left for child in fixed_of(entry) if (left := self._left_of_nothing(child, at))}
        omitted = frozenset(nothing if before is None else nothing.keys() & before)
        self._before[key] = self._alike.setdefault(omitted, omitted)
        return omitted, min([nothing[name] for name in omitted], default=math.inf)

    def _left_of_nothing(self, entry: File | Dir | Link, at: Context) -> float:
        """For how many seconds answers at hand go on saying that Comet has nothing for `entry`; 0 where they do not."""
        if isinstance(entry, Dir):
            eaches = for_eaches_of(entry) if entry.hides and not entry.writer else []
            left = [self._left_of_rows(each, at) for each in eaches]
            return min(left, default=math.inf if entry.hides else 0.0)
        if isinstance(entry, Link) or not isinstance(entry.source, Source):
            return 0.0
        return self._left_of(entry.source, at, entry.nothing)

    def _left_of_rows(self, each: ForEach, at: Context) -> float:
        return self._left_of(each.source, at, lambda answer: not each.rows(answer)) if each.source else 0.0

    def _left_of(self, source: Source, at: Context, nothing: Callable[..., bool]) -> float:
        held = self._answers.peek(source, at)
        # A remembered "no such thing" hides nothing: reading the file raises it, with its reason.
        is_nothing = held is not None and held.error is None and nothing(held.value)
        return self._store.remaining(held) if held is not None and is_nothing else 0.0
