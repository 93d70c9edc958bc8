"""What keeping an answer costs in memory: what is equal is held once, and the weight is near the truth."""

from __future__ import annotations

import gc
import tracemalloc
from typing import Any

import msgspec

from cometfs.cache.values import decoded, encoded, weigh, with_shared_texts
from cometfs.comet.answers import models
from cometfs.composition import assembly as composition
from cometfs.vfs.sources.experiment import Named

EXPERIMENTS = 25_000


def listing(count: int) -> list[Any]:
    """As Comet answers it, in its normal form."""
    rows = [
        {"experimentKey": f"{number:032x}", "experimentName": f"run-{number}", "userName": "someone"}
        | {"projectId": "p" * 32, "projectName": "digits", "workspaceName": "vision-lab", "fileName": "train.py"}
        | {"filePath": "/home/someone/train.py", "throttle": False, "running": False, "archived": False}
        | {"startTimeMillis": 1_700_000_000_000 + number, "endTimeMillis": 1_700_000_900_000 + number}
        for number in range(count)
    ]
    return list(models.experiments(msgspec.json.encode({"experiments": rows})))


def test_a_long_listing_holds_equal_texts_once() -> None:
    """From Comet, and from disk, where it is the same."""
    rows = listing(500)
    written = encoded(rows)
    assert written is not None
    kept = with_shared_texts(decoded(written))
    assert kept == rows
    for name in ("userName", "projectId", "workspaceName", "filePath"):
        assert len({id(row[name]) for row in kept}) == 1


def test_rows_of_other_forms_stay_as_they_are() -> None:
    """Numbers are no texts, and a list may have anything in it."""
    odd = [{"a": 1}, {"a": 1.0}, {"a": True}, {"b": "x"}, "text", None, {"a": "1"}, {"a": ["1"]}] * 40
    assert repr(with_shared_texts([dict(row) if isinstance(row, dict) else row for row in odd])) == repr(odd)
    assert weigh(odd) > 0


def test_a_long_listing_weighs_what_it_takes() -> None:
    """It counted for more than twice of that, and pushed all else out of memory."""
    written = encoded(listing(2000))
    assert written is not None
    gc.collect()
    tracemalloc.start()
    kept = with_shared_texts(decoded(written))
    gc.collect()
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert 0.8 * taken < weigh(kept) < 1.2 * taken


def test_the_experiments_of_a_big_project_leave_room_for_others() -> None:
    """Their listing, and that by directory, which has the same rows: a quarter of the cache at most."""
    rows = with_shared_texts(listing(EXPERIMENTS))
    named = [Named(f"run-{number}", row) for number, row in enumerate(rows)]
    assert weigh(rows) + weigh(named) < composition.MEMORY / 4
