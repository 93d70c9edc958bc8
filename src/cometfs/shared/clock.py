"""The clock of a server, as far as it is known here: each answer of the server tells the time that it had on the way.

Machines need no equal clocks: what is written there has times of that one. Where these are not known to the millisecond
they are taken so that nothing counts as newer, or holds for longer, than it is. Not here: what they are times of
(sealed.py).
"""

from __future__ import annotations


class ServerClock:
    """Times in seconds; of the server since 1970, of this machine by trio's clock. The server is between `_least` and
    `_most` seconds ahead."""

    def __init__(self) -> None:
        self.known = False
        """Whether the server has answered."""
        self._least = self._most = 0.0

    def note(self, time: float, sent: float, came: float) -> None:
        """An answer that was asked for at `sent` and has come at `came` had that time."""
        self.known, self._least, self._most = True, time - came, time - sent

    def written(self, moment: float) -> float:
        """A moment of this machine as others are to have it: not later than it was."""
        return moment + self._least

    def passed(self, now: float) -> float:
        """What time the server has at most."""
        return now + self._most
