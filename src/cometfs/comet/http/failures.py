"""Failures of a moment ago, for those that queued behind them.

The kernel hands the lookups of a directory to a file system one after the other: thirty programs that want the same
name would each wait a deadline of its own, the last one for fifteen minutes, or cost a server that fails all the tries
of a call. A program that asks again itself is answered anew.

Not here: how long a call may take (`calls`), hosts that do not answer at all (`breaker`).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import trio

from cometfs.caller import CALLER
from cometfs.errors import AnswerTooLarge, CometFSError, NotAllowed, ServerFailed, Unintelligible, Unsupported

ANSWERS = (ServerFailed, NotAllowed, Unintelligible, Unsupported, AnswerTooLarge)
"""Failures that the server has answered with. Not so of connections, which the breaker knows about, and of a 429, which
says itself for how long."""

LONG = 3.0
"""Seconds after which a silence is worth remembering."""

PART = 0.1
"""Of the time that it took: for so long it is remembered. What queues is there at once, what comes later is not it."""

MOST = 5.0
"""Seconds, whatever it took, and those of an answer: by then the server may be well."""


@dataclass
class _Failure:
    error: CometFSError
    until: float
    shown_to: set[int] = field(default_factory=set)
    """Programs that it was the answer to."""


class RecentFailures:
    """Questions that failed a moment ago; None is none."""

    def __init__(self) -> None:
        self._lately: dict[Hashable, _Failure] = {}

    def check(self, question: Hashable) -> None:
        """Raises the failure of the same question, where it was another program's just now."""
        if not self._lately:
            return
        self._drop_past()
        found, pid = self._lately.get(question), CALLER.get().pid
        if found is not None and pid not in found.shown_to:
            found.shown_to.add(pid)
            raise found.error.with_traceback(None)

    @contextmanager
    def remembering(self, question: Hashable) -> Iterator[None]:
        """What the server answers to all tries of the body is remembered, where that is a failure."""
        try:
            yield
        except ANSWERS as error:
            self._keep(question, error, MOST)
            raise
        self._lately.pop(question, None)

    def silent(self, question: Hashable, error: CometFSError, seconds: float) -> None:
        """There was no answer for so long."""
        if seconds >= LONG:
            self._keep(question, error, min(MOST, seconds * PART))

    def _keep(self, question: Hashable, error: CometFSError, seconds: float) -> None:
        self._drop_past()
        if question is not None:
            self._lately[question] = _Failure(error, trio.current_time() + seconds, {CALLER.get().pid})

    def _drop_past(self) -> None:
        now = trio.current_time()
        self._lately = {key: failure for key, failure in self._lately.items() if now < failure.until}
