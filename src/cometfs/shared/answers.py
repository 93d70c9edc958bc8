"""Answers that several machines share: each is asked of Comet by one of them, and read by all while its lease holds.

An answer that is not there is claimed by the first that wants it; the others wait for it, and ask themselves when it
does not come. Not here: what is asked (cache/store.py), how a value stands there (sealed.py), what was refreshed
(refreshes.py).
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import AsyncIterator, Callable, Collection, Hashable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import islice
from typing import NamedTuple

import trio

from cometfs.cache.memory import Which
from cometfs.cache.persistent.rows import key_of
from cometfs.cache.persistent.schema import FORMAT
from cometfs.shared.place import Away, Full, Place
from cometfs.shared.refreshes import REMEMBERED, Refreshes
from cometfs.shared.scripts import CLAIM, GO_ON, PUT, RELEASE, RENEW
from cometfs.shared.sealed import Value

log = logging.getLogger(__name__)

CLAIM_HOLDS = 6.0
"""Seconds after which a claim of one that died is void. What lives renews its claims three times meanwhile."""

LONGEST_WAIT = 30.0
"""Seconds that one waits for what another asks for, at most."""

RENEWAL_HOLDS = 10.0
"""Seconds for which no other machine renews what one renews."""

NEWER = 1.0
"""Seconds that an answer must hold for longer than another to be the newer one."""

LONGEST = REMEMBERED
"""Seconds of a lease, at most: a refresh is held against all that was there."""

POLLS = (0.02, 0.05, 0.1, 0.2)
"""Seconds between two looks for what another asks for."""

AT_ONCE = 200
"""Answers that are looked for in one trip."""

HEAVY = 64 << 10
"""Bytes whose mark is made, or verified, in a thread."""

TOGETHER = 1 << 20
"""Bytes that go in one trip, before they are compressed."""

QUEUE = 64 << 20
"""Bytes that may wait to be sent; what does not fit is not shared."""


class SharedAnswer(NamedTuple):
    """Times in seconds."""

    value: bytes
    age: float
    left: float
    missing: bool = False
    """Whether the answer was that there is no such thing; `value` says why, then."""


class _Sent(NamedTuple):
    """Moments on trio's clock."""

    key: Hashable
    value: bytes | None
    """None: it does not come."""
    arrived: float = 0.0
    expires: float = 0.0
    missing: bool = False


class SharedAnswers:
    """For one mount or process."""

    def __init__(self, place: Place, clock: Callable[[], float] = trio.current_time) -> None:
        self._place, self._clock = place, clock
        self._claimant = uuid.uuid4().hex
        self._claimed: set[Hashable] = set()
        """What this one has promised to bring."""
        self._due: list[_Sent] = []
        self._waiting = 0
        """Bytes of it."""
        self._wake = trio.Event()
        self._refreshes = Refreshes()
        self._sending = False
        self._went_on = 0.0
        self.found = self.brought = 0
        self._full = self._forged = False
        """Whether that was logged."""

    @property
    def waits(self) -> bool:
        """Whether something is not sent yet."""
        return self._waiting > 0 or self._sending

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
        until, polls = self._clock() + min(patience, LONGEST_WAIT), iter(POLLS)
        while True:
            found = (await self.claim([key])).get(key, True)
            if isinstance(found, SharedAnswer):
                return found
            if found or self._clock() >= until:
                return None
            await trio.sleep(next(polls, POLLS[-1]))

    async def claim(self, keys: Sequence[Hashable]) -> Mapping[Hashable, SharedAnswer | bool]:
        """Of each key what is there, else whether it is this one's turn to ask for it (True), or another one asks
        (False). What is claimed must be settled. Keys that are not shared are this one's own."""
        names = {key: self._name(key) for key in keys if key_of(key) is not None}
        if not names:
            return dict.fromkeys(keys, True)
        found = await self._found(CLAIM, names, [str(int(CLAIM_HOLDS * 1000))])
        self._claimed.update(key for key, one in found.items() if one is True)
        self.found += sum(isinstance(one, SharedAnswer) for one in found.values())
        return {key: found.get(key, True) for key in keys}

    async def renewal(self, key: Hashable, left: float) -> SharedAnswer | bool:
        """The same for an answer that this one has, and that holds for `left` seconds more."""
        if key_of(key) is None:
            return True
        longer = str(int((min(left, LONGEST) + NEWER) * 1000))
        return (await self._found(RENEW, {key: self._name(key)}, [str(int(RENEWAL_HOLDS * 1000)), longer]))[key]

    async def _found(
        self, script: str, names: Mapping[Hashable, bytes], arguments: Sequence[str]
    ) -> dict[Hashable, SharedAnswer | bool]:
        found: dict[Hashable, SharedAnswer | bool] = dict.fromkeys(names, True)
        for begin in range(0, len(names), AT_ONCE):
            some = dict(islice(names.items(), begin, begin + AT_ONCE))
            try:
                replies = await self._place.run(script, list(some.values()), [self._claimant, *arguments])
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
        if key_of(key) is None or lease <= 0 or self._waiting + len(value) > QUEUE or self._place.away:
            return
        now = self._clock()
        self._put(_Sent(key, value, now - age, now + min(lease, LONGEST), missing))
        self._claimed.discard(key)

    def settle(self, keys: Collection[Hashable]) -> None:
        """What of these was claimed and not kept does not come: others may ask."""
        for key in self._claimed.intersection(keys):
            self._claimed.discard(key)
            self._put(_Sent(key, None))

    def drop_all(self, which: Which) -> None:
        """From now on what is there and older than this moment does not count for this one."""
        self._refreshes.note(which, self._clock())

    def forget(self, key: Hashable) -> None:
        """There is reason to doubt what is there."""
        self.drop_all(lambda other: other == key)

    async def run(self) -> None:
        """Sends what is kept until it is cancelled, and then once more."""
        try:
            while True:
                with trio.move_on_after(CLAIM_HOLDS / 3):
                    await self._wake.wait()
                self._wake = trio.Event()
                await self._send()
                await self._go_on()
        finally:
            with trio.CancelScope(shield=True), trio.move_on_after(1.0):
                self.settle(list(self._claimed))
                await self._send()

    async def _go_on(self) -> None:
        """Renews what is claimed and not yet there."""
        names = [self._name(key) for key in self._claimed]
        if names and trio.current_time() - self._went_on >= CLAIM_HOLDS / 3:
            self._went_on = trio.current_time()
            with suppress(Away):
                await self._place.run(GO_ON, names, [self._claimant, str(int(CLAIM_HOLDS * 1000))])

    def _put(self, sent: _Sent) -> None:
        self._due.append(sent)
        self._waiting += len(sent.value or b"")
        self._wake.set()

    async def _send(self) -> None:
        while self._due:
            taken = self._taken()
            self._sending = True
            try:
                await self._send_together(taken)
            except Away as error:
                log.debug("not shared: %s", error)
            except BaseException:  # the end has come meanwhile: it is sent once more
                self._due[:0] = taken
                self._waiting += _bytes(taken)
                raise
            finally:
                self._sending = False

    def _taken(self) -> list[_Sent]:
        """What goes in one trip."""
        room, count = TOGETHER, 0
        while count < len(self._due) and (room > 0 or not count):
            room -= len(self._due[count].value or b"")
            count += 1
        taken, self._due = self._due[:count], self._due[count:]
        self._waiting -= _bytes(taken)
        return taken

    async def _send_together(self, taken: Sequence[_Sent]) -> None:
        if not self._place.clock.known:
            await self._place.run(GO_ON, [], [self._claimant, "0"])
        # To compress a listing of thousands takes a while.
        puts, gone = await trio.to_thread.run_sync(self._sorted, taken)
        try:
            if puts:
                values = [part for _, value, until in puts for part in (value, until)]
                await self._place.run(PUT, [name for name, *_ in puts], [self._claimant, *values])
                self.brought += len(puts)
        except Full as error:
            self._note_full(str(error))
            gone += [name for name, *_ in puts]
        if gone:
            await self._place.run(RELEASE, gone, [self._claimant])

    def _sorted(self, taken: Sequence[_Sent]) -> tuple[list[tuple[bytes, bytes, str]], list[bytes]]:
        """What is put, by name, with the millisecond until which it holds; what does not come."""
        puts: list[tuple[bytes, bytes, str]] = []
        gone: list[bytes] = []
        for sent in taken:
            name, expires = self._name(sent.key), self._place.clock.written(sent.expires)
            sealed = None if sent.value is None else self._sealed(name, sent, sent.value, expires)
            if sealed is None:
                gone.append(name)
            else:
                puts.append((name, sealed, str(int(expires * 1000))))
        return puts, gone

    def _sealed(self, name: bytes, sent: _Sent, value: bytes, expires: float) -> bytes | None:
        arrived = self._place.clock.written(sent.arrived)
        return self._place.seal.sealed(name, Value(value, arrived, expires, sent.missing))

    def _note_full(self, why: str) -> None:
        if not self._full:
            self._full = True
            log.warning("the shared cache has no room for more answers: %s", why)

    def _name(self, key: Hashable) -> bytes:
        return self._place.key("answer", str(FORMAT), key_of(key) or "")


def _bytes(sent: Sequence[_Sent]) -> int:
    return sum(len(one.value or b"") for one in sent)
