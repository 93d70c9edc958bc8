"""Searches for parameters: spaces, algorithms, sweeps and their files, without a client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import dist
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cometfs.server.optimizer import algorithms
from cometfs.server.optimizer.algorithms import next_set, spec_of
from cometfs.server.optimizer.space import InvalidSearch, space_of
from cometfs.server.optimizer.sweep import Created, Sweep, Updated
from cometfs.server.storage.errors import StorageFull
from cometfs.server.storage.optimizer_store import FOLDER, OptimizerStore

WIDE = {"x": {"type": "float", "min": -10, "max": 10}, "y": {"type": "float", "min": 0, "max": 10}}


def points(parameter: Any, bins: int = 10) -> list[Any]:
    return space_of({"x": parameter})["x"].grid(bins)


def test_grids() -> None:
    """Numbers are spaced evenly on their scale, both ends included; lists are as they are."""
    assert points({"type": "integer", "min": 1, "max": 4}) == [1, 2, 3, 4]
    assert points({"type": "integer", "min": 1, "max": 4, "scalingType": "normal"}) == [1, 2, 3, 4]
    assert points({"type": "integer", "min": 0, "max": 100}, 3) == [0, 50, 100]
    assert points({"type": "float", "min": 0, "max": 1}, 5) == [0, 0.25, 0.5, 0.75, 1]
    scaled = points({"type": "double", "min": 0.001, "max": 1, "scalingType": "loguniform"}, 4)
    assert scaled == pytest.approx([0.001, 0.01, 0.1, 1])
    bell = points({"type": "float", "min": 0, "max": 10, "scalingType": "normal", "mu": 5, "sigma": 1}, 3)
    assert (bell[1], bell[0] + bell[2]) == pytest.approx((5, 10))
    assert 3 < bell[0] < 5
    assert points({"type": "categorical", "values": ["b", "a"]}) == ["b", "a"]
    assert points({"type": "float", "min": 2, "max": 2}) == [2]


@given(
    st.sampled_from(["integer", "float", "double"]),
    st.sampled_from(["linear", "uniform", "normal", "loguniform", "lognormal"]),
    st.integers(1, 1000),
    st.integers(0, 1000),
    st.integers(),
)
def test_values_are_within_their_bounds(kind: str, scale: str, low: int, width: int, seed: int) -> None:
    """Drawn ones, near ones and grids', and integers are integers."""
    parameter = space_of({"x": {"type": kind, "min": low, "max": low + width, "scalingType": scale}})["x"]
    chance = Random(seed)
    value = parameter.draw(chance)
    for one in (value, parameter.near(value, chance), *parameter.grid(7)):
        assert low <= one <= low + width
        assert isinstance(one, int if kind == "integer" else float)
        assert 0 <= dist(parameter.place(value), parameter.place(one)) <= 1


def test_places_of_lists() -> None:
    """Neighbours in an order are nearer than others; names are as far from each other as can be."""
    space = space_of(
        {"n": {"type": "discrete", "values": [16, 32, 64]}, "w": {"type": "categorical", "values": ["a", "b", "c"]}}
    )
    places = [space["n"].place(value) for value in (16, 32, 64)]
    assert [dist(places[0], other) for other in places] == [0, 0.5, 1]
    places = [space["w"].place(value) for value in "abc"]
    assert [dist(places[0], other) for other in places] == pytest.approx([0, 1, 1])


def test_a_bell_needs_no_bounds() -> None:
    """A middle and a width do."""
    parameter = space_of({"x": {"type": "float", "scalingType": "normal", "mu": 10, "sigma": 2}})["x"]
    drawn = [parameter.draw(Random(seed)) for seed in range(500)]
    assert 9.5 < median(drawn) < 10.5
    assert 4 <= min(drawn) < 7 < 13 < max(drawn) <= 16


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({}, "needs at least one parameter"),
        ({"x": {"values": [1]}}, "missing required field `type`"),
        ({"x": {"type": "discrete", "values": []}}, "has no values"),
        ({"x": {"type": "complex"}}, "the type is one of"),
        ({"x": {"type": "float", "min": 1}}, "needs a min and a max"),
        ({"x": {"type": "float", "min": 0, "max": 1, "scalingType": "loguniform"}}, "min must be above 0"),
        ({"x": {"type": "float", "min": 0, "max": 1, "scalingType": "cubic"}}, "scalingType is one of"),
        ({"x": {"type": "float", "min": 0, "max": 1, "scalingType": "normal", "sigma": 0}}, "sigma above 0"),
        ({"x": {"type": "float", "min": -(10**400), "max": 1}}, "a number beyond"),
        ({"x": {"type": "float", "scalingType": "normal", "mu": 1, "sigma": 1e301}}, "a number beyond"),
        ({"x": {"type": "integer", "min": 0.2, "max": 0.8}}, "no integer between"),
        ({f"x{number}": {"type": "float", "min": 0, "max": 1} for number in range(1001)}, "has at most 1000"),
        ({"x": {"type": "categorical", "values": list(range(10_001))}}, "at most 10000 values together"),
    ],
)
def test_spaces_that_are_none(parameters: Any, sentence: str) -> None:
    """Each is refused with what is wrong."""
    with pytest.raises(InvalidSearch, match=sentence):
        space_of(parameters)


@pytest.mark.parametrize(
    ("algorithm", "spec", "sentence"),
    [
        ("tpe", {}, "has bayes, grid, random"),
        ("grid", {"objective": "best"}, "neither 'minimize' nor 'maximize'"),
        ("grid", {"gridSize": 10**9}, "gridSize must be from 1 to 10000"),
        ("random", {"maxCombo": "many"}, "spec is not understood"),
    ],
)
def test_specs_that_are_none(algorithm: str, spec: Any, sentence: str) -> None:
    """Each is refused with what is wrong; what it has besides is not looked at."""
    with pytest.raises(InvalidSearch, match=sentence):
        spec_of(algorithm, spec)
    assert spec_of("grid", {"kind": "new", "metric": None, "maxCombo": 5.0}).max_combo == 5


def sets(algorithm: str, parameters: Any, loss: Any = None, **words: Any) -> Iterator[Any]:
    """All sets of a search whose results come at once."""
    space, spec = space_of(parameters), spec_of(algorithm, {"seed": 1} | words)
    came: list[Any] = []
    results: list[Any] = []
    while (found := next_set(algorithm, space, spec, came, results)) is not None:
        came.append(found)
        results += [(found, loss(found))] if loss else []
        yield found


def test_a_grid_is_whole() -> None:
    """In the order of the parameters, or in another one; maxCombo ends it before."""
    asked = {"x": {"type": "integer", "min": 1, "max": 5}, "y": {"type": "discrete", "values": [1.5, 2.5, 3.5]}}
    ordered = [tuple(one.values()) for one in sets("grid", asked)]
    assert ordered == [(x, y) for x in range(1, 6) for y in (1.5, 2.5, 3.5)]
    mixed = [tuple(one.values()) for one in sets("grid", asked, randomize=True)]
    assert mixed != ordered
    assert sorted(mixed) == ordered
    assert [tuple(one.values()) for one in sets("grid", asked, maxCombo=4)] == ordered[:4]


def test_random_sets_are_distinct_and_the_same_for_a_seed() -> None:
    """Ten for each parameter unless it says otherwise; a space that has fewer ends it."""
    first = list(sets("random", WIDE))
    assert len(first) == 20
    assert len({tuple(one.values()) for one in first}) == 20
    assert list(sets("random", WIDE)) == first
    assert list(sets("random", WIDE, seed=2)) != first
    small = [one["x"] for one in sets("random", {"x": {"type": "integer", "min": 1, "max": 3}}, retryLimit=1000)]
    assert sorted(small) == [1, 2, 3]


def test_bayes_finds_better_sets_than_chance() -> None:
    """The median of its best results, over some seeds, is below that of random searches of the same length."""

    def loss(one: Any) -> float:
        return float((one["x"] - 3) ** 2 + one["y"])

    def best(algorithm: str) -> float:
        found = [min(map(loss, sets(algorithm, WIDE, loss, maxCombo=30, seed=seed))) for seed in range(10)]
        return median(found)

    assert best("bayes") < best("random") / 2


def made(**words: Any) -> Created:
    asked: Any = {"algorithm": "grid", "parameters": {"x": {"type": "discrete", "values": [1, 2]}}, "spec": {"seed": 1}}
    return Created("", 0, **(asked | words))


def test_a_grid_that_takes_long_to_list_is_none() -> None:
    """Its points are counted with each question, and no other request is answered meanwhile."""
    ranges = {f"x{number}": {"type": "float", "min": 0, "max": 1} for number in range(11)}
    with pytest.raises(InvalidSearch, match="11 ranges with a gridSize of 1000"):
        Sweep(made(parameters=ranges, spec={"gridSize": 1000}))
    assert Sweep(made(parameters=ranges)).next("p", 1) is not None


def test_a_set_is_chosen_with_little_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many coordinates a space has; of sets that are known already there is nothing to compare."""
    places: list[int] = []

    def counted(space: Any, values: Any) -> list[float]:
        found = place(space, values)
        places.append(len(found))
        return found

    place = algorithms._place
    monkeypatch.setattr(algorithms, "_place", counted)
    wide = space_of({"x": {"type": "categorical", "values": list(range(5_000))}})
    results = [({"x": number}, float(number)) for number in range(400)]
    spec = spec_of("bayes", {"seed": 1, "maxCombo": 1_000})
    assert next_set("bayes", wide, spec, [one for one, _ in results], results) is not None
    assert sum(places) < 50 * 5_000
    places.clear()
    small = space_of({"x": {"type": "categorical", "values": list(range(20))}})
    assert next_set("bayes", small, spec, [one for one, _ in results[:20]], results[:20]) is None
    assert len(places) <= spec.retry_limit


def test_trials_and_sets_that_did_not_end(tmp_path: Path) -> None:
    """A set comes `trials` times; what was aborted comes again, as often as the search allows, and first."""
    store = OptimizerStore(tmp_path)
    sweep = store.create(made(trials=2, spec={"seed": 1, "retryAssignLimit": 1}))
    came = [store.assign(sweep) for _ in range(4)]
    assert [(one.parameters["x"], one.trial) for one in came if one] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert len({one.pid for one in came if one}) == 2
    for one, status in zip(came, ("completed", "running", "aborted", "completed"), strict=True):
        assert one is not None
        store.add(sweep, Updated(5, one.pid, one.trial, status, 0.5))
    again = [store.assign(sweep) for _ in range(3)]
    assert [one and (one.parameters["x"], one.trial) for one in again] == [(2, 1), (1, 2), None]
    ended = [sweep.has_ended]
    for one in again[:2]:
        assert one is not None
        store.add(sweep, Updated(6, one.pid, one.trial, "completed", "NaN"))
    assert [*ended, sweep.has_ended] == [False, True]
    assert [trial.score for trial in sweep.trials.values()] == [0.5] * 4


def test_a_search_is_read_again_as_it_was(tmp_path: Path) -> None:
    """By the next server; half a line at its end was acknowledged to no client, and goes."""
    store = OptimizerStore(tmp_path)
    sweep = store.create(made(algorithm="random", parameters=WIDE))
    for _ in range(3):
        event = store.assign(sweep)
        assert event is not None
        store.add(sweep, Updated(5, event.pid, event.trial, "completed", 1.5))
    path = tmp_path / FOLDER / f"{sweep.created.id}.jsonl"
    before = path.read_bytes()
    path.write_bytes(before + b'{"event":"assigned","at":7')
    read = OptimizerStore(tmp_path).find(sweep.created.id)
    assert read is not None
    assert (read.created, read.trials) == (sweep.created, sweep.trials)
    assert path.read_bytes() == before
    following, other = read.next("p", 1), sweep.next("p", 1)
    assert following == other


@pytest.mark.logs("skipped;")
def test_searches_that_cannot_be_read(tmp_path: Path) -> None:
    """An id is no path, and a broken file no search."""
    (tmp_path / FOLDER).mkdir()
    (tmp_path / "secret.jsonl").write_text("{}")
    for name, content in (("a" * 32, ""), ("b" * 32, "no\n"), ("c" * 32, json.dumps({"event": "updated"}) + "\n")):
        (tmp_path / FOLDER / f"{name}.jsonl").write_text(content)
    store = OptimizerStore(tmp_path)
    found = [store.find(name) for name in ("a" * 32, "b" * 32, "c" * 32, "d" * 32, "../secret", "")]
    assert found == [None] * 6


def test_a_full_disk_gives_nothing_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not in the file is not assigned: the next try gives the same."""
    store = OptimizerStore(tmp_path)
    sweep = store.create(made())

    def refuse(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("cometfs.server.storage.optimizer_store.append", refuse)
        with pytest.raises(StorageFull):
            store.assign(sweep)
    event = store.assign(sweep)
    assert event is not None
    assert (event.parameters, len(sweep.trials)) == ({"x": 1}, 1)


def test_a_search_of_no_trials_is_none() -> None:
    with pytest.raises(InvalidSearch):
        Sweep(made(trials=0))
