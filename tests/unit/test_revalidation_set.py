"""Rows that are not to be believed: until Comet has told what is true, and never for ever."""

from __future__ import annotations

from typing import Any

import pytest

from cometfs.errors import Unreachable
from cometfs.vfs.answers.revalidation import LAST, RevalidationSet
from cometfs.vfs.schema.declaration import Context


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def at(name: str) -> Context:
    row: dict[str, Any] = {"experimentKey": name}
    return Context("", 0.0, (name,), experiment=row)


def test_a_row_is_doubted_until_what_is_true_is_told() -> None:
    """That row alone: one of a listing that came later is believed."""
    doubts, place = RevalidationSet(Clock()), at("a")
    doubts.add(place)
    assert place in doubts
    assert at("a") not in doubts
    with doubts.settled(place):
        assert place in doubts
    assert place not in doubts
    assert len(doubts) == 0


def test_what_is_doubted_while_it_is_asked_stays_so() -> None:
    """What is told then may be what was true before."""
    doubts, place = RevalidationSet(Clock()), at("a")
    doubts.add(place)
    with doubts.settled(place):
        doubts.add(place)
    assert place in doubts


def test_a_question_that_fails_settles_nothing() -> None:
    """It is asked again."""
    doubts, place = RevalidationSet(Clock()), at("a")
    doubts.add(place)
    with pytest.raises(Unreachable), doubts.settled(place):
        raise Unreachable("no network")
    assert place in doubts


def test_doubts_of_what_nobody_asks_for_end() -> None:
    """By then the listing has told the row anew; one that was doubted again lasts on."""
    clock = Clock()
    doubts, places = RevalidationSet(clock), [at(str(number)) for number in range(1000)]
    for place in places:
        doubts.add(place)
    clock.now = LAST / 2
    doubts.add(places[0])
    clock.now = LAST
    doubts.add(at("new"))
    assert len(doubts) == 2
    assert places[0] in doubts
