"""Pauses that a server asked one machine for, and that all machines of the account keep.

While their place cannot be used, each keeps its own. Not here: what a pause is (quota/pauses.py).
"""

from __future__ import annotations

import trio

from cometfs.quota.pauses import HOLD, LONGEST, Pauses, throttled
from cometfs.shared.place import Away, Place
from cometfs.shared.scripts import ANSWERED, PASS, PAUSE

POLL = 0.2
"""Seconds between two looks for whether the first call after a pause was answered."""


class SharedPauses:
    """For one mount or process."""

    def __init__(self, place: Place) -> None:
        self._place, self._own = place, Pauses()
        self._key = place.key("pauses")
        self._first: set[str] = set()
        """Endpoints of which this one makes the first call after a pause."""
        self._answered: set[str] = set()
        """Those that were answered; the place does not know yet."""
        self._wake = trio.Event()

    async def begin(self, endpoint: str, seconds: float) -> bool:
        """See `PauseKeeper`."""
        self._first.discard(endpoint)
        everything = await self._own.begin(endpoint, seconds)
        try:
            return bool(await self._place.run(PAUSE, [self._key], [endpoint, min(seconds, LONGEST)])) or everything
        except Away:
            return everything

    def answered(self, endpoint: str) -> None:
        """See `PauseKeeper`."""
        self._own.answered(endpoint)
        if endpoint in self._first:
            self._first.discard(endpoint)
            self._answered.add(endpoint)
            self._wake.set()

    async def passed(self, endpoint: str) -> None:
        """See `PauseKeeper`."""
        while True:
            try:
                what, seconds = await self._place.run(PASS, [self._key], [endpoint, HOLD, LONGEST])
            except Away:
                await self._own.passed(endpoint)
                return
            if what == b"pauses":
                raise throttled(endpoint, float(seconds))
            if what != b"wait":
                self._first.update([endpoint] if what == b"first" else [])
                return
            await trio.sleep(min(POLL, float(seconds)))

    async def run(self) -> None:
        """Lets the others go on where a first call was answered, until it is cancelled."""
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            while self._answered:
                try:
                    await self._place.run(ANSWERED, [self._key], [self._answered.pop()])
                except Away:
                    break  # what waits there goes on after a while
