"""How far the clock of a server is from this machine's. Pure functions."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from email.utils import parsedate_to_datetime

from cometfs.doctor.asking import Answer

HALF = 0.5
"""Seconds: ``Date`` has whole ones, cut off."""


def offset(answers: Iterable[Answer]) -> float | None:
    """Seconds that the server is ahead, on the whole; None where no answer says the time."""
    found = [one for answer in answers if (one := _ahead(answer)) is not None]
    return statistics.median(found) if found else None


def _ahead(answer: Answer) -> float | None:
    try:
        date = parsedate_to_datetime(answer.headers.get("date", "")).timestamp()
    except (ValueError, OverflowError):
        return None
    return date + HALF - (answer.at - answer.seconds / 2)
