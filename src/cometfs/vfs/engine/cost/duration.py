"""How long calls and bytes take: by the latency and the rate that were measured, and by the budget of calls.

Not here: how many they are (estimate.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from cometfs.telemetry.traffic import Traffic
from cometfs.vfs.answers.abreast import ABREAST

SECONDS = 0.1
"""That a call takes, where none was made yet."""

HOUR = 3600.0


class Duration(NamedTuple):
    """In seconds, of calls and bytes."""

    seconds: float
    paused: float
    """Of those, until the budget of calls has enough again."""
    rate: float | None
    """Bytes a second; None where it is not known: then `seconds` are those of the calls."""


def duration(calls: float, size: float, traffic: Traffic, budget: Mapping[str, Any] | None) -> Duration:
    """`budget`: as the status of a mount shows it; None where calls are not counted."""
    one = SECONDS if traffic.latency is None else traffic.latency
    busy = calls * one / ABREAST + (size / traffic.rate if traffic.rate else 0.0)
    lacking = max(0.0, calls - budget["left"]) if budget else 0.0
    paused = lacking * HOUR / budget["rate"] if budget and lacking else 0.0
    # Calls are made while the budget fills up.
    return Duration(max(busy, paused), max(0.0, paused - busy), traffic.rate)
