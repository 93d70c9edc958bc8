"""A server of Redis or Valkey that several machines share: scripts run on it, or a quick failure.

A server that does not answer within `PATIENCE` is left alone for a while (`PAUSES`): no reader waits for it again and
again. Not here: what is kept there (answers.py, bucket.py).
"""

from __future__ import annotations

import hashlib
import logging
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import coredis
import trio
from coredis.exceptions import RedisError, ResponseError
from coredis.retry import NoRetryPolicy

from cometfs.compat.coredis_noise import quiet
from cometfs.printable import without_password
from cometfs.shared.address import checked_address

log = logging.getLogger(__name__)

PATIENCE = 2.0
"""Seconds for one trip there; on a local network one takes about a millisecond."""

PAUSES = (1.0, 2.0, 5.0, 10.0)
"""Seconds until it is tried again, after so many failures in a row."""

CONNECTIONS = 8


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
    secret: bytes
    """Made of the API key: what has no mark made with it was written by another."""
    why: str = ""
    """Why it cannot be used, or nothing."""
    since: float = 0.0
    """When that began, on trio's clock."""
    _failures: int = 0
    _until: float = 0.0
    _scripts: dict[str, Any] = field(default_factory=dict)

    @property
    def away(self) -> bool:
        """Whether it is left alone now."""
        return trio.current_time() < self._until

    def key(self, *words: str) -> bytes:
        """A key of this account's: what it is about cannot be read from it."""
        kind, *rest = words
        digest = hashlib.blake2b("\0".join(rest).encode(), key=self.secret, digest_size=16).hexdigest()
        return f"{self.prefix}:{kind}:{digest}".encode() if rest else f"{self.prefix}:{kind}".encode()

    async def run(self, script: str, keys: Sequence[bytes], arguments: Sequence[bytes | str | float]) -> Any:
        """What the script returns. Raises Away."""
        if self.away:
            raise Away(self.why)
        try:
            with trio.fail_after(PATIENCE):
                found = await self._registered(script)(keys=keys, args=arguments)
        except ResponseError as error:
            if str(error).startswith("OOM"):
                raise Full(str(error)) from error
            self._fail(str(error))  # a wrong password, an old version
        except (RedisError, OSError, trio.TooSlowError) as error:
            self._fail(str(error) or f"no answer within {PATIENCE:g} s")
        else:
            self._recover()
            return found
        raise Away(self.why)

    def _registered(self, script: str) -> Any:
        if script not in self._scripts:
            self._scripts[script] = self.client.register_script(script)
        return self._scripts[script]

    def _fail(self, why: str) -> None:
        if not self.why:
            self.since = trio.current_time()
            log.warning("the shared cache at %s cannot be used, so this mount goes on alone: %s", self.address, why)
        pause = PAUSES[min(self._failures, len(PAUSES) - 1)]
        self.why, self._failures = why, self._failures + 1
        self._until = trio.current_time() + pause * random.uniform(0.8, 1.2)

    def _recover(self) -> None:
        if self.why:
            log.warning("the shared cache at %s is back", self.address)
        self.why, self._failures, self._until = "", 0, 0.0


@asynccontextmanager
async def open_place(address: str, account: str, api_key: str) -> AsyncIterator[Place]:
    """`account`: what no other account has, such as the name of its folder. Nothing is sent before it is used."""
    quiet()
    secret = hashlib.blake2b(api_key.encode(), person=b"cometfs shared", digest_size=32).digest()
    client = coredis.Redis.from_url(
        checked_address(address),
        connect_timeout=PATIENCE,
        max_connections=CONNECTIONS,
        retry_policy=NoRetryPolicy(),
        verify_version=False,
    )
    ended = trio.Event()
    async with trio.open_nursery() as nursery:
        await nursery.start(_kept_open, client, ended)
        try:
            yield Place(client, without_password(address), f"cometfs:1:{account}", secret)
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
