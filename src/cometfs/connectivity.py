"""Whether Comet can be reached, since when it cannot, and how old what is shown meanwhile may be.

A state that the store and the status share: no I/O. Not here: what finds out whether a host answers
(comet/http/breaker.py), and what is shown while Comet is away (cache/store.py).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from cometfs.errors import CometFSError, DeadlineExceeded, Unreachable
from cometfs.text.times import spoken

log = logging.getLogger(__name__)

OFFLINE = "this mount asks nothing (--offline)"

SILENCE = 10.0
"""Seconds without a word of Comet after which a reader gets the last answer, where there is one."""


class Interruption(Protocol):
    """That a host does not answer."""

    @property
    def since(self) -> float:
        """Seconds since 1970."""

    @property
    def error(self) -> str:
        """The last failure."""


class HostWatch(Protocol):
    """What finds out whether a host answers."""

    @property
    def outage(self) -> Interruption | None:
        """None while it is worth a call."""

    @property
    def heard_at(self) -> float:
        """When it last answered anything, on trio's clock."""

    async def admit(self) -> None:
        """Raises Unreachable while it is not worth a call. To ask makes it be probed."""

    def silent(self, seconds: float, error: CometFSError) -> None:
        """It did not answer a call for so long."""


class Connectivity:
    """`_oldest` and `_noted` are of the outage that began at `_of`."""

    def __init__(self, *, offline: bool = False, wall: Callable[[], float] = time.time) -> None:
        """`offline`: nothing is ever asked; `wall`: seconds since 1970."""
        self.offline = offline
        self._wall, self._begun = wall, wall()
        self._watch: HostWatch | None = None
        self._of: float | None = None
        self._oldest: float | None = None
        self._noted = False

    def watch(self, host: HostWatch) -> None:
        """From now on that says whether Comet answers."""
        self._watch = host

    @property
    def away(self) -> bool:
        """Whether Comet cannot be reached: the last answers are what there is."""
        return self.offline or self._outage is not None

    @property
    def _outage(self) -> Interruption | None:
        return None if self._watch is None else self._watch.outage

    @property
    def since(self) -> float | None:
        """Seconds since 1970; None while Comet answers."""
        if self.offline:
            return self._begun
        return None if self._outage is None else self._outage.since

    @property
    def reason(self) -> str:
        """Why Comet cannot be reached; empty while it can."""
        if self.offline:
            return OFFLINE
        return "" if self._outage is None else self._outage.error

    def is_silent(self, since: float, seconds: float) -> bool:
        """Whether Comet has not answered anything since then, on trio's clock, which is so many seconds ago: if those
        are enough, it is found out whether it is away."""
        if self._watch is None or self._watch.heard_at >= since:
            return False
        if seconds >= SILENCE:
            self._watch.silent(seconds, DeadlineExceeded(f"nothing has come for {SILENCE:g} s"))
        return True

    def shows(self, age: float) -> None:
        """An answer of that age, in seconds, is shown although it may not hold any more."""
        if self._of != self.since:
            self._of, self._oldest, self._noted = self.since, None, False
        arrived = self._wall() - age
        self._oldest = arrived if self._oldest is None else min(self._oldest, arrived)
        if self.away and not self.offline and not self._noted:
            self._noted = True
            log.warning("Comet cannot be reached, and what was answered before is shown as it was: %s", self.reason)

    async def look(self) -> None:
        """Has it found out whether Comet is back, and waits a moment for that where it is worth it."""
        if self._watch is not None and not self.offline:
            with suppress(Unreachable):
                await self._watch.admit()

    @property
    def sentence(self) -> str:
        """What a user of the mount must know; empty while Comet answers."""
        if not self.away:
            return ""
        oldest = self._shown_since()
        age = "before" if oldest is None else f"up to {spoken(self._wall() - oldest)} ago"
        if self.offline:
            return f"{self.reason}, and shows what was fetched {age}"
        return f"Comet cannot be reached, and what was fetched {age} is shown until it answers again: {self.reason}"

    def as_object(self) -> dict[str, Any]:
        """For JSON."""
        state = "offline" if self.offline else "away" if self.away else "online"
        now, since, oldest = self._wall(), self.since, self._shown_since()
        return {
            "state": state,
            "since": None if since is None else round(since),
            "for_s": None if since is None else round(now - since),
            "error": self.reason or None,
            "oldest_s": None if oldest is None else round(now - oldest),
        }

    def _shown_since(self) -> float | None:
        """When the oldest arrived of what is shown in this outage."""
        return self._oldest if self.away and self._of == self.since else None
