"""Pauses that a server asks for with a 429: of what the answer was about, for a minute at most, then one call first.

A 429 is believed of its endpoint alone. When a second endpoint answers so meanwhile, the account is meant: then
everything pauses. Not here: what other mounts of the account know of it (sqlite_bucket.py), tokens (limiter.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Protocol

import trio

from cometfs.errors import Throttled
from cometfs.quota.token_bucket import LONGEST_SHUT

LONGEST = LONGEST_SHUT
"""Seconds of a pause, whatever the server asks for: one call a minute overloads no server."""

HOLD = 5.0
"""Seconds for which all others wait for the answer of the first call after a pause."""

EVERYTHING = ""


@dataclass
class _Pause:
    until: float
    tried: float = -math.inf
    """When the first call after it went out."""
    ended: trio.Event = field(default_factory=trio.Event)


class PauseKeeper(Protocol):
    """Knows what pauses, wherever that is kept."""

    async def begin(self, endpoint: str, seconds: float) -> bool:
        """An endpoint answered 429. Returns whether everything pauses now."""

    def answered(self, endpoint: str) -> None:
        """A call was answered; during a pause that is one from before it, and means nothing."""

    async def passed(self, endpoint: str) -> None:
        """Returns when a call may go out. Raises Throttled during a pause."""


class Pauses:
    """What pauses here, by endpoint; see `PauseKeeper`. Times are trio's."""

    def __init__(self) -> None:
        self._pauses: dict[str, _Pause] = {}

    async def begin(self, endpoint: str, seconds: float) -> bool:
        """See `PauseKeeper`."""
        await trio.lowlevel.checkpoint()
        now = trio.current_time()
        others = [name for name, pause in self._pauses.items() if name != endpoint and pause.until > now]
        everything = bool(others)
        for name in [endpoint, EVERYTHING] if everything else [endpoint]:
            self._end(name)
            self._pauses[name] = _Pause(now + min(seconds, LONGEST))
        return everything

    def answered(self, endpoint: str) -> None:
        """See `PauseKeeper`."""
        for name in (endpoint, EVERYTHING) if self._pauses else ():
            if name in self._pauses and self._pauses[name].tried > -math.inf:
                self._end(name)

    async def passed(self, endpoint: str) -> None:
        """See `PauseKeeper`."""
        for name in (EVERYTHING, endpoint) if self._pauses else ():
            while (pause := self._ended(name, endpoint)) is not None and not _is_first(pause):
                with trio.move_on_at(pause.tried + HOLD):
                    await pause.ended.wait()

    def _ended(self, name: str, endpoint: str) -> _Pause | None:
        """The pause of that name. Raises Throttled while any lasts that keeps the call back: it is no first call after
        another one then, for which all others would wait."""
        pauses = {one: self._pauses[one] for one in (EVERYTHING, endpoint) if one in self._pauses}
        left = max((pause.until for pause in pauses.values()), default=0.0) - trio.current_time()
        if left > 0:
            raise throttled(endpoint, left)
        return pauses.get(name)

    def _end(self, name: str) -> None:
        if (pause := self._pauses.pop(name, None)) is not None:
            pause.ended.set()


def throttled(endpoint: str, left: float) -> Throttled:
    """What a call gets during a pause that lasts for so long."""
    return Throttled(f"Comet asked for a pause: {endpoint} may be called again in {left:.0f} s", left)


def _is_first(pause: _Pause) -> bool:
    """Whether a call is the first one after the pause."""
    now = trio.current_time()
    if now < pause.tried + HOLD:
        return False
    pause.tried = now
    return True
