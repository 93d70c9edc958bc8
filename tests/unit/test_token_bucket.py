"""The bucket of calls: how much it holds, gains and gives, whatever the clock does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cometfs.caller import Urgency
from cometfs.quota.token_bucket import (
    KEPT_BACK,
    Level,
    filled,
    full,
    left,
    shut,
    shut_for,
    taken,
    until_full,
    until_one,
)

RATE = 15_000.0
NOW = 1_800_000_000.0

levels = st.builds(Level, st.floats(0, RATE), st.floats(NOW - 10_000, NOW + 10_000), st.just(0.0))
moments = st.floats(NOW - 10_000, NOW + 10_000)


def test_an_hour_fills_it() -> None:
    """And not before."""
    empty = Level(0.0, NOW)
    assert left(empty, RATE, NOW + 3600) == RATE
    assert left(empty, RATE, NOW + 1800) == RATE / 2
    assert until_full(empty, RATE, NOW) == 3600


@given(levels, moments)
def test_it_holds_an_hour_of_calls_at_most(level: Level, now: float) -> None:
    """However long nobody called."""
    assert 0 <= left(level, RATE, now) <= RATE


@given(levels, moments, st.integers(0, 100))
def test_no_more_is_given_than_is_there(level: Level, now: float, wanted: int) -> None:
    """Whole tokens, and they are gone afterwards."""
    given_, after = taken(level, RATE, now, wanted)
    assert 0 <= given_ <= min(wanted or 1, left(level, RATE, now))
    assert after.tokens == filled(level, RATE, now).tokens - given_


def test_the_last_fifth_is_given_one_by_one() -> None:
    """So that no mount sits on what another waits for."""
    assert taken(full(RATE, NOW), RATE, NOW, 8)[0] == 8
    assert taken(Level(RATE * KEPT_BACK[Urgency.AHEAD], NOW), RATE, NOW, 8)[0] == 1
    assert taken(Level(0.5, NOW), RATE, NOW, 8)[0] == 0


@given(levels)
def test_a_clock_that_is_set_back_loses_nothing(level: Level) -> None:
    """And gains nothing."""
    assert left(level, RATE, level.at - 5000) == level.tokens


def test_while_it_is_shut_nothing_is_given() -> None:
    """Whatever is in it; afterwards it is as it was."""
    level = shut(full(RATE, NOW), NOW + 30)
    assert taken(level, RATE, NOW + 29, 8)[0] == 0
    assert until_one(level, RATE, NOW + 10) == shut_for(level, RATE, NOW + 10) == 20
    assert taken(level, RATE, NOW + 30, 8)[0] == 8
    assert shut(level, NOW + 10).shut_until == NOW + 30


def test_a_shut_bucket_opens_after_a_minute_at_the_latest() -> None:
    """A clock that was set back by a day must not keep everybody out for a day."""
    level = shut(full(RATE, NOW), NOW + 30)
    assert taken(level, RATE, NOW - 86400, 8)[0] == 8


@given(levels, moments)
def test_until_one_is_when_one_is_given(level: Level, now: float) -> None:
    """Neither sooner nor later."""
    level = filled(level, RATE, now)
    pause = until_one(level, RATE, now)
    assert taken(level, RATE, now + pause + 1e-3, 1)[0] == 1
    if pause > 0.1:
        assert taken(level, RATE, now + pause - 0.1, 1)[0] == 0
