"""Calls: a question is sent, sent again while that may help, and ends by its deadline in an answer or in our error.

Not here: HTTP (`transport`), what refusals mean (`question`), what answers mean (`models`).
"""

from __future__ import annotations

import logging
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from typing import Any, Protocol, TypeVar

import msgspec
import trio

from cometfs.caller import PATIENCE
from cometfs.comet.address import Address
from cometfs.comet.answers.shapes import UNREADABLE, mending, noting
from cometfs.comet.http.encodings import ACCEPTED
from cometfs.comet.http.failures import RecentFailures
from cometfs.comet.http.large_answers import LARGE, LargeAnswers, Place
from cometfs.comet.http.retries import COURTESY, Transient, backoff, retry_after
from cometfs.comet.http.sniffing import is_cut_json, is_page
from cometfs.comet.http.transport import Reply, Transport
from cometfs.comet.question import Question, elsewhere, refusal, words_in
from cometfs.connectivity import OFFLINE
from cometfs.errors import (
    AnswerTooLarge,
    CometFSError,
    DeadlineExceeded,
    PageInstead,
    Throttled,
    Unintelligible,
    Unreachable,
    Withheld,
)
from cometfs.telemetry.traffic import Traffic

log = logging.getLogger(__name__)

T = TypeVar("T")

MOST = 64 << 20
"""Bytes of an answer, decoded, that are held in memory: as Python's objects they take five times as many."""

REFUSAL = 64 << 10
"""Bytes of a refusal that are looked at; Comet's have some hundred."""

TOO_MANY = 429

REDIRECTS = frozenset({301, 302, 303, 307, 308})


class Gate(Protocol):
    """Asked before each call to Comet: it waits or refuses, as its own budget says."""

    async def admit(self, endpoint: str) -> None:
        """Returns when a call may be made. Raises Throttled where that is not soon."""

    async def shut(self, endpoint: str, seconds: float) -> None:
        """The server wants no such calls for so long."""

    def answered(self, endpoint: str) -> None:
        """The server answered a call."""


class Open:
    """A gate that lets everything out."""

    async def admit(self, endpoint: str) -> None:  # noqa: ARG002
        await trio.lowlevel.checkpoint()

    async def shut(self, endpoint: str, seconds: float) -> None:  # noqa: ARG002
        await trio.lowlevel.checkpoint()

    def answered(self, endpoint: str) -> None:
        pass


class Closed:
    """A gate that lets nothing out."""

    async def admit(self, endpoint: str) -> None:
        await trio.lowlevel.checkpoint()
        raise Unreachable(f"{endpoint} is not asked: {OFFLINE}")

    async def shut(self, endpoint: str, seconds: float) -> None:  # noqa: ARG002
        await trio.lowlevel.checkpoint()

    def answered(self, endpoint: str) -> None:
        pass


class Calls:
    """Asks one Comet with one key."""

    def __init__(
        self,
        address: Address,
        api_key: str,
        transport: Transport,
        *,
        deadline: float,
        chance: Callable[[], float] = random.random,
        gate: Gate | None = None,
        allowing: Mapping[str, str] | None = None,
        traffic: Traffic | None = None,
    ) -> None:
        """`deadline` in seconds; `gate`: asked before every try of a call; `allowing`: headers that let a
        call through to Comet; `traffic`: counts what is on its way."""
        self.address = address
        self.traffic = traffic or Traffic()
        self.allowing = allowing or {}
        self._gate = gate or Open()
        self._api_key = api_key
        self._transport = transport
        self.breaker = transport.breaker(address.rest, self.allowing)
        self.deadline = deadline
        self._chance = chance
        self.failures = RecentFailures()
        self._logged: set[str] = set()
        self._large = LargeAnswers()

    async def ask(self, question: Question, read: Callable[[bytes], T], *, exact: bool = False) -> T:
        """The answer to `question`, as `read` understands its body; `exact`: without a lone surrogate mended."""
        with _about(question):
            return await self._ask(question, read, exact=exact)

    async def _ask(self, question: Question, read: Callable[[bytes], T], *, exact: bool) -> T:
        self.failures.check(question.key)
        now, patience = trio.current_time(), PATIENCE.get()
        due = now + self.deadline
        with trio.CancelScope(deadline=min(due, now + patience)) as scope:
            async with self._large.place() as place:

                async def answered() -> bytes:
                    try:
                        reply = await self._replied(question)
                    except Throttled as exc:
                        # To wait as long as it says is no silence of the server's.
                        scope.deadline = min(due, scope.deadline + exc.retry_after + COURTESY)
                        raise
                    scope.deadline = due  # what arrives may take its time
                    return await self._read(question, reply, place)

                with self.failures.remembering(question.key):
                    body = await self.persistently(question, due, answered)
                    return await self.understood(question, body, read if exact else mending(read))
        raise self.too_late(question, min(patience, self.deadline))

    async def aclose(self) -> None:
        """Close every connection."""
        await self._transport.aclose()

    @property
    def answering(self) -> dict[str, bool]:
        return self._transport.answering()

    def probing(self, nursery: trio.Nursery) -> AbstractContextManager[None]:
        return self._transport.probing(nursery)

    def too_late(self, question: Question, seconds: float) -> DeadlineExceeded:
        error = DeadlineExceeded(f"No answer within {seconds:g} s to {question}")
        if seconds >= self.deadline:
            self.breaker.silent(seconds, error)
            self.failures.silent(question.key, error, seconds)
        return error

    # -- one try after the other -----------------------------------------------------------------------------------

    async def persistently(self, question: Question, due: float, attempt: Callable[[], Awaitable[T]]) -> T:
        for number in count():
            try:
                with _about(question):
                    return await attempt()
            except Withheld:
                raise  # nothing waits for a prefetch: a reader that comes asks again
            except (Transient, Throttled) as exc:
                pause = self._pause(exc, number, question.retries)
                if pause is None or trio.current_time() + pause >= due:
                    raise
            await trio.sleep(pause)
        raise AssertionError("count() has no end")

    def _pause(self, exc: CometFSError, number: int, retries: int) -> float | None:
        """Seconds until the next try; None when there shall be none. Only the deadline ends obedience to a 429."""
        if isinstance(exc, Throttled):
            return exc.retry_after + COURTESY
        return backoff(number, self._chance()) if number < retries else None

    # -- one try ---------------------------------------------------------------------------------------------------

    async def once(self, question: Question, headers: Mapping[str, str]) -> Reply:
        """Comet's own reply to one try, whatever its status; its owner closes it. The key is sent only here."""
        with _naming(question):
            await self.breaker.admit()  # a call that is not made is not counted
        await self._gate.admit(question.endpoint)
        self.traffic.calls[question.endpoint] += 1
        began, outcome = trio.current_time(), "given up"
        try:
            reply = await self._asked(question, headers)
            outcome = str(reply.status)
        except CometFSError as exc:
            outcome = type(exc).__name__
            raise
        finally:
            self._note(question.endpoint, outcome, trio.current_time() - began)
        if reply.status != TOO_MANY:
            self._gate.answered(question.endpoint)
        return reply

    def _note(self, endpoint: str, outcome: str, seconds: float) -> None:
        """Takes note of a call; `seconds`: until its headers came."""
        self.traffic.outcomes[endpoint, outcome] += 1
        if log.isEnabledFor(logging.DEBUG):
            fields = {"endpoint": endpoint, "status": outcome, "seconds": round(seconds, 3)}
            log.debug("%s: %s in %.3f s", endpoint, outcome, seconds, extra=fields)

    async def _asked(self, question: Question, headers: Mapping[str, str]) -> Reply:
        url = self.address_of(question)
        headers = {**headers, **self.allowing, "Authorization": self._api_key}
        if question.body is None:
            return await self.sent(question, "GET", url, headers, query=question.query)
        headers["Content-Type"] = "application/json;charset=utf-8"
        return await self.sent(question, "POST", url, headers, body=msgspec.json.encode(question.body))

    def address_of(self, question: Question) -> str:
        return self.address.rest + question.endpoint

    async def sent(self, question: Question, method: str, url: str, headers: Mapping[str, str], **rest: Any) -> Reply:
        request = self.traffic.begin(question.endpoint, str(question))
        try:
            with _naming(question):
                reply = await self._transport.send(method, url, headers=headers, **rest)
        except BaseException:
            request.end()
            raise
        reply.request = request
        return reply

    async def _replied(self, question: Question) -> Reply:
        """The reply, when it is an answer."""
        reply = await self.once(question, {"Accept": "application/json", "Accept-Encoding": ACCEPTED})
        if reply.status != 200:
            raise await self.refused(question, reply)
        return reply

    async def _read(self, question: Question, reply: Reply, place: Place) -> bytes:
        """The body of an answer."""
        body = await self.drained(question, reply, reply.read(question.most or MOST, LARGE, place.take))
        if reply.close_delimited and is_cut_json(body):
            raise Transient(f"The connection ended before all of the answer to {question} had come")
        return body

    async def drained(self, question: Question, reply: Reply, body: Awaitable[bytes]) -> bytes:
        try:
            return await body
        except (Unreachable, Unintelligible, AnswerTooLarge) as exc:
            raise type(exc)(f"{exc} (asked {question})") from exc
        finally:
            await reply.aclose()

    async def refused(self, question: Question, reply: Reply) -> CometFSError:
        body = await self.drained(question, reply, reply.head(REFUSAL))
        error = self._refusal(question, reply, body)
        if isinstance(error, Throttled):
            await self._gate.shut(question.endpoint, error.retry_after)
        return error

    def _refusal(self, question: Question, reply: Reply, body: bytes) -> CometFSError:
        if reply.status in REDIRECTS:
            return elsewhere(question, reply.headers.get("location", ""))
        return refusal(question, reply.status, body, self._api_key, retry_after(reply.headers, time.time()))

    async def understood(self, question: Question, body: bytes, read: Callable[[bytes], T]) -> T:
        """What `read` makes of a body; what it leaves out is logged, once."""
        with noting() as left_out:
            try:
                found = await self._large.read(read, body)
            except AnswerTooLarge as exc:
                raise AnswerTooLarge(f"The answer of {question} is not held in memory: {exc}") from exc
            except UNREADABLE as exc:
                words = words_in(body, self._api_key) if len(body) <= REFUSAL else ""
                raise _misunderstood(question, body, exc, words) from exc
        if left_out:
            self._log_once(str(question), left_out)
        return found

    def _log_once(self, question: str, left_out: Counter[str]) -> None:
        """Of a listing that is asked for every minute a line each time would bury all others."""
        if question not in self._logged:
            self._logged.add(question)
            rows = left_out.total()
            fields = {"endpoint": question.partition(" ")[0]}
            log.warning(
                "%s: %s rows that cannot be read are left out (%s)", question, rows, "; ".join(left_out), extra=fields
            )


def _misunderstood(question: Question, body: bytes, exc: Exception, words: str) -> Unintelligible:
    if is_page(body):
        return PageInstead(f"An HTML page came instead of an answer of {question}: a login page, or a proxy's?")
    reason = "it is nested too deeply" if isinstance(exc, RecursionError) else str(exc)
    return Unintelligible(f"The answer of {question} is not what it should be: {reason}{words}")


@contextmanager
def _about(question: Question) -> Iterator[None]:
    """Errors leave the body with the endpoint, for the log."""
    try:
        yield
    except CometFSError as exc:
        exc.endpoint = question.endpoint
        raise


@contextmanager
def _naming(question: Question) -> Iterator[None]:
    """Errors of the connection leave the body with what was asked."""
    try:
        yield
    except (Unreachable, Unintelligible) as exc:
        raise type(exc)(f"{exc} (asked {question})") from exc
