"""What is on its way to a place that machines share, sent in the background: values, and that a value does not come.

Not here: what is asked and what is found (answers.py), and how a value stands there (sealed.py).
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import trio

from cometfs.shared.claimant import Claimant
from cometfs.shared.place import Away, Full, Place
from cometfs.shared.scripts import GO_ON, PUT, RELEASE
from cometfs.shared.sealed import Value

log = logging.getLogger(__name__)

TOGETHER, MOST = 1 << 20, 500
"""Bytes that go in one trip, before they are compressed, and values."""

SENDERS = 2
"""Trips at once: one is made ready while another is on its way."""

QUEUE = 64 << 20
"""Bytes that may wait to be sent; what does not fit is not shared."""

LAST = 1.0
"""Seconds that the last sending may take; what is left then is let go, in as much time."""


class Sent(NamedTuple):
    """Moments on trio's clock."""

    name: bytes
    value: bytes | None
    """None: it does not come."""
    arrived: float = 0.0
    expires: float = 0.0
    missing: bool = False


class Outbox:
    """For one mount or process: `_due` is not sent yet, `_going` is on its way."""

    def __init__(self, place: Place, claimant: Claimant) -> None:
        self._place, self._claimant = place, claimant
        self._due: deque[Sent] = deque()
        self._waiting = 0
        """Bytes of it."""
        self._going: list[Sent] = []
        self._wake = trio.Event()
        self._full = False
        """Whether that was logged."""
        self.brought = 0

    @property
    def waits(self) -> bool:
        """Whether something is not there yet."""
        return bool(self._due or self._going)

    def has_room(self, size: int) -> bool:
        """Whether so many bytes may wait, too."""
        return self._waiting + size <= QUEUE

    def put(self, sent: Sent) -> None:
        """Takes it, to be sent at once."""
        self._due.append(sent)
        self._waiting += _bytes(sent)
        self._wake.set()
        self._wake = trio.Event()

    async def run(self) -> None:
        """Sends until it is cancelled; then `end` it."""
        async with trio.open_nursery() as nursery:
            for _ in range(SENDERS):
                nursery.start_soon(self._send_on)

    async def end(self) -> None:
        """Sends what is left; what does not get there in time does not come."""
        with trio.CancelScope(shield=True):
            with trio.move_on_after(LAST):
                await self._send()
            self._due = deque(sent._replace(value=None) for sent in self._due)
            with trio.move_on_after(LAST):
                await self._send()

    async def _send_on(self) -> None:
        while True:
            await self._send()
            await self._wake.wait()

    async def _send(self) -> None:
        while self._due:
            taken = self._taken()
            self._going += taken
            try:
                await self._send_together(taken)
            except Away as error:
                log.debug("not shared: %s", error)
                self._claimant.rename()
            except BaseException:  # the end has come meanwhile: it is sent once more
                self._due.extendleft(reversed(taken))
                self._waiting += sum(map(_bytes, taken))
                raise
            finally:
                there = set(map(id, taken))
                self._going = [one for one in self._going if id(one) not in there]

    def _taken(self) -> list[Sent]:
        """What goes in one trip."""
        taken, size = list[Sent](), 0
        while self._due and size < TOGETHER and len(taken) < MOST:
            taken.append(self._due.popleft())
            size += _bytes(taken[-1])
        self._waiting -= size
        return taken

    async def _send_together(self, taken: Sequence[Sent]) -> None:
        if not self._place.clock.known:
            await self._place.run(GO_ON, [], [])
        # To compress a listing of thousands takes a while.
        puts, gone = await trio.to_thread.run_sync(self._sorted, taken)
        try:
            if puts:
                values = [part for _, value, until in puts for part in (value, until)]
                await self._place.run(PUT, [name for name, *_ in puts], [self._claimant.name, *values])
                self.brought += len(puts)
        except Full as error:
            self._note_full(str(error))
            gone += [name for name, *_ in puts]
        if gone:
            await self._place.run(RELEASE, gone, [self._claimant.name])

    def _sorted(self, taken: Sequence[Sent]) -> tuple[list[tuple[bytes, bytes, str]], list[bytes]]:
        """What is put, by name, with the millisecond until which it holds; what does not come."""
        puts: list[tuple[bytes, bytes, str]] = []
        gone: list[bytes] = []
        for sent in taken:
            expires = self._place.clock.written(sent.expires)
            sealed = None if sent.value is None else self._sealed(sent, sent.value, expires)
            if sealed is None:
                gone.append(sent.name)
            else:
                puts.append((sent.name, sealed, str(int(expires * 1000))))
        return puts, gone

    def _sealed(self, sent: Sent, value: bytes, expires: float) -> bytes | None:
        arrived = self._place.clock.written(sent.arrived)
        return self._place.seal.sealed(sent.name, Value(value, arrived, expires, sent.missing))

    def _note_full(self, why: str) -> None:
        if not self._full:
            self._full = True
            log.warning("the shared cache has no room for more answers: %s", why)


def _bytes(sent: Sent) -> int:
    return len(sent.value or b"")
