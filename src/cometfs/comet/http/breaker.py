"""Whether a host is worth a call: a breaker that opens when connections to it fail, and closes when it answers again.

A few failures of connection in a row open it; from then on a call fails at once, also one that waits already, and a
probe asks now and then whether the host is back. A call that stayed without any answer until its deadline raises a
doubt, and the probe decides: a server may just be slow. Any answer closes the breaker, also one that refuses.

Not here: sending (`transport`), what else may be wrong with an answer (`question`), waiting as a 429 asks (quota/).
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from random import random
from typing import Any, NamedTuple

import trio

from cometfs.comet.http.retries import Transient
from cometfs.errors import CometFSError, Unreachable

log = logging.getLogger(__name__)

FAILURES = 4
"""Failures in a row that open it: as many as the tries of a call, so that a lost packet never does."""

LONG = 3.0
"""Seconds after which a failure is worth a probe by itself: packets are dropped, and each try costs as much."""

PROBE = 5.0
"""Seconds that a probe may take, and that calls wait for the one that decides a doubt."""

GRACE = 2.0
"""Seconds that a call waits for the first probe after a quiet time. A host that is well answers in less."""

FIRST = 0.5
"""Seconds until the first probe; each failed one doubles them."""

LAST = 10.0
"""Seconds between two probes at most, and so until a host that is back is used again."""

BRIEF = 1.0
"""Seconds to the next probe that a call waits for, instead of failing: a server that is started anew is back soon."""


class Outage(NamedTuple):
    """What keeps calls from a host."""

    host: str
    since: float
    """When the breaker opened, in seconds since 1970."""
    next_probe_in_s: float
    """Seconds; 0 where the next call is one."""
    probes: int
    """Those that failed."""
    error: str
    """The last failure, as a sentence."""

    def as_object(self) -> dict[str, Any]:
        """For JSON."""
        return self._asdict() | {"since": round(self.since), "next_probe_in_s": round(self.next_probe_in_s, 1)}


class Breaker:
    """Of one host. It is closed iff `_due` is None, in doubt iff it is not closed and `_since` is None; else open.

    Probes are made as long as calls ask for them, in `nursery`; without one the call that finds one due makes it.
    """

    def __init__(self, host: str, probe: Callable[[], Awaitable[None]], chance: Callable[[], float] = random) -> None:
        """`probe` returns when the host answers anything, and raises Transient where it does not."""
        self.host = host
        self.nursery: trio.Nursery | None = None
        self._probe, self._chance = probe, chance
        self._begun = self._counted = 0
        """Calls that were begun; those that had when the last failure was counted."""
        self._failures = 0
        self.heard_at = -math.inf
        """When something of it last came, on trio's clock."""
        self._since: float | None = None
        self._due: float | None = None
        """When the next probe is made."""
        self._patience = -math.inf
        """Until when calls wait for the decision."""
        self._probes = 0
        self._probing = self._wanted = False
        self._decided = trio.Event()
        self._error = ""
        self._waits: dict[trio.CancelScope, float] = {}
        """Those that wait for bytes, and until when they do so while it is open."""

    @property
    def outage(self) -> Outage | None:
        """None while calls go out."""
        if self._since is None or self._due is None:
            return None
        left = max(0.0, self._due - trio.current_time())
        return Outage(self.host, self._since, left, self._probes, self._error)

    # -- calls -----------------------------------------------------------------------------------------------------

    async def admit(self) -> None:
        """Returns when a call may go out. Raises Unreachable, at once or in a moment, while none may."""
        if self._due is None:
            return
        self._wanted = True
        await self._decision(self._due)
        if self._due is not None:
            raise Unreachable(self._refusal())

    def begin(self) -> int:
        """A call goes out; the number is for `failed`."""
        self._begun += 1
        return self._begun

    @contextmanager
    def waiting(self, patience: float = 0.0) -> Iterator[None]:
        """The body waits for bytes of the host: for so many seconds at most while no call goes out. Raises what `admit`
        raises then."""
        with trio.CancelScope() as scope:
            self._waits[scope] = trio.current_time() + patience
            if self._since is not None and self._probes:
                scope.deadline = self._waits[scope]
            try:
                yield
            finally:
                del self._waits[scope]
        if scope.cancelled_caught:
            raise Unreachable(self._refusal())

    def heard(self) -> None:
        """The host has answered."""
        self.heard_at = trio.current_time()
        self._failures, self._probes = 0, 0
        if self._since is not None:
            log.info("%s answers again, after %.0f s", self.host, time.time() - self._since)
        if self._due is not None:
            self._due = self._since = None
            for scope in self._waits:
                scope.deadline = math.inf
            self._decide()

    def came(self) -> None:
        """More of an answer has come. That opens no way for new calls, but it is no silence."""
        self.heard_at = trio.current_time()

    def failed(self, call: int, seconds: float, error: Transient) -> None:
        """A call could not be sent, or its connection broke, after so many seconds.

        Calls that were on their way together fail together: that is one failure.
        """
        if call <= self._counted:
            return
        self._counted, self._error = self._begun, str(error)
        self._failures += 1
        if self._due is not None:
            return
        if self._failures >= FAILURES:
            self._open(0.0)
        elif seconds >= LONG:
            self._doubt()

    def silent(self, seconds: float, error: CometFSError) -> None:
        """A call had no answer for so long, and was given up."""
        if self._due is None and self.heard_at <= trio.current_time() - seconds:
            self._error = str(error)
            self._doubt()

    # -- probes ----------------------------------------------------------------------------------------------------

    def _doubt(self) -> None:
        now = trio.current_time()
        self._due, self._patience = now, now + PROBE
        if self.nursery is not None:
            self._wanted = True
            self._start(self.nursery)

    def _open(self, took: float) -> None:
        """Or stay so. `took`: seconds that the last probe was waited for; a host that is silent is not waited for."""
        if self._since is None:
            self._since = time.time()
            log.info("%s does not answer: calls fail at once until it does (%s)", self.host, self._error)
        pause = min(LAST, FIRST * 2.0 ** min(self._probes, 60))
        self._due = trio.current_time() + pause * (1 + self._chance()) / 2
        self._patience = self._due + GRACE if pause <= BRIEF and took < GRACE else -math.inf
        # What waits may be answered yet where calls have failed and no probe has: by now it may be one endpoint.
        for scope, until in self._waits.items() if self._probes else ():
            scope.deadline = until
        if self._waits and self.nursery is not None:  # those wait for a probe, whether or not another call comes
            self._wanted = True
            self._start(self.nursery)
        self._decide()

    def _decide(self) -> None:
        self._decided.set()
        self._decided = trio.Event()

    async def _decision(self, due: float) -> None:
        """Returns when the next probe has ended, or when that is not worth a wait any more."""
        now = trio.current_time()
        if not self._probing and due <= now:
            self._patience = max(self._patience, now + GRACE)
        if self.nursery is not None:
            self._start(self.nursery)
        elif not self._probing and due <= self._patience:
            await self._probe_here(due)
            return
        with trio.move_on_at(self._patience):
            await self._decided.wait()

    def _start(self, nursery: trio.Nursery) -> None:
        if not self._probing:
            self._probing = True
            nursery.start_soon(self._probe_while_wanted)

    async def _probe_while_wanted(self) -> None:
        """A mount that is idle probes nothing."""
        try:
            while self._wanted and self._due is not None:
                with trio.move_on_at(self._due):
                    await self._decided.wait()
                    continue
                self._wanted = False
                await self._probe_once()
        finally:
            self._probing = False

    async def _probe_here(self, due: float) -> None:
        self._probing = True
        try:
            await trio.sleep_until(due)
            await self._probe_once()
        finally:
            self._probing = False

    async def _probe_once(self) -> None:
        began = trio.current_time()
        try:
            with trio.fail_after(PROBE):
                await self._probe()
        except (Transient, trio.TooSlowError) as error:
            if self._due is not None:  # else another call was answered meanwhile
                self._probes += 1
                self._error = str(error) or f"No answer within {PROBE:g} s from {self.host}"
                self._open(trio.current_time() - began)
        except CometFSError:  # of a certificate, say: it is there
            self.heard()
        else:
            self.heard()

    def _refusal(self) -> str:
        since = "" if self._since is None else f" since {time.strftime('%H:%M:%S', time.localtime(self._since))}"
        return f"{self.host} does not answer{since}; it is probed every {LAST:g} s: {self._error}"
