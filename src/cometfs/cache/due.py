"""How long the caller waits that has started a load: what the load is made of must be there before.

Not here: what is shown when it is not (store.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import trio

_DUE: ContextVar[float] = ContextVar("DUE", default=math.inf)
"""Until when, on trio's clock."""


@contextmanager
def due() -> Iterator[None]:
    """Loads that the body starts know how long their caller waits."""
    before = _DUE.set(min(_DUE.get(), trio.current_effective_deadline()))
    try:
        yield
    finally:
        _DUE.reset(before)


def left_for_caller() -> float:
    """Seconds for which the caller waits; those of a caller that has gone do not count."""
    own, due = trio.current_effective_deadline() - trio.current_time(), _DUE.get() - trio.current_time()
    return own if due <= 0 else min(own, due)
