"""Failures that took long, for those that queued behind them.

The kernel hands the lookups of a directory to a file system one after the other: thirty programs that want the same
name would each wait a deadline of its own, the last one for fifteen minutes. A program that asks again itself is
answered anew.

Not here: how long a call may take (`calls`), hosts that do not answer at all (`breaker`).
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

import trio

from cometfs.caller import CALLER
from cometfs.errors import Unreachable

LONG = 3.0
"""Seconds after which a failure is worth remembering."""

PART = 0.1
"""Of the time that it took: for so long it is remembered. What queues is there at once, what comes later is not it."""

MOST = 5.0
"""Seconds, whatever it took: by then the server may be well."""


@dataclass
class _Failure:
    error: Unreachable
    until: float
    shown_to: set[int] = field(default_factory=set)
    """Programs that it was the answer to."""


class SlowFailures:
    """Questions that were not answered a moment ago."""

    def __init__(self) -> None:
        self._lately: dict[Hashable, _Failure] = {}

    def check(self, question: Hashable) -> None:
        """Raises the failure of the same question, where another program waited for it just now."""
        if not self._lately:
            return
        self._drop_past()
        found, pid = self._lately.get(question), CALLER.get().pid
        if found is not None and pid not in found.shown_to:
            found.shown_to.add(pid)
            raise found.error.with_traceback(None)

    def remember(self, question: Hashable, error: Unreachable, seconds: float) -> None:
        """It took so long."""
        self._drop_past()
        if seconds >= LONG:
            until = trio.current_time() + min(MOST, seconds * PART)
            self._lately[question] = _Failure(error, until, {CALLER.get().pid})

    def _drop_past(self) -> None:
        now = trio.current_time()
        self._lately = {key: failure for key, failure in self._lately.items() if now < failure.until}
