"""What a text that is only added to becomes by a later answer, which may lack its end or its beginning. Pure functions.

Not here: when it is asked for again (answers/resolver.py, mountstate/follow.py).
"""

from __future__ import annotations

from typing import TypeVar

Text = TypeVar("Text", str, bytes)

OVERLAP = 256
"""How much of what was known must stand at the beginning of a later answer, at least, for it to go on there."""

TRIES = 64
"""Places that are looked at: what repeats itself has many."""


def continued(before: Text, after: Text, *, late: bool) -> Text | None:
    """What `before` has become: all that is known of it. None where `after` is something else.

    `late`: an answer that lacks the end comes from a server that is behind. One that lacks the beginning comes from a
    server that keeps only the end of what is long: it goes on where its beginning is found.
    """
    if after.startswith(before):
        return after
    if late and before.startswith(after):
        return before
    if len(after) < OVERLAP:
        return None
    return before if late and after in before else _rejoined(before, after)


def _rejoined(before: Text, after: Text) -> Text | None:
    head = after[:OVERLAP]
    start = before.find(head, max(1, len(before) - len(after)))
    for _ in range(TRIES):
        if start < 0:
            return None
        if after.startswith(before[start:]):
            return before[:start] + after
        start = before.find(head, start + 1)
    return None
