"""Moments as text."""

from __future__ import annotations

import pytest

from cometfs.render.cells import moment
from cometfs.server.read_api.query import _moment
from cometfs.text.times import in_utc

NEVER = [1e18, -1e18, 1e300, float("inf"), float("nan")]
"""Milliseconds that no calendar has."""


@pytest.mark.parametrize(
    ("milliseconds", "timespec", "text"),
    [
        (0, "seconds", "1970-01-01 00:00:00"),
        (1_769_879_109_250, "seconds", "2026-01-31 17:05:09"),
        (1_769_879_109_250, "milliseconds", "2026-01-31 17:05:09.250"),
        (1_769_879_109_250, "auto", "2026-01-31 17:05:09.250000"),
        (1_769_879_109_000, "auto", "2026-01-31 17:05:09"),
    ],
)
def test_a_moment_is_as_exact_as_is_asked_for(milliseconds: float, timespec: str, text: str) -> None:
    """In UTC, and cut, not rounded."""
    assert in_utc(milliseconds, timespec) == text
    assert in_utc(milliseconds + 0.9, "seconds") == text[:19]


@pytest.mark.parametrize("milliseconds", NEVER)
def test_what_no_calendar_has_is_no_text(milliseconds: float) -> None:
    """A run that logged such a time costs a query of its project nothing but its own time."""
    assert in_utc(milliseconds, "seconds") is None
    assert moment(milliseconds) == ""


def test_a_query_is_told_the_zone() -> None:
    """And nothing of a run whose time is none."""
    assert _moment(1_769_879_109_250) == "2026-01-31 17:05:09.250000+00:00"
    assert _moment(10**18) is None
