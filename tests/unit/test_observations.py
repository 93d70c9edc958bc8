"""What is learned by the way about how to ask: when one metric is asked for, and when all of an experiment."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cometfs.lease import LISTING, Lease
from cometfs.vfs.answers import observations
from cometfs.vfs.answers.observations import Observations
from cometfs.vfs.engine.scope import Scope
from cometfs.vfs.schema.declaration import Context
from cometfs.vfs.sources.metrics import METRIC, SHEETS
from cometfs.vfs.sources.parameters import of_project

LIVE = Lease(5.0)
PROJECT = {"projectId": "p"}


def place(key: str, *, running: bool = False) -> Context:
    row = {"experimentKey": key, "running": running, "endTimeMillis": None if running else 1}
    version = "" if running else "v1"
    return Context("", 0.0, (key,), "ws", PROJECT, row, version=version, live=LIVE)


class Reader:
    """Reads metrics at a moment of its own clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.observations = Observations(lambda: self.now)

    def wants_all(self, at: Context, *, at_hand: bool = False) -> bool:
        return self.observations.wants_all(SHEETS, at, of_project(at), at_hand=at_hand)


def test_the_first_metric_is_asked_for_alone_and_the_second_brings_all() -> None:
    """And those of the next experiment come together at once, as long as that was just now."""
    reader = Reader()
    assert [reader.wants_all(place("a")) for _ in range(3)] == [False, True, True]
    assert reader.wants_all(place("b"))
    reader.now += LISTING + 1
    assert not reader.wants_all(place("c"))


def test_what_is_at_hand_is_used() -> None:
    """All of an experiment, where a file that shows all brought it."""
    assert Reader().wants_all(place("a"), at_hand=True)


def test_one_metric_that_is_followed_never_brings_all() -> None:
    """Of a run: each look comes after the lease of the last one, and it is the same metric again."""
    reader = Reader()
    for _ in range(5):
        assert not reader.wants_all(place("a", running=True))
        reader.now += LIVE + 1


def test_a_run_that_ended_begins_anew() -> None:
    """Its answers are others."""
    reader = Reader()
    reader.wants_all(place("a"))
    assert not reader.wants_all(replace(place("a"), version="v2"))


@pytest.mark.parametrize(
    ("scope", "again"),
    [
        (Scope(whole=frozenset([("a",)])), False),
        (Scope(names=frozenset([SHEETS.name, METRIC.name]), owners=frozenset([("a",), ("p",)])), False),
        (Scope(whole=frozenset([("b",)])), True),
    ],
    ids=["the experiment", "its metrics", "another experiment"],
)
def test_a_refresh_ends_what_was_learned_of_what_it_means(scope: Scope, again: bool) -> None:
    """So that who touches one metric's file pays for that one, not for all."""
    reader = Reader()
    reader.wants_all(place("a"))
    reader.observations.drop_all(scope)
    assert reader.wants_all(place("a")) is again


def test_agreement_is_kept_of_each_project_and_subject() -> None:
    """Until the project as a whole is refreshed."""
    seen, project = Observations(lambda: 0.0), of_project(place("a"))
    assert seen.agreement("ties", project) is None
    seen.record_agreement("ties", project, agrees=False)
    assert seen.agreement("ties", project) is False
    assert seen.agreement("others", project) is None
    assert seen.agreement("ties", replace(project, key=("q",))) is None
    seen.drop_all(Scope(names=frozenset([SHEETS.name]), owners=frozenset([("p",)])))
    assert seen.agreement("ties", project) is False
    seen.drop_all(Scope(whole=frozenset([("p",)])))
    assert seen.agreement("ties", project) is None


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many experiments are read in the life of a mount."""
    monkeypatch.setattr(observations, "REMEMBERED", 3)
    reader = Reader()
    for number in range(10):
        reader.wants_all(place(f"{number}", running=True))
    assert len(reader.observations._known) == 3


def test_a_count_holds_as_long_as_it_was_given() -> None:
    """What failed is tried again: an outage is no property of a server."""
    reader = Reader()
    at = of_project(place("a"))
    assert reader.observations.count("failures", at) == 0
    reader.observations.record_count("failures", at, 2, Lease(10.0))
    reader.observations.record_agreement("works", at, agrees=False, lease=Lease(20.0))
    assert reader.observations.count("failures", at) == 2
    reader.now = 15.0
    assert reader.observations.count("failures", at) == 0
    assert reader.observations.agreement("works", at) is False
    reader.now = 25.0
    assert reader.observations.agreement("works", at) is None
