"""Admission of calls: a waiting reader first, prefetches only while more than a fifth is left, renewals only while more
than two fifths are.

A mount takes tokens from the account's bucket a few at a time and records their use when it takes the next ones. Not
here: the bucket's arithmetic (token_bucket.py), its place (bucket.py), the calls themselves
(comet/calls.py)."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import trio

from cometfs.caller import CALLER, Caller, Urgency, command_of
from cometfs.errors import Throttled, Withheld
from cometfs.quota.bucket import MINUTE, Account, Bucket, Spent
from cometfs.quota.pauses import LONGEST, PauseKeeper, Pauses
from cometfs.quota.token_bucket import KEPT_BACK, Level, left, shut_for, until_full, until_one

AT_ONCE = 8
"""Tokens taken from the bucket in one transaction; a mount that is killed loses so many of 15,000."""

PATIENCE = 5.0
"""Seconds that a reader waits here for a token; a longer wait is an error at once, and the program decides."""

WRITE_EVERY = 2.0
"""Seconds after which calls are written down at the latest, for `cometfs status`."""

LAST = 2.0
"""Seconds that the last writing may take when the mount ends."""

COMMANDS = 256
"""Programs whose names are remembered."""


class Status(NamedTuple):
    """A budget at a moment; calls are those of the last hour."""

    rate: float
    used: int
    left: int
    full_in_s: float
    """Seconds until all may be used again, without further calls."""
    shut_for_s: float
    """Seconds that the server wants to be left alone."""
    by_endpoint: dict[str, int]
    by_command: dict[str, int]

    def as_object(self) -> dict[str, Any]:
        """For JSON."""
        return self._asdict() | {"full_in_s": round(self.full_in_s), "shut_for_s": round(self.shut_for_s)}


class Budget:
    """The calls of one account, for one mount. `_hand` tokens are taken from the bucket and not yet used."""

    def __init__(
        self, bucket: Bucket, wall: Callable[[], float] = time.time, pauses: PauseKeeper | None = None
    ) -> None:
        """`pauses`: those that other machines keep, too."""
        self._bucket = bucket
        self._wall = wall
        self._hand = 0
        self._level: Level | None = None
        self._spent: Counter[Spent] = Counter()
        self._turn = trio.Lock()
        self._short = False
        """Whether a reader waits for a token."""
        self._wake = trio.Event()
        self._pauses = pauses or Pauses()
        self._commands: dict[int, str] = {}

    async def admit(self, endpoint: str) -> None:
        """Returns when a call may be made, in the order of asking.

        Raises Throttled where that takes longer than `PATIENCE`; Withheld at once where no program waits for the answer
        and the rest is kept for those that do.
        """
        caller = CALLER.get()
        if not caller.waits and (self._short or not self.spare(caller.urgency)):
            raise Withheld("the calls that are left are kept for readers", self._until_one())
        await self._pauses.passed(endpoint)
        if self._hand < 1 or self._turn.locked():
            async with self._turn:
                await self._take(caller)
        self._hand -= 1
        self._spent[Spent(int(self._wall() // MINUTE), endpoint, self._command(caller))] += 1
        self._wake.set()

    def spare(self, urgency: Urgency = Urgency.AHEAD) -> bool:
        """Whether calls are left for what is no more urgent than that."""
        if self._level is None:
            return True  # unknown before the first taking, which finds out
        return left(self._level, self._bucket.rate, self._wall()) + self._hand > self._bucket.rate * KEPT_BACK[urgency]

    async def shut(self, endpoint: str, seconds: float) -> None:
        """The server answered 429: no call of that endpoint for so long; none at all where others answer so, too."""
        if await self._pauses.begin(endpoint, seconds):
            self._hand = 0
            until = self._wall() + min(seconds, LONGEST)
            self._level = await self._bucket.shut(until)

    def answered(self, endpoint: str) -> None:
        """The server answered a call."""
        self._pauses.answered(endpoint)

    async def run(self) -> None:
        """Writes down what was spent until it is cancelled, and then once more, with what was taken and not used."""
        try:
            while True:
                await self._wake.wait()
                self._wake = trio.Event()
                await trio.sleep(WRITE_EVERY)
                await self._bucket.give_back(0, self._written())
        finally:
            with trio.CancelScope(shield=True), trio.move_on_after(LAST):
                unused, self._hand = self._hand, 0
                await self._bucket.give_back(unused, self._written())
            self._bucket.close()

    async def status(self) -> Status:
        """What is used and left, of all mounts of the account."""
        await self._bucket.give_back(0, self._written())
        return status_of(await self._bucket.account(), self._wall(), self._hand)

    async def _take(self, caller: Caller) -> None:
        while self._hand < 1:
            if not caller.waits and not self.spare(caller.urgency):
                raise Withheld("the calls that are left are kept for readers", self._until_one())
            given, self._level = await self._bucket.take(AT_ONCE, self._written())
            self._hand += given
            if given:
                return
            pause = self._until_one()
            if not caller.waits:
                raise Withheld("no calls are left for what nobody waits for", pause)
            if pause > PATIENCE:
                raise Throttled(self._why(pause), pause)
            self._short = True
            try:
                await trio.sleep(pause)
            finally:
                self._short = False

    def _why(self, pause: float) -> str:
        """Why no call may be made for so long."""
        if self._level is not None and shut_for(self._level, self._bucket.rate, self._wall()):
            return f"Comet asked all mounts of the account for a pause: calls go on in {pause:.0f} s"
        return f"the account's calls are used up: the next one may be made in {pause:.0f} s"

    def _until_one(self) -> float:
        return 0.0 if self._level is None else until_one(self._level, self._bucket.rate, self._wall())

    def _written(self) -> Counter[Spent]:
        spent, self._spent = self._spent, Counter()
        return spent

    def _command(self, caller: Caller) -> str:
        if not caller.waits:
            return "readahead" if caller.urgency is Urgency.AHEAD else "renewal"
        if caller.pid not in self._commands:
            if len(self._commands) >= COMMANDS:
                self._commands.clear()
            self._commands[caller.pid] = command_of(caller.pid)
        return self._commands[caller.pid]


def status_of(account: Account, now: float, hand: int = 0) -> Status:
    """The status of an account; `hand`: tokens that were taken from its bucket and not used."""
    by_endpoint: Counter[str] = Counter()
    by_command: Counter[str] = Counter()
    for spent, calls in account.spent.items():
        by_endpoint[spent.endpoint] += calls
        by_command[spent.command] += calls
    return Status(
        account.rate,
        sum(by_endpoint.values()),
        # A bucket fills up behind what was taken from it and not used yet; no more than that is promised.
        min(int(left(account.level, account.rate, now)) + hand, int(account.rate)),
        until_full(account.level, account.rate, now),
        shut_for(account.level, account.rate, now),
        dict(by_endpoint.most_common()),
        dict(by_command.most_common()),
    )
