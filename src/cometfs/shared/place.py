"""A server of Redis or Valkey that several machines share: scripts run on it, or a quick failure.

A server that does not answer within `PATIENCE` is left alone, and tried again beside all else after `PAUSES`: no
reader waits for it a second time. Not here: what is kept there (answers.py, bucket.py).
"""

from __future__ import annotations

import hashlib
import logging
import random
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import coredis
import trio
from coredis.exceptions import NoScriptError, RedisError, ResponseError
from coredis.retry import NoRetryPolicy

from cometfs.compat.coredis_noise import quiet
from cometfs.errors import SetupError
from cometfs.shared.address import checked_address
from cometfs.shared.clock import ServerClock
from cometfs.shared.scripts import GO_ON
from cometfs.shared.sealed import Seal
from cometfs.text.printable import without_password

log = logging.getLogger(__name__)

PATIENCE = 2.0
"""Seconds for one trip there; on a local network one takes about a millisecond."""

LOOKS = 8
"""Times that it is looked meanwhile whether the time is over."""

PAUSES = (1.0, 2.0, 5.0, 10.0)
"""Seconds until it is tried again, after so many failures in a row."""

CONNECTIONS = 8
"""Trips at once; one more is for trying whether it is back."""


class Away(Exception):
    """The server cannot be used now."""


class Full(Away):
    """It has no memory for more; what needs none goes on."""


@dataclass
class Place:
    """What is kept for one account is under `prefix`, and nothing else is touched."""

    client: coredis.Redis[bytes]
    address: str
    """Without its password."""
    prefix: str
    seal: Seal
    """What has none was written by another."""
    probes: trio.Nursery
    """Where it is tried again, while all else goes on without it."""
    clock: ServerClock = field(default_factory=ServerClock)
    why: str = ""
    """Why it cannot be used, or nothing."""
    _failures: int = 0
    _failed: float = 0.0
    """When the last of them was seen."""
    _until: float = 0.0
    _trips: trio.Semaphore = field(default_factory=lambda: trio.Semaphore(CONNECTIONS))

    @property
    def away(self) -> bool:
        """Whether it is left alone now. Where it is time to try again, that is begun."""
        now = trio.current_time()
        if self.why and now >= self._until:
            self._until = now + PATIENCE  # what asks meanwhile begins no other
            self.probes.start_soon(self._probe)
        return bool(self.why)

    def key(self, *words: str) -> bytes:
        """A key of this account's: what it is about cannot be read from it."""
        kind, *rest = words
        return f"{self.prefix}:{kind}:{self.seal.digest(*rest)}".encode() if rest else f"{self.prefix}:{kind}".encode()

    async def run(self, script: str, keys: Sequence[bytes], arguments: Sequence[bytes | str | float]) -> Any:
        """What the script returns. Raises Away, at once where that is known."""
        if self.away:
            raise Away(self.why)
        async with self._trips:  # to wait for others to come back is no silence of the server's
            if self.why:
                raise Away(self.why)
            return await self._run(script, keys, arguments)

    async def _probe(self) -> None:
        with suppress(Away):
            await self._run(GO_ON, [], [])

    async def _run(self, script: str, keys: Sequence[bytes], arguments: Sequence[bytes | str | float]) -> Any:
        sent = trio.current_time()
        try:
            with self._patience():
                (seconds, micros), found = await self._evaluated(script, keys, arguments)
        except ResponseError as error:
            if str(error).startswith("OOM"):
                raise Full(str(error)) from error
            self._fail(str(error), sent)  # a wrong password, an old version
        except trio.TooSlowError as error:
            self._fail(str(error), sent)
        except (RedisError, OSError) as error:
            self._fail(_why(error) or "no connection", sent)
        else:
            self.clock.note(int(seconds) + int(micros) / 1e6, sent, trio.current_time())
            self._recover()
            return found
        raise Away(self.why)

    @contextmanager
    def _patience(self) -> Iterator[None]:
        """Ends its block after `PATIENCE`, with trio.TooSlowError. Time in which this process had no turn, or nothing
        but its own work, does not count: an answer that is there and was not read yet is no silence."""
        look = trio.CancelScope()
        with trio.CancelScope() as scope:
            self.probes.start_soon(_end_after_looks, scope, look)
            try:
                yield
            finally:
                look.cancel()
        if scope.cancelled_caught:
            raise trio.TooSlowError(f"no answer within {PATIENCE:g} s")

    async def _evaluated(self, script: str, keys: Sequence[bytes], arguments: Sequence[bytes | str | float]) -> Any:
        """By its digest; a server that has not seen it yet, or was started again, gets the whole in the next trip."""
        digest = hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()  # Redis names it so
        try:
            return await self.client.evalsha(digest, keys=keys, args=arguments)
        except NoScriptError:
            return await self.client.eval(script, keys=keys, args=arguments)

    def _fail(self, why: str, sent: float) -> None:
        if sent < self._failed:
            return  # it was on its way when another one failed
        if not self.why:
            log.warning("the shared cache at %s cannot be used, so this mount goes on alone: %s", self.address, why)
        pause = PAUSES[min(self._failures, len(PAUSES) - 1)]
        self.why, self._failures, self._failed = why, self._failures + 1, trio.current_time()
        self._until = self._failed + pause * random.uniform(0.8, 1.2)

    def _recover(self) -> None:
        if self.why:
            log.warning("the shared cache at %s is back", self.address)
        self.why, self._failures, self._until = "", 0, 0.0


async def _end_after_looks(scope: trio.CancelScope, look: trio.CancelScope) -> None:
    with look:
        for _ in range(LOOKS):
            await trio.sleep(PATIENCE / LOOKS)
        scope.cancel()


@asynccontextmanager
async def open_place(address: str, account: str, api_key: str) -> AsyncIterator[Place]:
    """`account`: what no other account has, such as the name of its folder. Nothing is sent before it is used. Raises
    SetupError."""
    quiet()
    client = coredis.Redis.from_url(
        checked_address(address),
        decode_components=True,
        **_tls(address),
        connect_timeout=PATIENCE,
        max_connections=CONNECTIONS + 1,
        retry_policy=NoRetryPolicy(),
        verify_version=False,
    )
    ended = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(_kept_open, client, ended)
        try:
            async with trio.open_nursery() as probes:
                yield Place(client, without_password(address), f"cometfs:2:{account}", Seal(api_key), probes=probes)
                probes.cancel_scope.cancel()
        finally:
            ended.set()


async def _kept_open(
    client: coredis.Redis[bytes], ended: trio.Event, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Keeps connections until what is sent at the very end is sent, also where all is cancelled."""
    with trio.CancelScope(shield=True):
        async with client:
            task_status.started()
            await ended.wait()


def _tls(address: str) -> dict[str, Any]:
    """What verifies the server of an address, its name too, which the library by itself does not."""
    parts = urlsplit(address)
    files = dict(parse_qsl(parts.query))
    if parts.scheme != "rediss":
        return {}
    try:
        context = ssl.create_default_context(cafile=files.get("ssl_ca_certs"))
        if "ssl_certfile" in files:
            context.load_cert_chain(files["ssl_certfile"], files.get("ssl_keyfile"))
    except OSError as error:
        raise SetupError(f"the certificates of {without_password(address)!r} cannot be used: {error}") from error
    return {"ssl_context": context}


def _why(error: BaseException) -> str:
    """What it is at last: the library only says that there is no connection."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause.exceptions[0] if isinstance(cause, BaseExceptionGroup) else cause
    return str(error)
