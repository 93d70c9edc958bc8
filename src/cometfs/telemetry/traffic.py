"""What goes over the wire to Comet and its storages: what is on its way now, and what has come so far.

Counts alone: no I/O. Not here: how many calls the account has left (quota/).
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

BIG = 1 << 16
"""Bytes of a body from which on it shows how fast bytes come: less comes at once, after the wait for it."""

ENOUGH = 1 << 18
"""Bytes of such bodies from which on they show it."""


class Waiting(NamedTuple):
    """A request that is on its way, or whose body is."""

    what: str
    seconds: float
    bytes: int
    """Of its body, so far."""


class Request:
    """One request, from when it is sent until its body has come. To be ended once."""

    __slots__ = ("_traffic", "began", "bytes", "endpoint", "what")

    def __init__(self, traffic: Traffic, endpoint: str, what: str, began: float) -> None:
        self._traffic = traffic
        self.endpoint = endpoint
        self.what = what
        self.began = began
        self.bytes = 0

    def came(self, count: int) -> None:
        """So many bytes of its body."""
        self.bytes += count
        self._traffic.bytes += count
        self._traffic.bytes_by_endpoint[self.endpoint] += count
        if self.bytes >= BIG:
            self._traffic.streams(self, count)

    def end(self) -> None:
        """All of it has come, or nothing more will. A second time changes nothing."""
        self._traffic.end(self)


class Traffic:
    """Of one process with one Comet. `bytes` are those of bodies as they come, compressed where they are."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._open: dict[int, Request] = {}
        self.bytes = 0
        self._small = (0, 0.0)
        """Requests whose bodies were small, and the seconds that they took."""
        self._streaming: set[int] = set()
        """The requests whose bodies are big, and on their way."""
        self._since = 0.0
        """When the first of those became big."""
        self._streamed = (0, 0.0)
        """Bytes that big bodies brought, and the seconds in which there was one at least."""
        self.calls: Counter[str] = Counter()
        """By endpoint; what a storage is asked is no call of Comet's."""
        self.outcomes: Counter[tuple[str, str]] = Counter()
        """The same by endpoint and what came of each call: a status, or why none came."""
        self.bytes_by_endpoint: Counter[str] = Counter()
        self.squares: Counter[str] = Counter()
        """Of the bytes of each answer, added up: how much they differ follows from that."""

    def weight(self, endpoint: str, guess: float) -> tuple[float, float]:
        """Bytes of an answer of an endpoint, and the standard error of that; a guess where none has come."""
        count = self.calls[endpoint]
        if not count:
            return guess, guess
        mean = self.bytes_by_endpoint[endpoint] / count
        if count == 1:
            return mean, mean
        variance = max(0.0, (self.squares[endpoint] - count * mean**2) / (count - 1))
        return mean, math.sqrt(variance / count)

    @property
    def latency(self) -> float | None:
        """Seconds that a small answer takes; None where none has come."""
        count, seconds = self._small
        return seconds / count if count else None

    @property
    def rate(self) -> float | None:
        """Bytes a second that come when big bodies are on their way; None where that is not known."""
        count, seconds = self._streamed
        if self._streaming:
            seconds += self._clock() - self._since
        return count / seconds if count >= ENOUGH and seconds > 0 else None

    def streams(self, request: Request, count: int) -> None:
        """So many bytes of a big body have come."""
        if not self._streaming:
            self._since = self._clock()
        self._streaming.add(id(request))
        self._streamed = self._streamed[0] + count, self._streamed[1]

    def begin(self, endpoint: str, what: str) -> Request:
        """`what`: the question in a sentence, without the key."""
        request = Request(self, endpoint, what, self._clock())
        self._open[id(request)] = request
        return request

    def end(self, request: Request) -> None:
        if self._open.pop(id(request), None) is None:
            return
        seconds = self._clock() - request.began
        self.squares[request.endpoint] += request.bytes**2
        if request.bytes < BIG:
            self._small = self._small[0] + 1, self._small[1] + seconds
        elif id(request) in self._streaming:
            self._streaming.discard(id(request))
            if not self._streaming:
                self._streamed = self._streamed[0], self._streamed[1] + self._clock() - self._since

    def waiting(self) -> list[Waiting]:
        """What is on its way, the longest first."""
        now = self._clock()
        found = [Waiting(one.what, now - one.began, one.bytes) for one in self._open.values()]
        return sorted(found, key=lambda one: -one.seconds)
