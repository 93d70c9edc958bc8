"""How patient a call is: what is worth another try, and how long to wait before it. Pure functions of values.

Not here: clocks, sleeping and sending (`calls`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from cometfs.errors import OutOfFiles, ServerFailed, Unreachable
from cometfs.text.numbers import number_of

RETRIES = 3
"""Tries after the first one; Comet's own Python client has as many."""

BASE = 0.5
"""Seconds: the most that the first wait lasts."""

CAP = 8.0
"""Seconds: the most that any wait lasts."""

PASSING = frozenset({408, 500, 502, 503, 504})
"""Statuses of a server in trouble that often answers a moment later; 408: it lost patience with a connection."""

UNSPECIFIED = 60.0
"""Seconds to wait after a 429 that does not say how long; what Comet's own Python client assumes."""

COURTESY = 0.5
"""Seconds waited on top of what a 429 asks for, as Comet's own client does: also what keeps a 429 that asks for zero
seconds from becoming a busy loop."""


class Transient(Unreachable):
    """No usable answer, for a reason that may have passed in a moment: worth another try.

    By itself the connection failed.
    """


class NoDescriptor(OutOfFiles, Transient):
    """This process has no descriptor left for a connection: nothing is wrong with the network."""


class InTrouble(Transient, ServerFailed):
    """The server was reached, and answered a status of `PASSING`."""


def backoff(attempt: int, chance: float, *, base: float = BASE, cap: float = CAP) -> float:
    """Seconds to wait after the failed try number `attempt` (from 0): exponential, with full jitter.

    `chance` in [0, 1) is the jitter: it picks a moment between at once and the whole of the exponential wait, so that
    many clients that failed together do not come back together.
    """
    return chance * min(cap, base * 2.0 ** min(attempt, 60))


def retry_after(headers: Mapping[str, str], now: float) -> float:
    """Seconds until a server that answered 429 wants to be asked again; `now` in seconds since 1970.

    ``Retry-After-Custom`` (seconds, with a fraction) is Comet's, ``Retry-After`` (seconds, or a date) HTTP's own.
    `headers` has its names in lower case.
    """
    asked = (_seconds(headers.get("retry-after-custom")), _seconds(headers.get("retry-after")))
    pause = next((seconds for seconds in asked if seconds is not None), None)
    if pause is None:
        pause = _until(headers.get("retry-after"), now)
    return UNSPECIFIED if pause is None else pause


def _seconds(text: str | None) -> float | None:
    seconds = number_of(text)
    return None if seconds is None or not math.isfinite(seconds) else max(0.0, seconds)


def _until(date: str | None, now: float) -> float | None:
    try:
        return max(0.0, parsedate_to_datetime(date or "").timestamp() - now)
    except (ValueError, OverflowError):
        return None
