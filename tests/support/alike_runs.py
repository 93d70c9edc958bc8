"""A project of experiments that are alike, as those of a search for parameters are: for what is reckoned from a few."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from tests.support.differing_runs import a_parameter, a_point, an_other

PROJECT = "ws/search"

ASSETS = 4


def write_alike_runs(directory: Path, count: int) -> Path:
    """Each has two metrics, parameters, others and a few assets, some bytes more or less. Returns `directory`."""
    chance = random.Random(7)
    for number in range(count):
        _write(directory / f"{number:032x}", number, chance)
    return directory


def _write(folder: Path, number: int, chance: random.Random) -> None:
    folder.mkdir(parents=True)
    began = 1_700_000_000_000 + number * 1000
    heading = {"offline_id": folder.name, "workspace": "ws", "project_name": "search", "tags": [], "start_time": began}
    (folder / "experiment.json").write_text(json.dumps({**heading, "stop_time": began + 900_000}))
    lines = [an_other("Name", f"run-{number:03}", began), a_parameter("lr", chance.random(), began)]
    for metric in ("loss", "accuracy"):
        lines += [a_point(metric, step, chance.random(), began + step) for step in range(190 + chance.randrange(20))]
    lines += [_upload(number * ASSETS + asset, f"part-{asset}.bin", folder, chance) for asset in range(ASSETS)]
    (folder / "messages.json").write_text("".join(json.dumps(line) + "\n" for line in lines))


def _upload(number: int, name: str, folder: Path, chance: random.Random) -> dict[str, Any]:
    (folder / name).write_bytes(chance.randbytes(20_000 + chance.randrange(1000)))
    more = {"assetId": f"{number:032x}", "fileName": name, "extension": "bin", "step": None}
    payload = {"upload_type": "asset", "file_path": name, "local_timestamp": 1, "metadata": {}}
    return {"type": "file_upload", "payload": {**payload, "additional_params": more}}
