"""Moments as text: milliseconds since 1970, as Comet has them, in UTC."""

from __future__ import annotations

from datetime import UTC, datetime


def in_utc(milliseconds: float, timespec: str) -> str | None:
    """``2026-01-31 17:05:09.250``, as exact as `timespec` says (see `datetime.isoformat`), without the zone.

    None for a moment that no calendar has: programs log any number as a time.
    """
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).replace(tzinfo=None).isoformat(" ", timespec)
    except (OverflowError, ValueError, OSError):
        return None


def spoken(seconds: float) -> str:
    """A span as people say it: "40 s", "12 min", "3 h", "8 days"."""
    for limit, unit, word in ((120, 1, "s"), (7200, 60, "min"), (48 * 3600, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit:.0f} {word}"
    return f"{seconds / 86400:.0f} days"
