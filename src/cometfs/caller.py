"""For whom something is asked: a value that follows a request from the kernel down to the call that it costs.

Not here: what is made of it (budget.py counts, the tree decides what may wait).
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import NamedTuple


class Caller(NamedTuple):
    """Who wants something."""

    pid: int = 0
    """The program that waits; 0 where nobody is known."""
    ahead: bool = False
    """Whether nobody waits yet: it is fetched because somebody probably will."""


NOBODY = Caller()

AHEAD = Caller(ahead=True)

CALLER: ContextVar[Caller] = ContextVar("CALLER", default=NOBODY)
"""Tasks inherit it from where they are started, so a load is counted to who asked for it first."""
