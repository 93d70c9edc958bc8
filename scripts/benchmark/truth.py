"""What must be so, or the figures are worth nothing: bytes and values held against the archives.

The archives are read with zipfile and json alone. Raises BenchError at the first difference.
"""

from __future__ import annotations

import csv
import filecmp
import functools
import json
import math
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmark import archives
from benchmark.processes import BenchError
from benchmark.stage import Stage

Values = dict[str, Any]
PREFIX = "run-00"
"""How the name of a folder begins that tells its archive."""


class Truth:
    """An archive's parameters, points and assets."""

    def __init__(self, path: Path) -> None:
        about, messages, self.assets = archives.read(path)
        self.key = about["offline_id"]
        payloads = [(message["type"], message["payload"]) for message in messages]
        self.name = next(told["value"] for kind, told in payloads if kind == "log_other" and told["key"] == "Name")
        self.ids = {
            told["additional_params"]["fileName"]: told["additional_params"]["assetId"]
            for kind, told in payloads
            if kind == "file_upload"
        }
        params = [told["param"] for kind, told in payloads if kind == "parameter_msg"]
        self.params = {param["paramName"]: param["paramValue"] for param in params}
        self.points: dict[str, list[tuple[int, int, int, float]]] = defaultdict(list)
        for told in (told for kind, told in payloads if kind == "metric_msg"):
            metric = told["metric"]
            point = metric["step"], metric["epoch"], told["local_timestamp"], metric["metricValue"]
            self.points[metric["metricName"]].append(point)


@functools.cache
def _truths(work: Path, which: str) -> dict[str, Truth]:
    found = [Truth(path) for path in sorted(archives.make(work, which).glob("*.zip"))]
    return {one.name: one for one in found}


def _of(stage: Stage, folder: str) -> Truth:
    return _truths(stage.work, "runs")[folder[: len(PREFIX)]]


def _claim(true: bool, what: str) -> None:
    if not true:
        raise BenchError(f"WRONG: {what}")


def params(stage: Stage, folder: str) -> None:
    """The last command printed the parameters of this experiment."""
    _claim(json.loads(stage.out.read_text()) == _of(stage, folder).params, f"params.json of {folder}")


def all_params(stage: Stage, project: Path, count: int) -> None:
    """The last command printed the parameters of all experiments, in the order of their folders."""
    folders = sorted(path.name for path in project.glob("run-*"))
    told = list(_objects(stage.out.read_text()))
    _claim(len(folders) == count == len(told), f"{len(told)} params.json in {len(folders)} folders")
    for folder, one in zip(folders, told, strict=True):
        _claim(one == _of(stage, folder).params, f"params.json of {folder}")


def _objects(text: str) -> Iterator[Values]:
    """JSON objects, one behind the other."""
    decoder, at = json.JSONDecoder(), 0
    while at < len(text):
        found, end = decoder.raw_decode(text, at)
        yield found
        at = end + 1


def all_metrics(stage: Stage, project: Path, count: int) -> None:
    """Every point of every metric of all experiments is what was logged."""
    right: dict[tuple[str, str], str] = {}
    folders = sorted(project.glob("run-*"))
    _claim(len(folders) == count, f"{len(folders)} folders")
    for folder in folders:
        for name in archives.METRICS:
            text, truth = (folder / "metrics" / f"{name}.csv").read_text(), _of(stage, folder.name)
            if right.get((truth.name, name)) != text:
                _claim(_points(text) == truth.points[name], f"{folder.name}/metrics/{name}.csv")
                right[truth.name, name] = text


def _points(text: str) -> list[tuple[int, int, int, float]]:
    rows = csv.DictReader(text.splitlines())
    return [(int(row["step"]), int(row["epoch"]), int(row["timestamp_ms"]), float(row["value"])) for row in rows]


def whole_table(stage: Stage, count: int) -> None:
    """The last command printed a row for each experiment, with the parameters and points that were logged."""
    rows = list(csv.DictReader(stage.out.read_text().splitlines()))
    _claim(len(rows) == count, f"experiments.csv has {len(rows)} rows")
    for row in rows:
        truth = _of(stage, row["directory"])
        for name, value in truth.params.items():
            _claim(_same(row[f"param.{name}"], json.dumps(value).strip('"')), f"{name} in {row['directory']}")
        for name, points in truth.points.items():
            values = [point[3] for point in points]
            wanted = {"last": values[-1], "min": min(values), "max": max(values)}
            for word, value in wanted.items():
                _claim(_same(row[f"metric.{name}.{word}"], str(value)), f"{name} ({word}) in {row['directory']}")


def same_values(stage: Stage, project: Path) -> None:
    """Every value of the table that the last command printed is that of metrics.json and params.json."""
    rows = list(csv.DictReader(stage.out.read_text().splitlines()))
    with ThreadPoolExecutor(16) as pool:
        told = list(pool.map(lambda row: _told(project / row["directory"]), rows))
    for row, wanted in zip(rows, told, strict=True):
        found = {name: cell for name, cell in row.items() if name.startswith(("param.", "metric."))}
        _claim(found.keys() == wanted.keys(), f"columns of {row['directory']}: {found.keys() ^ wanted.keys()}")
        for name, value in wanted.items():
            _claim(_same(found[name], value), f"{name} of {row['directory']}: {found[name]!r} is not {value!r}")


def _told(folder: Path) -> dict[str, str]:
    """What an experiment's own files tell, as a row of the table has it."""
    values = {f"param.{name}": value for name, value in _texts(folder / "params.json").items()}
    for name, words in _texts(folder / "metrics.json").items():
        values |= {f"metric.{name}.{word}": words[word] for word in ("last", "min", "max")}
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}


def _texts(path: Path) -> Values:
    """An object whose numbers are kept as they are spelled."""
    return dict(json.loads(path.read_text(), parse_float=str, parse_int=str, parse_constant=str))


def _same(one: str, other: str) -> bool:
    """Whether two texts tell the same value: the same number, or the same text."""
    try:
        return one == other or math.isclose(float(one), float(other), rel_tol=0, abs_tol=0)
    except ValueError:
        return False


def same_assets(stage: Stage, target: Path) -> None:
    """Every plain asset of every archive is somewhere in its experiment's folder, byte for byte."""
    for truth in _truths(stage.work, "whole").values():
        folder = target / truth.name if (target / truth.name).exists() else target / truth.key
        for name, content in truth.assets.items():
            found = list(folder.glob(f"assets/**/{name}"))
            _claim([path.read_bytes() for path in found] == [content], f"{name} of {folder}")


def big_asset(stage: Stage) -> bytes:
    return _big(stage).assets[archives.BIG_NAME]


def big_ids(stage: Stage) -> tuple[str, str]:
    """The keys of the experiment and of its asset."""
    return _big(stage).key, _big(stage).ids[archives.BIG_NAME]


def _big(stage: Stage) -> Truth:
    return _truths(stage.work, "big")["big"]


def same_file(one: Path, other: Path) -> None:
    _claim(filecmp.cmp(one, other, shallow=False), f"{one.name} differs")
