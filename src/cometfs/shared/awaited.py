"""Answers that other machines ask for, looked for together: many readers that wait cost one look.

Not here: taking them (answers.py).
"""

from __future__ import annotations

import trio

from cometfs.shared.place import Away, Place
from cometfs.shared.scripts import CHANGED

POLL = 0.05
"""Seconds between two looks for what others ask for, one look for all of that."""

AT_ONCE = 200
"""Answers that are looked for in one trip: thousands would take as long as a server may that is away."""


class Awaited:
    """For one mount or process, by names."""

    def __init__(self, place: Place, where: bytes) -> None:
        """`where`: the beginning of the keys of those that live and claim."""
        self._place, self._where = place, where
        self._waiting: dict[bytes, trio.Event] = {}
        self._wake = trio.Event()

    async def change(self, name: bytes) -> None:
        """Returns when an answer has come or does not come any more, or the place cannot be used."""
        self._wake.set()
        await self._waiting.setdefault(name, trio.Event()).wait()

    async def run(self) -> None:
        """Looks for them until it is cancelled."""
        while True:
            await self._wake.wait()
            self._wake = trio.Event()
            while self._waiting:
                await trio.sleep(POLL)
                names = list(self._waiting)
                for begin in range(0, len(names), AT_ONCE):
                    await self._look(names[begin : begin + AT_ONCE])

    async def _look(self, names: list[bytes]) -> None:
        try:
            changed = await self._place.run(CHANGED, names, [self._where])
        except Away:
            changed = [1] * len(names)
        for name, has in zip(names, changed, strict=True):
            if has:
                self._waiting.pop(name).set()
