"""Patience without a clock: how long to wait, by values alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cometfs.comet.http.retries import BASE, CAP, UNSPECIFIED, backoff, retry_after

NOW = 1_445_412_480.0
"""Wed, 21 Oct 2015 07:28:00 GMT."""


@given(st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_a_wait_lies_between_nothing_and_the_cap(attempt: int, chance: float) -> None:
    """Whatever the attempt and the jitter."""
    assert 0 <= backoff(attempt, chance) <= CAP


@given(st.floats(0, 1, exclude_max=True))
def test_waits_double_until_the_cap(chance: float) -> None:
    """Exponential, with the jitter over the whole of each wait."""
    assert [backoff(n, chance, base=1.0, cap=5.0) for n in range(5)] == [chance * most for most in (1, 2, 4, 5, 5)]


def test_the_first_wait_can_be_none_and_is_at_most_the_base() -> None:
    """Full jitter: clients that failed together come back spread out."""
    assert backoff(0, 0.0) == 0.0
    assert backoff(0, 0.999) < BASE


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after-custom": "1.25"}, 1.25),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after-custom": "1.25", "retry-after": "7"}, 1.25),
        ({"retry-after-custom": "soon", "retry-after": "7"}, 7.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:10 GMT"}, 10.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:27:00 GMT"}, 0.0),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "nan"}, UNSPECIFIED),
        ({"retry-after": "inf"}, UNSPECIFIED),
        ({"retry-after": ""}, UNSPECIFIED),
        ({"retry-after": "Wed, 99 Oct 2015 07:28:10 GMT"}, UNSPECIFIED),
        ({}, UNSPECIFIED),
    ],
)
def test_a_429_is_believed(headers: dict[str, str], seconds: float) -> None:
    """Comet's own header first, then everybody's, in seconds or as a date; else what Comet's own client assumes."""
    assert retry_after(headers, NOW) == seconds
