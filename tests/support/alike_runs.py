"""A project of experiments that are alike, as those of a search for parameters are, and one of such as differ in length
and in their assets: for what is reckoned from a few."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from tests.support.differing_runs import a_parameter, a_point, an_other

PROJECT = "ws/search"

ASSETS = 4

HUGE_PROJECT = "ws/huge"

HUGE = (40 << 20, 20 << 20)
"""Bytes of two assets in that, each of another experiment."""


def write_alike_runs(directory: Path, count: int) -> Path:
    """Each has two metrics, parameters, others and a few assets, some bytes more or less. Returns `directory`."""
    chance = random.Random(7)
    for number in range(count):
        _write(directory / f"{number:032x}", number, chance)
    return directory


def write_differing_runs(directory: Path, count: int) -> Path:
    """Each longer than the one before, with none to three small assets; two have a huge one. Returns `directory`."""
    chance = random.Random(3)
    for number in range(count):
        folder = directory / f"{number:032x}"
        _begin(folder, HUGE_PROJECT, number)
        lines = [_named(number), a_parameter("lr", chance.random(), _began(number))]
        lines += [a_point("loss", step, chance.random(), _began(number) + step) for step in range(50 + 40 * number)]
        lines += [_upload(number * ASSETS + asset, f"part-{asset}.bin", folder, chance) for asset in range(number % 4)]
        if number % 5 == 4 and number // 5 < len(HUGE):
            lines.append(_upload(number * ASSETS + 3, "checkpoint.bin", folder, chance))
            with (folder / "checkpoint.bin").open("r+b") as file:
                file.truncate(HUGE[number // 5])
        _end(folder, lines)
    return directory


def _write(folder: Path, number: int, chance: random.Random) -> None:
    _begin(folder, PROJECT, number)
    began = _began(number)
    lines = [_named(number), a_parameter("lr", chance.random(), began)]
    for metric in ("loss", "accuracy"):
        lines += [a_point(metric, step, chance.random(), began + step) for step in range(190 + chance.randrange(20))]
    lines += [_upload(number * ASSETS + asset, f"part-{asset}.bin", folder, chance) for asset in range(ASSETS)]
    _end(folder, lines)


def _began(number: int) -> int:
    return 1_700_000_000_000 + number * 1000


def _named(number: int) -> dict[str, Any]:
    return an_other("Name", f"run-{number:03}", _began(number))


def _begin(folder: Path, project: str, number: int) -> None:
    folder.mkdir(parents=True)
    workspace, name = project.split("/")
    heading = {"offline_id": folder.name, "workspace": workspace, "project_name": name, "tags": []}
    times = {"start_time": _began(number), "stop_time": _began(number) + 900_000}
    (folder / "experiment.json").write_text(json.dumps({**heading, **times}))


def _end(folder: Path, lines: list[dict[str, Any]]) -> None:
    (folder / "messages.json").write_text("".join(json.dumps(line) + "\n" for line in lines))


def _upload(number: int, name: str, folder: Path, chance: random.Random) -> dict[str, Any]:
    (folder / name).write_bytes(chance.randbytes(20_000 + chance.randrange(1000)))
    more = {"assetId": f"{number:032x}", "fileName": name, "extension": "bin", "step": None}
    payload = {"upload_type": "asset", "file_path": name, "local_timestamp": 1, "metadata": {}}
    return {"type": "file_upload", "payload": {**payload, "additional_params": more}}
