"""A project whose runs show what a differing Comet may lose: long and short metrics, parameters that some lack, tags.

Not here: the differences (comet_switches.py).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

PROJECT = "ws/p"

RUNS = 12

POINTS = 2000
"""Of the long metric of the last runs; others have 30. A sample has 500."""


def write_differing_runs(directory: Path) -> list[str]:
    """Writes them as archives; returns their names."""
    names = [f"run-{number:02}" for number in range(RUNS)]
    for number, name in enumerate(names):
        _write(directory / f"{number:032x}", number, name)
    return names


def _write(folder: Path, number: int, name: str) -> None:
    folder.mkdir(parents=True)
    began = 1_700_000_000_000 + number * 1000
    heading = {"offline_id": folder.name, "workspace": "ws", "project_name": "p", "start_time": began}
    tags = ["odd" if number % 2 else "even"]
    (folder / "experiment.json").write_text(json.dumps({**heading, "stop_time": began + 900_000, "tags": tags}))
    lines = [
        an_other("Name", name, began),
        an_other("host", f"h{number}", began),
        a_parameter("lr", number / 10, began),
    ]
    lines += [a_parameter("dropout", 0.5, began)] if number % 3 == 0 else []
    long = POINTS if number >= RUNS - 4 else 30
    # A sample at even distances misses the least and the greatest value.
    lines += [
        a_point("loss", step, -9.0 if step == long // 3 + 1 else 1 / (1 + step), began + step) for step in range(long)
    ]
    for metric in ("accuracy", "val/loss", "val/accuracy"):
        lines += [a_point(metric, step, step * 0.5, began + step) for step in range(25 + number)]
    (folder / "messages.json").write_text("".join(json.dumps(line) + "\n" for line in lines))


def an_other(key: str, value: str, when: int) -> dict[str, Any]:
    return {"type": "log_other", "payload": {"key": key, "value": value, "local_timestamp": when}}


def a_parameter(name: str, value: float, when: int) -> dict[str, Any]:
    param = {"paramName": name, "paramValue": value, "step": None, "source": "manual"}
    return {"type": "parameter_msg", "payload": {"param": param, "local_timestamp": when}}


def a_point(name: str, step: int, value: float, when: int) -> dict[str, Any]:
    metric = {"metricName": name, "metricValue": value, "step": step, "epoch": None}
    return {"type": "metric_msg", "payload": {"metric": metric, "local_timestamp": when}}
