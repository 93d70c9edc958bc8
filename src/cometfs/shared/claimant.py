"""The name under which one mount or process claims answers, and a sign that it lives: its claims end with that.

To renew each of the 25,000 claims of a big batch took longer than they held. Not here: what is claimed (answers.py).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import suppress

import trio

from cometfs.shared.place import Away, Place
from cometfs.shared.scripts import GO_ON

LIVES = 6.0
"""Seconds for which one is taken to live after it was heard of. It is heard of three times meanwhile."""


class Claimant:
    def __init__(self, place: Place) -> None:
        self._place = place
        self.where = place.key("claimant") + b":"
        """The beginning of the keys of those that live."""
        self.rename()

    def rename(self) -> None:
        """Claims of before end soon: that they are given up could not be sent."""
        self.name = uuid.uuid4().hex

    @property
    def words(self) -> list[str | bytes]:
        """What CLAIM wants to know: the name, where those that live stand, milliseconds for which they do."""
        return [self.name, self.where, str(int(LIVES * 1000))]

    async def live(self, has_work: Callable[[], bool]) -> None:
        """Gives signs of life while there is work, until it is cancelled."""
        while True:
            await trio.sleep(LIVES / 3)
            if has_work():
                with suppress(Away):
                    await self._place.run(GO_ON, [self.where + self.name.encode()], [str(int(LIVES * 1000))])
