"""The bucket of an account's calls, shared by several machines.

While its place cannot be used, each goes on with a part of the budget: what was left and what comes in, divided by the
members that were seen last. Not here: waiting for a token (quota/limiter.py).
"""

from __future__ import annotations

import logging
import os
import socket
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from cometfs.caller import Urgency
from cometfs.quota.bucket import MINUTE, Account, Spent
from cometfs.quota.token_bucket import HOUR, KEPT_BACK, LONGEST_SHUT, Level, filled, full, shut, taken
from cometfs.shared.place import Away, Place
from cometfs.shared.scripts import SPENT, TAKE

log = logging.getLogger(__name__)

COUNTS = 900.0
"""Seconds for which a member counts after it took a token last."""

UNSEEN = 8
"""Members that are assumed where the place was never reached: a part too small waits, one too large is against the
promise."""


class SharedBucket:
    """For one mount or process. `_spent` is what the place does not know yet of this one's calls."""

    def __init__(self, place: Place, rate: float, wall: Callable[[], float] = time.time) -> None:
        self._place, self._rate, self._wall = place, float(rate), wall
        self._member = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._spent: Counter[Spent] = Counter()
        self._alone: Counter[Spent] = Counter()
        """All of this one's calls of the last hour."""
        self._returned = self._owed = 0.0
        """Tokens that the place does not have back yet; those that were taken alone."""
        self.members = 0
        """That were seen last; 0 before the first time."""
        self._level: Level | None = None
        """What this one may take alone; None while the place counts."""
        self._seen = full(rate, wall())
        """What was in the bucket when it was seen last."""

    @property
    def rate(self) -> float:
        """Calls an hour, all of the account's or, alone, this one's part."""
        return self._rate if self._level is None else self.share

    @property
    def share(self) -> float:
        """Calls an hour of this one alone."""
        return self._rate / (self.members or UNSEEN)

    async def take(self, wanted: int, spent: Mapping[Spent, int]) -> tuple[int, Level]:
        self._record(spent)
        try:
            given = await self._change(wanted)
        except Away:
            return self._taken_alone(wanted)
        return given, self._seen

    async def give_back(self, tokens: int, spent: Mapping[Spent, int]) -> None:
        self._record(spent)
        if self._level is not None:
            self._level = self._level._replace(tokens=min(self.share, self._level.tokens + tokens))
            self._owed -= tokens
            tokens = 0  # they were of its own part
        self._returned += tokens
        if not (self._returned or self._spent):
            return
        try:
            await self._change(0)
        except Away:
            log.debug("calls are written down later: %s", self._place.why)

    async def shut(self, until: float) -> Level:
        try:
            await self._change(0, max(0.0, until - self._wall()))
        except Away:
            self._level = shut(self._own(), until)
            return self._level
        return self._seen

    async def account(self) -> Account:
        try:
            found = await self._place.run(SPENT, [self._place.key("spent")], [])
            await self._change(0)
        except Away:
            return Account(self._own(), self.share, self._alone)
        return Account(self._seen, self._rate, self._parsed(found))

    def close(self) -> None:
        """The place is closed where it was opened."""

    def as_object(self) -> dict[str, Any]:
        """For `status.json`."""
        return {
            "server": self._place.address,
            "members": self.members,
            "away": self._place.why or None,
            "rate_alone": None if not self._place.why else round(self.share),
        }

    # -- the place -------------------------------------------------------------------------------------------------

    async def _change(self, wanted: int, shut_for: float = 0.0) -> int:
        """Takes, gives back and writes down in one step. Raises Away, and nothing is lost then."""
        spent, self._spent = self._spent, Counter()
        # Where the answer is lost, these are: then too few calls are made, not too many.
        returned, self._returned = self._returned, 0.0
        owed, self._owed = self._owed, 0.0
        anew = self._own().tokens * self.members if self._level else self._filled().tokens
        numbers = [self._rate, wanted, KEPT_BACK[Urgency.AHEAD], self._member, COUNTS, LONGEST_SHUT]
        numbers += [returned - owed, shut_for, anew]
        pairs = [part for one, calls in spent.items() for part in (msgspec.json.encode(one[1:]), str(calls))]
        keys = [self._place.key(name) for name in ("bucket", "members", "spent")]
        try:
            given, tokens, left, members = await self._place.run(TAKE, keys, [*map(str, numbers), *pairs])
        except BaseException:
            self._spent.update(spent)
            self._owed += owed
            raise
        now = self._wall()
        self._seen = Level(float(tokens), now, now + float(left) if float(left) > 0 else 0.0)
        self.members, self._level = int(members), None
        return int(given)

    def _parsed(self, found: list[bytes]) -> Mapping[Spent, int]:
        spent: Counter[Spent] = Counter()
        for minute, field, calls in zip(found[::3], found[1::3], found[2::3], strict=True):
            endpoint, command = msgspec.json.decode(field, type=tuple[str, str])
            spent[Spent(int(minute), endpoint, command)] += int(calls)
        return spent

    # -- alone -----------------------------------------------------------------------------------------------------

    def _own(self) -> Level:
        """What this one may take alone, now."""
        before = self._level
        if before is None:
            before = self._filled()
            before = before._replace(tokens=before.tokens / (self.members or UNSEEN))
        return filled(before, self.share, self._wall())

    def _filled(self) -> Level:
        """What is in the bucket now, as far as is known."""
        return filled(self._seen, self._rate, self._wall())

    def _taken_alone(self, wanted: int) -> tuple[int, Level]:
        given, self._level = taken(self._own(), self.share, self._wall(), wanted)
        self._owed += given
        return given, self._level

    def _record(self, spent: Mapping[Spent, int]) -> None:
        since = int((self._wall() - HOUR) // MINUTE)
        known = {one: calls for one, calls in self._alone.items() if one.minute > since}
        self._alone = Counter(known) + Counter(spent)
        self._spent.update(spent)
