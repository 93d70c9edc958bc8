"""Which siblings to fetch ahead of a reader: a policy, without I/O and without a clock.

A program that reads `*/params.json` asks the same question of one experiment after the other. Three neighbours in one
direction, a few places apart at most, make a walk; the next ones are worth fetching then, few at first. The window
doubles only when a read had to wait, or where all of it costs one call. The next one is asked for when half of it is
used, so that a reader slower than the server never waits. A walk that stops leaves what was fetched for it unused: the
next walk of that family begins with half the window of the last one, and after `PATIENCE` such walks none is followed
for a while.

A shuffled order is no walk. It is followed when so many siblings were asked, every one for the first time, that most of
them will be: `SWEEP` at least, and a tenth of all. Not here: fetching (prefetch.py).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence

NEIGHBOURS = 3
"""Siblings in a row that make a walk."""

REACH = 4
"""Places that two neighbours may be apart: some siblings lack the file, a shell sorts otherwise than we do."""

FIRST = 4
"""Siblings in the first window, where each costs a call."""

IDLE = 60.0
"""Seconds after which a family begins anew."""

FAMILIES = 256
"""Families that are remembered."""

STREAMS = 4
"""Readers of one family that are kept apart."""

SWEEP = 16
"""Siblings in no order that make a sweep, at least."""

PATIENCE = 4
"""Walks in a row that stopped with most of their window unused, after which none is followed until all is forgotten."""


class _Stream:
    """One reader's way through the siblings.

    Once it is a walk, what lies beyond `last` up to and with `front` was asked for ahead and is not read yet; `front`
    never lies behind `last`, seen in the direction of `step`.
    """

    __slots__ = ("candidates", "first", "front", "last", "stalled", "step", "window")

    def __init__(self, place: int) -> None:
        self.first = self.last = place
        self.step = 0
        """1 or -1; 0 until it is a walk."""
        self.candidates = {place}
        """The places read so far, which may turn out to be the beginning of a walk; empty once it is one."""
        self.front = place
        self.window = 0
        self.stalled = False
        """Whether a read had to wait since the last window was asked for."""

    def takes(self, place: int) -> bool:
        """Whether `place` may be this reader's next step."""
        way = place - self.last
        if self.step:
            ahead = way * self.step
            # Also beyond the window: a reader that skips what it has no use for is the same reader still.
            return -REACH <= ahead <= max(REACH, (self.front - self.last) * self.step + REACH)
        return abs(way) <= REACH

    def unused(self) -> int:
        """Places that were asked for ahead and not reached."""
        return (self.front - self.last) * self.step if self.window else 0


class _Family:
    """All readers of one question about the siblings of a project. Each of `streams` takes other places than those
    before it: a place belongs to the first that takes it."""

    __slots__ = ("asked", "backoff", "rest", "seen", "streams", "wasted")

    def __init__(self) -> None:
        self.asked = 0.0
        self.streams: list[_Stream] = []
        """In the order of their last steps, the latest first."""
        self.seen: set[int] = set()
        """What was asked for and waited for in no order; empty once it is a sweep."""
        self.rest: list[int] | None = None
        """Of a sweep, what was not asked yet; None until it is one."""
        self.backoff = 0
        """How often the first window is halved."""
        self.wasted = 0
        """Walks in a row that stopped with most of their window unused."""

    def moved(self, stream: _Stream, place: int, neighbours: int) -> bool:
        """Moves a reader on; False for a step back within its reach, which changes nothing."""
        self.streams.remove(stream)
        self.streams.insert(0, stream)
        return _advance(stream, place, neighbours)


class Readahead:
    """Remembers which siblings were asked for, and in which order; bounded."""

    def __init__(self) -> None:
        self._families: OrderedDict[Hashable, _Family] = OrderedDict()

    def asked(
        self,
        family: Hashable,
        place: int,
        count: int,
        *,
        waited: bool,
        most: int,
        now: float,
        first: int = FIRST,
        neighbours: int = NEIGHBOURS,
        batched: bool = False,
    ) -> Sequence[int]:
        """The places to ask for now, nearest first, maybe none; never one twice in a walk.

        `family`: which siblings' which question; `place`: of the sibling asked for among `count`; `waited`: its answer
        was not at hand; `most`: the widest window that makes sense; `now` in seconds;
        `first`: the window to begin with, more than a few where all of it costs one call; `neighbours`: siblings in a
        row that make a walk, less than three where each of them tells more than one read does; `batched`: a window
        costs one call, so that wider ones cost fewer.
        """
        known = self._family(family, now)
        stream = next((one for one in known.streams if one.takes(place)), None)
        if stream is None:
            stream = self._begin(known, place)
        elif not known.moved(stream, place, neighbours):
            return ()
        stream.stalled |= waited
        if stream.step and known.wasted < PATIENCE:
            width = stream.window * (2 if stream.stalled or batched else 1) or first >> known.backoff
            return _next(known, stream, count, most, width)
        return _sweep(known, place, count, most) if waited else ()

    def _family(self, name: Hashable, now: float) -> _Family:
        known = self._families.get(name)
        if known is None or now - known.asked > IDLE:
            known = self._families[name] = _Family()
            if len(self._families) > FAMILIES:
                self._families.popitem(last=False)
        self._families.move_to_end(name)
        known.asked = now
        return known

    def _begin(self, known: _Family, place: int) -> _Stream:
        stream = _Stream(place)
        known.streams.insert(0, stream)
        if len(known.streams) > STREAMS:
            # A walk is judged when it makes room, not when it pauses: until then it may go on.
            gone = known.streams.pop()
            if gone.unused() * 2 > gone.window:
                known.wasted += 1
                known.backoff += 1
            elif gone.window:
                known.wasted = 0
        return stream


def _advance(stream: _Stream, place: int, neighbours: int) -> bool:
    """Moves a reader on; False for a step back within its reach, which changes nothing."""
    if not stream.step:
        stream.candidates.add(place)
        stream.last = place
        # A set: the same place read twice is one neighbour. The first and the last one tell the direction.
        if len(stream.candidates) == neighbours and place != stream.first:
            stream.step = 1 if place > stream.first else -1
            stream.front = stream.last = max(stream.candidates) if stream.step > 0 else min(stream.candidates)
            stream.candidates.clear()
        return True
    if (place - stream.last) * stream.step <= 0:
        return False
    stream.last = place
    if (stream.front - place) * stream.step < 0:
        stream.front = place
    return True


def _next(known: _Family, stream: _Stream, count: int, most: int, width: int) -> Sequence[int]:
    left = (stream.front - stream.last) * stream.step
    if stream.window and left * 2 > stream.window:
        return ()
    if stream.window:
        # Half of what was fetched lies behind the reader: the family's walks do go on.
        known.wasted = known.backoff = 0
    stream.window, stream.stalled = max(1, min(most, width)), False
    first = stream.front + stream.step
    last = stream.front + stream.step * stream.window
    found = range(first, min(last + 1, count)) if stream.step > 0 else range(first, max(last - 1, -1), -1)
    if found:
        stream.front = found[-1]
    return found


def _sweep(known: _Family, place: int, count: int, most: int) -> Sequence[int]:
    """What was not asked yet, when siblings in no order are asked one after the other: as many as make sense at once,
    and the next ones when a reader has to wait again."""
    if known.rest is None:
        known.seen.add(place)
        if len(known.seen) < max(SWEEP, count // 10):
            return ()
        known.rest = [other for other in range(count) if other not in known.seen]
        known.seen.clear()
    found = [other for other in known.rest[: most + 1] if other != place][:most]
    known.rest = known.rest[len(found) :]
    return found
