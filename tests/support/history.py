"""What was ever true of an account that changes: the bytes of each file and the holder of each name, and when.

A truth begins when the request that makes it true goes out, and ends when the server has acknowledged the next one; in
between, both are. What a reader saw is held against all that was true at some time between the moment he began, less
what the mount may lag behind, and the moment he had it.

Not here: of what (account_history.py).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

KEPT = 60.0
"""Seconds for which what is true no more is remembered: nobody looks back so far."""

T = TypeVar("T")


@dataclass
class _Timing:
    """By what clock eras are dated, and for how many seconds those that are over are remembered."""

    clock: Callable[[], float] = time.monotonic
    kept: float = KEPT


_timing = _Timing()


@contextmanager
def timed_by(clock: Callable[[], float]) -> Iterator[None]:
    """Histories are dated by another clock while the block runs, and forget nothing."""
    before = _timing.clock, _timing.kept
    _timing.clock, _timing.kept = clock, math.inf
    try:
        yield
    finally:
        _timing.clock, _timing.kept = before


class Wrong(AssertionError):
    """Somebody saw what was never true."""


@dataclass(slots=True)
class Era(Generic[T]):
    """For how long something was true, on the monotonic clock of this machine or that of a test."""

    value: T
    since: float
    until: float = math.inf


class History(Generic[T]):
    """What was true one after the other. For one writer and many readers in other threads."""

    def __init__(self, value: T) -> None:
        self._eras = [Era(value, _timing.clock())]

    def begin(self, value: T) -> None:
        """It may be so from now on."""
        self._eras = [*self._eras, Era(value, _timing.clock())]

    def settle(self) -> None:
        """Only the last is true any more."""
        now = _timing.clock()
        for era in self._eras[:-1]:
            era.until = min(era.until, now)
        self._eras = [*(era for era in self._eras[:-1] if era.until > now - _timing.kept), self._eras[-1]]

    def within(self, since: float, until: float = math.inf) -> list[T]:
        """All that was true at some time between these."""
        return [era.value for era in self._eras if era.until >= since and era.since <= until]

    @property
    def now(self) -> T:
        """What is true, as far as has been said."""
        return self._eras[-1].value


class Bytes:
    """One version of a file: the beginning of a text, which later versions share if they only add to it."""

    __slots__ = ("_text", "size")

    def __init__(self, text: bytearray, size: int) -> None:
        self._text, self.size = text, size

    @classmethod
    def of(cls, data: bytes) -> Bytes:
        return cls(bytearray(data), len(data))

    def part(self, start: int, length: int) -> bytes:
        return bytes(self._text[start : min(start + length, self.size)])

    @property
    def whole(self) -> bytes:
        return self.part(0, self.size)

    def equals(self, data: bytes) -> bool:
        return self.size == len(data) and self.whole == data

    def with_more(self, data: bytes) -> Bytes:
        """The next version, which has these bytes too. Only of the last one."""
        assert self.size == len(self._text)
        self._text.extend(data)
        return Bytes(self._text, len(self._text))

    def goes_on_from(self, other: Bytes) -> bool:
        """Whether it has all bytes of `other`, and perhaps more at the end."""
        if self.size < other.size:
            return False
        return self._text is other._text or self.part(0, other.size) == other.whole

    @property
    def may_lack(self) -> bool:
        """Whether a file of these bytes may be missing: Comet has nothing of it."""
        return self.whole in (b"", b"{}\n") if self.size < 4 else False


def explained(data: bytes, candidates: Mapping[str, list[Bytes]]) -> str:
    """How far bytes are from what they could be."""
    said = [f"{len(data)} bytes"]
    if b"\0" in data:
        said.append(f"NUL bytes from {data.index(0)} on")
    try:
        data.decode()
    except UnicodeDecodeError as error:
        said.append(f"no UTF-8: {error}")
    for key, versions in candidates.items():
        sizes = sorted({version.size for version in versions})
        said.append(f"{key[:8]} had {len(versions)} versions of {sizes[:1]}..{sizes[-1:]} bytes")
        if versions:
            said.append(f"alike to byte {max(alike(data, version.whole) for version in versions)}")
    return ", ".join(said)


def alike(one: bytes, other: bytes) -> int:
    """How many bytes two begin with alike."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[:middle] == other[:middle] else (low, middle - 1)
    return low
