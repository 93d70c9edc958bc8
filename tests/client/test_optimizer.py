"""comet_ml's Optimizer searches with the embedded Comet's help, across servers that are killed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.comet_ml_client import API_KEY, run
from tests.support.processes import running_comet

GRID = {"x": {"type": "integer", "min": 1, "max": 3}, "y": [0.0, 1.0]}
WIDE = {"x": {"type": "float", "min": -10, "max": 10}, "y": {"type": "float", "min": 0, "max": 10}}


def search(folder: Path, url: str, config: dict[str, Any] | str, count: int) -> dict[str, Any]:
    asked = config if isinstance(config, str) else json.dumps(config)
    found: dict[str, Any] = json.loads(run("optimize.py", asked, str(count), folder=folder, url=url).splitlines()[-1])
    return found


def test_a_grid_goes_on_after_a_killed_server(tmp_path: Path) -> None:
    """Each point comes once, in order; the experiments say what searched for them, and the search that it is over."""
    runs = tmp_path / "runs"
    with running_comet(tmp_path, "--api-key", API_KEY, archives=runs) as comet:
        first = search(tmp_path, comet.url, {"algorithm": "grid", "parameters": GRID, "spec": {"metric": "loss"}}, 2)
        assert first["status"]["status"] == "running"
        comet.process.kill()
    (tmp_path / "again").mkdir()
    with running_comet(tmp_path / "again", "--api-key", API_KEY, archives=runs) as comet:
        rest = search(tmp_path, comet.url, first["id"], 100)
        assert [[x, y] for x, y, *_ in first["came"] + rest["came"]] == [[x, y] for x in (1, 2, 3) for y in (0.0, 1.0)]
        assert (rest["status"]["status"], rest["status"]["comboCount"]) == ("completed", 6)
        assert rest["status"]["state"] == {"total": 6, "completed": 6}
        told = json.loads(run("read_optimized.py", rest["came"][0][-1], folder=tmp_path, url=comet.url))
        assert told["optimizer_id"] == first["id"]
        assert (told["optimizer_metric"], told["optimizer_metric_value"]) == ("loss", "1.0")
        assert json.loads(told["optimizer_parameters"]) == {"x": 2, "y": 0.0}


def test_random_and_bayes(tmp_path: Path) -> None:
    """As many sets as were asked for, no two the same; the last of `bayes` are chosen by the results of the others."""
    with running_comet(tmp_path, "--api-key", API_KEY, archives=tmp_path / "runs") as comet:
        for algorithm, count in (("random", 2), ("bayes", 10)):
            spec = {"metric": "loss", "objective": "minimize", "maxCombo": count, "seed": 7}
            found = search(tmp_path, comet.url, {"algorithm": algorithm, "parameters": WIDE, "spec": spec}, 50)
            assert len({(x, y) for x, y, *_ in found["came"]}) == count
            assert found["status"]["status"] == "completed"


def test_what_cannot_be_searched_is_refused_with_a_sentence(tmp_path: Path) -> None:
    """Which the client shows: an algorithm that is not there, bounds that are none, an id of nothing."""
    config: dict[str, Any] = {"algorithm": "random", "parameters": WIDE}
    with running_comet(tmp_path, "--api-key", API_KEY, archives=tmp_path / "runs") as comet:
        refused = search(tmp_path, comet.url, config | {"algorithm": "tpe"}, 1)["refused"]
        assert refused == "there is no algorithm 'tpe': this server has bayes, grid, random"
        wrong = {"x": {"type": "float", "min": 5, "max": 1}}
        refused = search(tmp_path, comet.url, config | {"parameters": wrong}, 1)["refused"]
        assert refused == "Optimizer server: parameter 'x' needs a min and a max that is not below it"
        assert "there is no optimizer 'nothing'" in search(tmp_path, comet.url, "nothing", 1)["refused"]
    (tmp_path / "sample").mkdir()
    with running_comet(tmp_path / "sample") as comet:
        refused = search(tmp_path, comet.url, config, 1)["refused"]
        assert "this server keeps nothing: start it as `cometfs serve DIR`" in refused
