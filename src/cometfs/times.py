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
