"""Every JSON file is JSON for the programs that read a mount: of the sample, and of a run that has just begun."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from tests.support.live_runs import Run
from tests.support.processes import Mounted

UNLISTED = (".api", ".cometfs")
THEIRS = ("assets", "models", "source")
"""Files as users logged them, whatever they hold."""


def _json_files(top: Path) -> Iterator[Path]:
    """Those below, `.api/` of experiments included, which no listing has."""
    for place, folders, files in os.walk(top):
        hidden = [name for name in UNLISTED if name not in folders and (Path(place) / name).is_dir()]
        folders[:] = [*(name for name in folders if name not in THEIRS), *hidden]
        yield from (Path(place) / name for name in files if name.endswith(".json"))


def test_every_json_file_of_the_sample_parses(warm: Mounted) -> None:
    """None is empty, and each has the size that is shown of it."""
    found = 0
    for path in _json_files(warm.path):
        body = path.read_bytes()
        json.loads(body)
        assert path.name == "status.json" or len(body) == path.stat().st_size
        found += 1
    assert found > 300


def test_every_json_file_of_a_run_that_has_just_begun_parses(run: Run, live: Mounted) -> None:
    """Tags, assets and git of which Comet has nothing, others of which it has but the name."""
    found = {
        str(path.relative_to(live / run.folder)): json.loads(path.read_bytes())
        for path in _json_files(live / run.folder)
    }
    assert found["params.json"] == found["metrics.json"] == {}
    assert found.get("git/metadata.json", {}) == {}, "hidden where its answer came before it was listed"
    assert found["others.json"] == {"Name": run.name}
    assert found[".api/experiment_tags.json"] == found[".api/experiment_assets.json"] == []
    assert found[".api/experiment_html.json"] is None
