"""One call after the other, each kept with its status, headers, body and time; never more than a fixed number of them.

Not here: which calls (checks.py), and what their answers mean (findings.py).
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import trio

from cometfs.comet.address import Address
from cometfs.comet.calls import MOST, REDIRECTS, Calls
from cometfs.comet.downloads.spans import PLAIN
from cometfs.comet.http.encodings import ACCEPTED
from cometfs.comet.http.retries import retry_after
from cometfs.comet.http.transport import Reply, Transport
from cometfs.comet.question import Question, refusal
from cometfs.errors import CometFSError, DeadlineExceeded, Throttled

CALLS = 60
"""At most: a few of the 15,000 of an hour."""

DEADLINE = 30.0
"""Seconds for one answer: as long as a program in the mount waits."""

JSON = {"Accept": "application/json", "Accept-Encoding": ACCEPTED}

IN_TROUBLE = 500
"""Statuses from here on are asked for once more: they may pass."""


@dataclass(frozen=True)
class Answer:
    """What came of a call."""

    question: Question
    status: int = 0
    """0: none came."""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    seconds: float = 0.0
    at: float = 0.0
    """When it came, in seconds since 1970, by the clock of this machine."""
    error: CometFSError | None = None

    @property
    def kind(self) -> str:
        """Its media type."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def decoded(self) -> Any:
        """The JSON in it, in the words of a reader that takes NaN and halves of characters, too. Raises ValueError."""
        try:
            return json.loads(self.body)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error

    @property
    def is_strict(self) -> bool:
        """Whether its JSON is what every reader takes."""
        try:
            msgspec.json.decode(self.body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return False
        return True


class Asker:
    """Asks one server with one key. `answers` has all that came."""

    def __init__(self, calls: Calls, transport: Transport, api_key: str) -> None:
        self._calls, self._transport, self._api_key = calls, transport, api_key
        self.answers: list[Answer] = []
        self.throttled = False
        """Whether the server wants no more calls."""

    @property
    def may_ask(self) -> bool:
        return len(self.answers) < CALLS and not self.throttled

    @property
    def allowing(self) -> Mapping[str, str]:
        """Headers that let a call through to Comet."""
        return self._calls.allowing

    @property
    def address(self) -> Address:
        return self._calls.address

    async def ask(self, question: Question, headers: Mapping[str, str] = JSON) -> Answer:
        """The answer to `question`, the second one where the first says that the server is in trouble."""
        answer = await self._kept(question, self._calls.once(question, headers))
        if answer.status >= IN_TROUBLE and self.may_ask:
            answer = await self._kept(question, self._calls.once(question, headers))
        return answer

    async def ask_without_key(self, question: Question, url: str, headers: Mapping[str, str] = PLAIN) -> Answer:
        """What is at an address that needs no key: a storage, or a page of the server that is open."""
        return await self._kept(question, self._transport.send("GET", url, headers=headers))

    async def _kept(self, question: Question, sent: Any) -> Answer:
        begun = time.monotonic()
        answer = await self._answered(question, sent, begun)
        self.answers.append(answer)
        self.throttled = self.throttled or isinstance(answer.error, Throttled)
        return answer

    async def _answered(self, question: Question, sent: Any, begun: float) -> Answer:
        try:
            with trio.move_on_after(DEADLINE):
                return await self._read(question, await sent, begun)
        except CometFSError as error:
            return Answer(question, seconds=time.monotonic() - begun, at=time.time(), error=error)
        late = DeadlineExceeded(f"No answer within {DEADLINE:g} s to {question}")
        return Answer(question, seconds=time.monotonic() - begun, at=time.time(), error=late)

    async def _read(self, question: Question, reply: Reply, begun: float) -> Answer:
        came = time.monotonic() - begun, time.time()
        try:
            body = await reply.read(MOST)
        finally:
            await reply.aclose()
        error = None
        if reply.status not in {200, 206} | REDIRECTS:
            pause = retry_after(reply.headers, came[1])
            error = refusal(question, reply.status, body, self._api_key, pause)
        return Answer(question, reply.status, reply.headers, body, *came, error)
