"""How many calls are left: a token bucket as a value, and what its numbers mean. Pure functions, without a clock.

Not here: where the bucket is kept (sqlite_bucket.py) and waiting for it (limiter.py).
"""

from __future__ import annotations

from typing import NamedTuple

from cometfs.caller import Urgency

HOUR = 3600.0

KEPT_BACK = {Urgency.WAITING: 0.0, Urgency.AHEAD: 0.2, Urgency.RENEWAL: 0.4}
"""The part of the bucket that each leaves alone: the last fifth is for programs that wait."""

LONGEST_SHUT = 60.0
"""Seconds that a bucket may be shut: beyond that the clock was set back."""


class Level(NamedTuple):
    """What was in the bucket at a moment; moments in seconds since 1970."""

    tokens: float
    at: float
    shut_until: float = 0.0
    """Before that nothing may be taken, whatever is in it: the server asked for that."""


def full(rate: float, now: float) -> Level:
    """A bucket that nothing was taken from."""
    return Level(float(rate), now)


def filled(level: Level, rate: float, now: float) -> Level:
    """The bucket at `now`: it holds an hour's calls at most and gains them evenly. A clock that was set back loses
    nothing."""
    gained = max(0.0, now - level.at) * rate / HOUR
    until = level.shut_until if now < level.shut_until <= now + LONGEST_SHUT else 0.0
    return Level(min(float(rate), level.tokens + gained), now, until)


def shut(level: Level, until: float) -> Level:
    """A bucket from which nothing may be taken before that; one that is shut for longer already stays so."""
    return level._replace(shut_until=max(until, level.shut_until))


def left(level: Level, rate: float, now: float) -> float:
    """The tokens that may be taken at `now`."""
    found = filled(level, rate, now)
    return 0.0 if found.shut_until else found.tokens


def taken(level: Level, rate: float, now: float, wanted: int) -> tuple[int, Level]:
    """How many of `wanted` whole tokens are given, and what is in the bucket then.

    When little is left they are given one by one, so that no mount sits on what another waits for.
    """
    found = filled(level, rate, now)
    have = int(left(found, rate, now))
    given = min(have, wanted if have - wanted > rate * KEPT_BACK[Urgency.AHEAD] else 1)
    return given, found._replace(tokens=found.tokens - given)


def shut_for(level: Level, rate: float, now: float) -> float:
    """Seconds that the bucket is still shut."""
    return max(0.0, filled(level, rate, now).shut_until - now)


def until_one(level: Level, rate: float, now: float) -> float:
    """Seconds until a token can be taken; 0 if one can now."""
    lacking = max(0.0, 1.0 - filled(level, rate, now).tokens) * HOUR / rate
    return max(shut_for(level, rate, now), lacking)


def until_full(level: Level, rate: float, now: float) -> float:
    """Seconds until the bucket is full if nothing is taken."""
    lacking = (rate - filled(level, rate, now).tokens) * HOUR / rate
    return max(shut_for(level, rate, now), lacking)
