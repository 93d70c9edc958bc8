"""The body of an answer, from Comet or from where it redirects.

Not here: one call and its tries (`calls`), which storages can be used (`storages`), the bytes as they come (`stream`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import trio

from cometfs.comet.calls import REDIRECTS, REFUSAL, Calls
from cometfs.comet.downloads.spans import CHANGED, WHOLE, Link, Span, Wanted, changed, placed, version_of
from cometfs.comet.downloads.storages import HOLDS, PASSES, StorageHosts
from cometfs.comet.downloads.stream import STALL, AssetPart, AssetStream
from cometfs.comet.http.transport import Reply
from cometfs.comet.question import Question, StorageInTrouble, storage_refusal, target_of
from cometfs.errors import AnswerTooLarge, CometFSError, NotAllowed, NotFound, Unintelligible, Unreachable, Unsupported

BODIES = 24
"""Downloads at once: fewer than there are connections, so that short calls always find one."""

SILENCE = 5.0
"""Seconds that a storage may take to answer, before Comet is asked for the bytes: some firewalls drop packets."""

PART_STALL = 3
"""Part of those seconds after which a part counts as broken: the next request goes on where it has ended, so that a
reader whose deadline is as long still gets its bytes."""

HOPS = 5
"""Redirects of one download."""


class Sent(NamedTuple):
    """A reply that has bytes, and the link that it came from: of a storage, "" where Comet itself has sent it."""

    reply: Reply
    url: str = ""


class Downloads:
    """Downloads by the calls of one Comet."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        # A reader waits no longer, and each further read of a body that has not ended waits again.
        self._stall = min(STALL, calls.deadline)
        self._bodies = trio.Semaphore(BODIES)
        self._storages = StorageHosts()

    @asynccontextmanager
    async def stream(self, question: Question) -> AsyncIterator[AssetStream]:
        """The body of the answer to `question`, wherever Comet redirects to. It must begin by the deadline."""
        self._calls.failures.check(question.key)
        due = trio.current_time() + self._calls.deadline
        reply = await self._begun(question, due)
        try:
            yield AssetStream(question, reply, due - trio.current_time(), self._stall)
        finally:
            try:
                await reply.aclose()
            finally:
                self._bodies.release()

    async def whole(self, question: Question, most: int) -> tuple[bytes, AssetStream]:
        """All of the body, and how it came. Raises AnswerTooLarge for more than `most` bytes, as soon as they come."""
        found: list[bytes] = []
        size = 0
        async with self.stream(question) as stream:
            async for chunk in stream:
                found.append(chunk)
                size += len(chunk)
                if size > most:
                    raise AnswerTooLarge(f"The answer has more than {most:,} bytes (asked {question})")
        return b"".join(found), stream

    @asynccontextmanager
    async def part(self, question: Question, link: Link, span: Span) -> AsyncIterator[AssetPart]:
        """A part of the body of the answer to `question`; `link` is where the last part came from."""
        self._calls.failures.check(question.key)
        due = trio.current_time() + self._calls.deadline
        with trio.move_on_at(due) as scope, self._calls.failures.remembering(question.key):
            reply, url = await self._calls.persistently(
                question, due, lambda: self._spanned(question, link, span.wanted(), due)
            )
        if scope.cancelled_caught:
            raise self._calls.too_late(question, self._calls.deadline)
        try:
            etag, at = version_of(question, span, reply, stored=bool(url)), placed(question, span, reply)
            stall = self._stall / PART_STALL
            stream = AssetStream(question, reply, stall, stall)
            yield AssetPart(stream, at, etag, bounded=bool(url) and reply.status == 206)
        finally:
            await reply.aclose()

    async def _begun(self, question: Question, due: float) -> Reply:
        """The reply whose body is wanted, holding one of the places for bodies."""
        with trio.CancelScope(deadline=due):
            await self._bodies.acquire()
            try:
                with self._calls.failures.remembering(question.key):
                    sent = await self._calls.persistently(question, due, lambda: self._followed(question, due, WHOLE))
                return sent.reply
            except BaseException:
                self._bodies.release()
                raise
        raise self._calls.too_late(question, self._calls.deadline)

    async def _spanned(self, question: Question, link: Link, wanted: Wanted, due: float) -> Sent:
        """The reply that has a part, from where the last one came from if that still gives it.

        Else Comet is asked, once for all parts that are on their way.
        """
        while link.url:
            used = link.url
            try:
                return Sent(await self._promptly(question, used, wanted, due), used)
            except (NotAllowed, NotFound, Unreachable):  # it has expired, or its storage is in trouble
                async with link.renewing:
                    if link.url == used:
                        return await self._linked(question, link, wanted, due)
        return await self._linked(question, link, wanted, due)

    async def _linked(self, question: Question, link: Link, wanted: Wanted, due: float) -> Sent:
        """The reply that has the bytes, by way of Comet; where it came from is kept in `link`."""
        sent = await self._followed(question, due, wanted)
        link.url = sent.url
        return sent

    async def _followed(self, question: Question, due: float, wanted: Wanted) -> Sent:
        """The reply that has the bytes. The key goes to Comet alone, not to where it redirects to."""
        asked = question if self._storages.usable else question.unredirected()
        reply = await self._calls.once(asked, wanted.of_comet)
        if reply.status not in REDIRECTS:
            return Sent(await self._accepted(asked, reply, wanted))
        target = await self._target(asked, self._calls.address_of(asked), reply)
        if asked.unredirected() == asked:
            return Sent(await self._from_storage(asked, target, wanted), target)
        if not self._storages.redirected(target):
            return await self._from_comet(asked, wanted)
        began = trio.current_time()
        try:
            return Sent(await self._promptly(asked, target, wanted, due), target)
        except (NotAllowed, Unreachable) as exc:
            error: CometFSError = exc
        except trio.Cancelled:
            if trio.current_time() - began > SILENCE / 2:  # the next reader would wait in vain, too
                self._storages.shun(target, Unreachable(f"The storage behind {asked} did not answer"), PASSES)
            raise
        return await self._instead(asked, target, error, wanted)

    async def _instead(self, question: Question, target: str, error: CometFSError, wanted: Wanted) -> Sent:
        """The bytes from Comet itself, which the storage at `target` did not give; that one is not tried for a while.

        Raises `error`, the storage's, where Comet redirects all the same.
        """
        try:
            sent = await self._from_comet(question, wanted)
        except (Unintelligible, Unsupported):
            raise error from None
        self._storages.shun(target, error, PASSES if isinstance(error, StorageInTrouble) else HOLDS)
        return sent

    async def _from_comet(self, question: Question, wanted: Wanted) -> Sent:
        asked = question.unredirected()
        return Sent(await self._accepted(asked, await self._calls.once(asked, wanted.of_comet), wanted))

    async def _promptly(self, question: Question, url: str, wanted: Wanted, due: float) -> Reply:
        """The reply of the storage at `url`. Raises Unreachable while there is still time to ask Comet itself."""
        now = trio.current_time()
        with trio.move_on_at(min(now + SILENCE, (now + due) / 2)):
            return await self._from_storage(question, url, wanted)
        raise Unreachable(f"The storage behind {question} did not answer in time")

    async def _from_storage(self, question: Question, url: str, wanted: Wanted) -> Reply:
        """The reply of the storage at `url`, or of where that leads."""
        for _ in range(HOPS):
            reply = await self._calls.sent(question, "GET", url, wanted.of_storage)
            if reply.status in wanted.accepted:
                return reply
            if reply.status not in REDIRECTS:
                await self._calls.drained(question, reply, reply.head(REFUSAL))
                if reply.status in CHANGED:
                    raise changed(question)
                raise storage_refusal(question, reply.status)
            url = await self._target(question, url, reply)
        raise Unintelligible(f"More than {HOPS} redirects came from {question}")

    async def _target(self, question: Question, url: str, reply: Reply) -> str:
        await self._calls.drained(question, reply, reply.head(REFUSAL))
        return target_of(question, url, reply.headers.get("location"))

    async def _accepted(self, question: Question, reply: Reply, wanted: Wanted) -> Reply:
        if reply.status in CHANGED:
            await self._calls.drained(question, reply, reply.head(REFUSAL))
            raise changed(question)
        if reply.status not in wanted.accepted:
            raise await self._calls.refused(question, reply)
        return reply
