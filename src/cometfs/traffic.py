"""What goes over the wire to Comet and its storages: what is on its way now, and what has come so far.

Counts alone: no I/O. Not here: how many calls the account has left (quota/).
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple


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

    def end(self) -> None:
        """All of it has come, or nothing more will. A second time changes nothing."""
        self._traffic.end(self)


class Traffic:
    """Of one process with one Comet. `bytes` are those of bodies as they come, compressed where they are."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._open: dict[int, Request] = {}
        self.bytes = 0
        self.requests = 0
        self.seconds = 0.0
        """All requests together took so long, those that were abreast each by itself."""
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

    def begin(self, endpoint: str, what: str) -> Request:
        """`what`: the question in a sentence, without the key."""
        request = Request(self, endpoint, what, self._clock())
        self._open[id(request)] = request
        return request

    def end(self, request: Request) -> None:
        if self._open.pop(id(request), None) is not None:
            self.requests += 1
            self.seconds += self._clock() - request.began
            self.squares[request.endpoint] += request.bytes**2

    def waiting(self) -> list[Waiting]:
        """What is on its way, the longest first."""
        now = self._clock()
        found = [Waiting(one.what, now - one.began, one.bytes) for one in self._open.values()]
        return sorted(found, key=lambda one: -one.seconds)
