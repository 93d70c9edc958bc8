"""Answers that several machines share: each is asked of Comet by one of them, and read by all while its lease holds.

An answer that is not there is claimed by the first that wants it; the others wait for it, and ask themselves when it
does not come. Not here: what is asked (cache/store.py), sending (outbox.py), how a value stands there (sealed.py).
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Collection, Hashable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import islice
from typing import NamedTuple

import trio

from cometfs.cache.memory import Which
from cometfs.cache.persistent.rows import key_of
from cometfs.cache.persistent.schema import FORMAT
from cometfs.shared.awaited import AT_ONCE, Awaited
from cometfs.shared.claimant import Claimant
from cometfs.shared.outbox import Outbox, Sent
from cometfs.shared.place import Away, Place
from cometfs.shared.refreshes import REMEMBERED, Refreshes
from cometfs.shared.scripts import CLAIM, RENEW
from cometfs.shared.sealed import Value

log = logging.getLogger(__name__)

LONGEST_WAIT = 30.0
"""Seconds that one waits for what another asks for, at most."""

RENEWAL_HOLDS = 10.0
"""Seconds for which no other machine renews what one renews."""

NEWER = 1.0
"""Seconds that an answer must hold for longer than another to be the newer one."""

LONGEST = REMEMBERED
"""Seconds of a lease, at most: a refresh is held against all that was there."""

HEAVY = 64 << 10
"""Bytes whose mark is made, or verified, in a thread."""


class SharedAnswer(NamedTuple):
    """Times in seconds."""

    value: bytes
    age: float
    left: float
    missing: bool = False
    """Whether the answer was that there is no such thing; `value` says why, then."""


class SharedAnswers:
    """For one mount or process."""

    def __init__(self, place: Place, clock: Callable[[], float] = trio.current_time) -> None:
        self._place, self._clock = place, clock
        self._claimant = Claimant(place)
        self._claimed: set[Hashable] = set()
        """What this one has promised to bring."""
        self._outbox = Outbox(place, self._claimant)
        self._refreshes = Refreshes()
        self._awaited = Awaited(place, self._claimant.where)
        self.found = 0
        self._forged = False
        """Whether that was logged."""

    @property
    def waits(self) -> bool:
        """Whether something is not sent yet."""
        return self._outbox.waits

    @property
    def brought(self) -> int:
        """Answers that this one has brought there."""
        return self._outbox.brought

    # -- to find ---------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def turn(self, key: Hashable, patience: float) -> AsyncIterator[SharedAnswer | None]:
        """Gives what is there, else None when it is the body's turn to ask, after waiting for another for `patience`
        seconds at most. What the body keeps under the key is sent; where it keeps nothing the next one may ask."""
        answer = await self._waited_for(key, patience)
        try:
            yield answer
        finally:
            self.settle([key])

    async def _waited_for(self, key: Hashable, patience: float) -> SharedAnswer | None:
        until = self._clock() + min(patience, LONGEST_WAIT)
        while True:
            found = (await self.claim([key])).get(key, True)
            if isinstance(found, SharedAnswer):
                return found
            if found or self._clock() >= until:
                return None
            with trio.move_on_at(until):
                await self._awaited.change(self._name(key))

    async def claim(self, keys: Sequence[Hashable]) -> Mapping[Hashable, SharedAnswer | bool]:
        """Of each key what is there, else whether it is this one's turn to ask for it (True), or another one asks
        (False). What is claimed must be settled. Keys that are not shared are this one's own."""
        names = {key: self._name(key) for key in keys if key_of(key) is not None}
        if not names:
            return dict.fromkeys(keys, True)
        try:
            found = await self._found(CLAIM, names, self._claimant.words)
        except BaseException:  # cancelled: some may be claimed already
            for key in names.keys() - self._claimed:
                self._outbox.put(Sent(names[key], None))
            raise
        self._claimed.update(key for key, one in found.items() if one is True)
        self.found += sum(isinstance(one, SharedAnswer) for one in found.values())
        return {key: found.get(key, True) for key in keys}

    async def changed(self, key: Hashable) -> None:
        """Returns when what another one asks for has come, or does not come any more, or the place cannot be used."""
        await self._awaited.change(self._name(key))

    async def renewal(self, key: Hashable, left: float) -> SharedAnswer | bool:
        """The same for an answer that this one has, and that holds for `left` seconds more."""
        if key_of(key) is None:
            return True
        longer = str(int((min(left, LONGEST) + NEWER) * 1000))
        arguments = [self._claimant.name, str(int(RENEWAL_HOLDS * 1000)), longer]
        return (await self._found(RENEW, {key: self._name(key)}, arguments))[key]

    async def _found(
        self, script: str, names: Mapping[Hashable, bytes], arguments: Sequence[str | bytes]
    ) -> dict[Hashable, SharedAnswer | bool]:
        found: dict[Hashable, SharedAnswer | bool] = dict.fromkeys(names, True)
        for begin in range(0, len(names), AT_ONCE):
            some = dict(islice(names.items(), begin, begin + AT_ONCE))
            try:
                replies = await self._place.run(script, list(some.values()), arguments)
            except Away as error:
                log.debug("not shared: %s", error)
                break
            opened = await self._opened(list(some.values()), replies)
            found |= {key: self._meaning(key, one) for key, one in zip(some, opened, strict=True)}
        return found

    async def _opened(self, names: Sequence[bytes], replies: Sequence[bytes | int]) -> list[Value | bool]:
        """Of replies what they hold: False where another one asks, True where nothing is there that is believed."""

        def opened() -> list[Value | bool]:
            return [
                bool(reply) if isinstance(reply, int) else self._place.seal.opened(name, reply) or self._doubted()
                for name, reply in zip(names, replies, strict=True)
            ]

        heavy = sum(len(reply) for reply in replies if not isinstance(reply, int)) > HEAVY
        return await trio.to_thread.run_sync(opened) if heavy else opened()

    def _doubted(self) -> bool:
        if not self._forged:
            self._forged = True
            log.warning("an answer in the shared cache was written by another, and is not used")
        return True

    def _meaning(self, key: Hashable, found: Value | bool) -> SharedAnswer | bool:
        """True, too, of what holds no more, or is too old after a refresh: another one takes its place."""
        if isinstance(found, bool):
            return found
        now = self._clock()
        there = self._place.clock.passed(now)
        age, left = max(0.0, there - found.arrived), found.expires - there
        if left <= 0 or self._refreshes.mean(key, now - age):
            return True
        return SharedAnswer(found.written, age, left, found.missing)

    # -- to bring --------------------------------------------------------------------------------------------------

    def keep(self, key: Hashable, value: bytes, lease: float, age: float = 0.0, *, missing: bool = False) -> None:
        """Takes an answer that holds for `lease` seconds more, to be sent at once in the background. `missing`: there
        is no such thing, and `value` says why."""
        if key_of(key) is None or lease <= 0 or self._place.away or not self._outbox.has_room(len(value)):
            return
        now = self._clock()
        self._outbox.put(Sent(self._name(key), value, now - age, now + min(lease, LONGEST), missing))
        self._claimed.discard(key)

    def settle(self, keys: Collection[Hashable]) -> None:
        """What of these was claimed and not kept does not come: others may ask."""
        for key in self._claimed.intersection(keys):
            self._claimed.discard(key)
            self._outbox.put(Sent(self._name(key), None))

    def drop_all(self, which: Which) -> None:
        """From now on what is there and older than this moment does not count for this one."""
        self._refreshes.note(which, self._clock())

    def forget(self, key: Hashable, before: float | None = None) -> None:
        """There is reason to doubt what is there, as far as it is older than this moment, or `before`."""
        self._refreshes.note_key(key, self._clock() if before is None else before)

    async def run(self) -> None:
        """Sends what is kept, and looks for what others ask for, until it is cancelled; then sends what is left."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._awaited.run)
                nursery.start_soon(self._outbox.run)
                nursery.start_soon(self._claimant.live, lambda: bool(self._claimed) or self._outbox.waits)
        finally:
            self.settle(list(self._claimed))
            await self._outbox.end()

    def _name(self, key: Hashable) -> bytes:
        return self._place.key("answer", str(FORMAT), key_of(key) or "")
