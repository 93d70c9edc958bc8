"""Answers that several machines share: each is asked of Comet by one of them, and read by all while its lease holds.

An answer that is not there is claimed by the first that wants it; the others wait for it, and ask themselves when it
does not come. Each value has a mark made with the API key, without which it is not believed. What holds a link that
is a key by itself is not shared. Not here: what is asked (cache/store.py).
"""

from __future__ import annotations

import hashlib
import logging
import uuid
import zlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Collection, Hashable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

import trio

from cometfs.cache.memory import Which
from cometfs.cache.persistent.rows import key_of
from cometfs.cache.persistent.schema import FORMAT
from cometfs.shared.place import Away, Full, Place
from cometfs.shared.scripts import CLAIM, GO_ON, PUT, RELEASE, RENEW

log = logging.getLogger(__name__)

CLAIM_HOLDS = 6.0
"""Seconds after which a claim of one that died is void. What lives renews its claims three times meanwhile."""

LONGEST_WAIT = 30.0
"""Seconds that one waits for what another asks for, at most."""

RENEWAL_HOLDS = 10.0
"""Seconds for which no other machine renews what one renews."""

NEWER = 1.0
"""Seconds that an answer must hold for longer than another to be the newer one."""

LONGEST = 10.0**7
"""Seconds of a lease, at most: four months."""

POLLS = (0.02, 0.05, 0.1, 0.2)
"""Seconds between two looks for what another asks for."""

LARGEST = 8 << 20
"""Bytes of a value, compressed."""

TOGETHER = 1 << 20
"""Bytes that go in one trip, before they are compressed."""

QUEUE = 64 << 20
"""Bytes that may wait to be sent; what does not fit is not shared."""

MARK = 16
"""Bytes of a mark."""

DROPS = 50
"""Refreshes that are remembered, each held against what is found; of more, nothing is believed for as long."""

REMEMBERED = 3600.0
"""Seconds for which a refresh is remembered."""

LINKS = (b"X-Amz-Signature=", b"X-Goog-Signature=", b"&Signature=", b"&sig=", b"?sig=")
"""What stands in links that need no key: of S3, Google's, CloudFront's and Azure's storages."""


class SharedAnswer(NamedTuple):
    """Times in seconds."""

    value: bytes
    age: float
    left: float


class _Sent(NamedTuple):
    key: Hashable
    value: bytes | None
    """None: it does not come."""
    lease: float
    age: float


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
        self._dropped: OrderedDict[Which, float] = OrderedDict()
        """What was refreshed here, and when: what is older is not believed."""
        self._sending = False
        self._went_on = 0.0
        self.found = self.brought = 0
        self._full = False

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
        try:
            replies = await self._place.run(script, list(names.values()), [self._claimant, *arguments])
        except Away as error:
            log.debug("not shared: %s", error)
            return dict.fromkeys(names, True)
        return {key: self._meaning(key, reply) for key, reply in zip(names, replies, strict=True)}

    def _meaning(self, key: Hashable, reply: object) -> SharedAnswer | bool:
        if not isinstance(reply, list):
            return bool(reply)
        answer = self._opened(key, *reply)
        if answer is None:
            return True  # it is not believed, and another one takes its place
        return answer

    # -- to bring --------------------------------------------------------------------------------------------------

    def keep(self, key: Hashable, value: bytes, lease: float, age: float = 0.0) -> None:
        """Takes an answer that holds for `lease` seconds more, to be sent at once in the background."""
        if key_of(key) is None or lease <= 0 or any(link in value for link in LINKS):
            return
        if self._waiting + len(value) > QUEUE or self._place.away:
            return
        self._put(_Sent(key, value, lease, age))
        self._claimed.discard(key)

    def settle(self, keys: Collection[Hashable]) -> None:
        """What of these was claimed and not kept does not come: others may ask."""
        for key in self._claimed.intersection(keys):
            self._claimed.discard(key)
            self._put(_Sent(key, None, 0.0, 0.0))

    def drop_all(self, which: Which) -> None:
        """From now on what is there and older than this moment does not count for this one."""
        now = self._clock()
        while self._dropped and next(iter(self._dropped.values())) < now - REMEMBERED:
            self._dropped.popitem(last=False)
        if len(self._dropped) >= DROPS:
            self._dropped.clear()
            which = _every
        self._dropped[which] = now

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
        puts, gone = await trio.to_thread.run_sync(
            self._sorted, taken
        )  # to compress a listing of thousands takes a while
        try:
            if puts:
                values = [part for _, value, left in puts for part in (value, left)]
                await self._place.run(PUT, [name for name, *_ in puts], [self._claimant, *values])
                self.brought += len(puts)
        except Full as error:
            self._note_full(str(error))
            gone += [name for name, *_ in puts]
        if gone:
            await self._place.run(RELEASE, gone, [self._claimant])

    def _sorted(self, taken: Sequence[_Sent]) -> tuple[list[tuple[bytes, bytes, str]], list[bytes]]:
        """What is put, by name, with its milliseconds; what does not come."""
        puts: list[tuple[bytes, bytes, str]] = []
        gone: list[bytes] = []
        for sent in taken:
            name, sealed = self._name(sent.key), self._sealed(sent)
            if sealed is None:
                gone.append(name)
            else:
                puts.append((name, sealed, str(max(1, int(min(sent.lease, LONGEST) * 1000)))))
        return puts, gone

    def _note_full(self, why: str) -> None:
        if not self._full:
            self._full = True
            log.warning("the shared cache has no room for more answers: %s", why)

    # -- values ----------------------------------------------------------------------------------------------------

    def _name(self, key: Hashable) -> bytes:
        return self._place.key("answer", str(FORMAT), key_of(key) or "")

    def _sealed(self, sent: _Sent) -> bytes | None:
        """A mark, the milliseconds of the whole lease, and the value, compressed; None for what is not sent."""
        if sent.value is None:
            return None
        whole = int(min(sent.lease + sent.age, LONGEST) * 1000)
        body = whole.to_bytes(8, "big") + zlib.compress(sent.value, 1)
        return self._mark(sent.key, body) + body if len(body) <= LARGEST else None

    def _opened(self, key: Hashable, sealed: bytes, left_ms: int) -> SharedAnswer | None:
        """None for what was not sealed by one that has the key, or is too old after a refresh."""
        mark, body = sealed[:MARK], sealed[MARK:]
        if mark != self._mark(key, body):
            log.warning("an answer in the shared cache was written by another, and is not used")
            return None
        left = max(0.0, left_ms / 1000)
        age = max(0.0, int.from_bytes(body[:8], "big") / 1000 - left)
        return None if self._is_refreshed(key, age) else SharedAnswer(zlib.decompress(body[8:]), age, left)

    def _mark(self, key: Hashable, body: bytes) -> bytes:
        digest = hashlib.blake2b(key=self._place.secret, digest_size=MARK)
        digest.update((key_of(key) or "").encode())
        digest.update(body)
        return digest.digest()

    def _is_refreshed(self, key: Hashable, age: float) -> bool:
        arrived = self._clock() - age
        return any(arrived <= when and which(key) for which, when in self._dropped.items())


def _bytes(sent: Sequence[_Sent]) -> int:
    return sum(len(one.value or b"") for one in sent)


def _every(_key: Hashable) -> bool:
    return True
