"""Writing to files, for all that keep some: what the system takes only in part is written on."""

from __future__ import annotations

import os
from collections.abc import Sequence

AT_ONCE = 1024
"""Chunks that the system takes with one call."""


def write_all(descriptor: int, piece: Sequence[bytes], offset: int) -> None:
    """All of `piece`, one after the other, at `offset`. Raises OSError."""
    left = [memoryview(chunk) for chunk in piece]
    while left:
        written = os.pwritev(descriptor, left[:AT_ONCE], offset)
        offset += written
        while left and written >= len(left[0]):
            written -= len(left.pop(0))
        if written:
            left[0] = left[0][written:]
