"""How deeply a value of JSON may be nested: what is read on a low stack must be written, and compared, on a high one.

Reading, taking secrets out, writing and comparing each take another number of frames for a level; Python has a
thousand. Nothing that Comet or comet_ml is known to send has ten levels.
"""

from __future__ import annotations

from typing import Any

DEEPEST = 64
"""Levels that are let in."""


def is_deep(found: Any) -> bool:
    """Whether it has more than `DEEPEST` levels."""
    level = [found]
    for _ in range(DEEPEST):
        members = (one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list))
        level = [one for several in members for one in several if isinstance(one, dict | list)]
    return bool(level)
