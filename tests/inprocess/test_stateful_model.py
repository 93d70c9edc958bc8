"""All that can happen to a mount, in any order: what is read is what the model allows. `scripts/soak` does it for long.

A failure prints the shortest list of operations that fails; it becomes one of the named tests.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings

from tests.support.history import Wrong
from tests.support.stateful_model import Op, play
from tests.support.stateful_operations import runs


@settings(max_examples=4)
@given(runs(20))
def test_all_that_is_read_is_allowed(operations: list[Op]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        play(Path(folder), operations)


READ = [Op("read", seed) for seed in (12, 96, 185, 735)]

NAMED = {
    "a listing that fails is waited for": [Op("fault", what="experiments 429"), *READ],
    "a name that a stale listing lacks": [*READ, Op("fault", what="experiments page"), Op("wait", seconds=70.0), *READ],
    "what memory has after the disk was cleared": [
        *READ,
        Op("wait", seconds=70.0),
        Op("clear"),
        *READ,
        Op("away"),
        Op("remount"),
        *READ,
    ],
    "away for a day, after a kill": [
        *READ,
        Op("wait", seconds=3.0),
        Op("kill", 3),
        Op("away"),
        Op("wait", seconds=90_000.0),
        *READ,
    ],
    "offline after a refresh": [*READ, Op("refresh"), *READ, Op("remount", what="offline"), Op("refresh"), *READ],
    "a refresh that waits for a probe": [*READ, Op("away"), Op("wait", seconds=70.0), *READ, Op("refresh"), *READ],
    "one endpoint fails, and then all": [
        *READ,
        Op("fault", what="experiment/output 500"),
        Op("wait", seconds=4000.0),
        *READ,
        Op("away"),
        *READ,
        Op("mend"),
        *READ,
    ],
}
"""What failed once, here or in the model itself."""


@pytest.mark.parametrize("operations", NAMED.values(), ids=NAMED)
def test_named_runs_are_allowed(operations: list[Op], tmp_path: Path) -> None:
    play(tmp_path, operations)


MARKS = ("cometfs.vfs.sources.provenance.of_answers", lambda *_given, **_named: {"stale": "false"})
STOPPED = ("tests.support.stateful_world.Model.wall", lambda _model: 1e9)


@pytest.mark.parametrize(
    ("broken", "what"), [(MARKS, "not marked as stale"), (STOPPED, "nothing is wrong")], ids=["marks", "leases on disk"]
)
def test_what_is_broken_is_found_out(
    broken: tuple[str, object], what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model allows neither what is old and not marked as that, nor what is old while Comet answers."""
    monkeypatch.setattr(*broken)
    looks = [Op("read", seed) for seed in range(4, 30, 5)]
    changes = [Op("log", seed) for seed in range(20)]
    away = [Op("away")] if broken is MARKS else []
    with pytest.raises(Wrong, match=what):
        play(tmp_path, [*looks, *changes, *away, Op("wait", seconds=4000.0), *looks])
